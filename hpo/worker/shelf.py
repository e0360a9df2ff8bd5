"""Where trials under way are kept: a depot for each search, with the last two checkpoints of each trial.

A checkpoint (`hpo.training.checkpoint`) holds a trial's snapshot and its whole curve, so it may be ahead of
the ledger: whoever takes the trial up tells the curve again first, and no epoch is missing.

Of a search that is over, the winner's proof stays, and of a single training its one trial: what serves this
model or trains it on begins there.
"""

from __future__ import annotations

import os
import platform
import re
from collections.abc import Collection, Iterable
from contextlib import suppress
from dataclasses import asdict, dataclass, replace
from typing import TYPE_CHECKING, Any, Final, NamedTuple

from hpo import depot
from hpo.depot import Depot
from hpo.errors import InputError, Problem
from hpo.training.checkpoint import CHECKPOINT_SUFFIX, CheckpointError, pack, unpack
from hpo.trial import Point, Proposal

if TYPE_CHECKING:
    from hpo.planning.plan import Plan
    from hpo.training.snapshot import Snapshot

_FORM: Final = 1
_FILE: Final = "sqlite:///"
_SAVED: Final = re.compile(rf"\d+-\d+{re.escape(CHECKPOINT_SUFFIX)}")


class Kept(NamedTuple):
    """A trial after some epochs, as it can be taken up."""

    snapshot: Snapshot
    curve: tuple[Point, ...]


def demand_start(plan: Plan, kept: Kept | None) -> None:
    """Refuse to train from its first epoch what goes on from another training, of which this is `kept`.

    Raises:
        InputError: nothing is; by the schedule of all epochs the first ones would be others.
    """
    if plan.search.extends and kept is None:
        name, _, trial = plan.search.extends.partition("/")
        gone = f"It goes on from trial {trial} of {name}, and what that left is not kept for it any more"
        anew = f"Begin it anew, under another name: hpo extend {name} trial={trial} epochs={plan.epochs} to=…"
        raise InputError(Problem(plan.search.name, f"{gone}. {anew}"))


@dataclass(frozen=True)
class Shelf:
    """The depot of one search, which its checkpoints name, too; trials are saved `every` so many seconds.

    `folder` is a folder or an address (`hpo.depot`). `shared`: the driver has made the folder (`share`), and
    a machine that lacks it sees another disk.
    """

    folder: str
    search: str
    every: float
    shared: bool = False

    @classmethod
    def of(cls, plan: Plan, store: str) -> Shelf:
        """Return the shelf of a search in this store: beside it, if the search does not say where."""
        beside = f"{store.removeprefix(_FILE)}.checkpoints" if store.startswith(_FILE) else "checkpoints"
        name = f"{plan.search.name}-{int(plan.search.created):x}"
        place = plan.setting("checkpoints") or beside
        return cls(os.path.join(depot.whole(place), name), name, plan.setting("checkpoint_every"))

    @property
    def _depot(self) -> Depot:
        return depot.of(self.folder)

    def share(self) -> Shelf:
        """Make the folder and return the shelf for several machines, of which none makes its own folder."""
        with suppress(OSError):  # what is wrong with it is said when a trial is to be saved
            self._depot.prepare()
        return replace(self, shared=True)

    def find(self, trial: Proposal) -> tuple[Kept | None, list[str]]:
        """Return the newest sound checkpoint of a trial, and what is wrong with newer ones."""
        names, complaints = self._looked_up(trial.number)
        for name in reversed(names):
            try:
                return self._read(name, trial), complaints
            except CheckpointError as error:
                complaints.append(str(error))
        return None, complaints

    def _looked_up(self, trial: int) -> tuple[list[str], list[str]]:
        """Return a trial's checkpoints, oldest first, and why there is no telling, if there is none."""
        try:
            return _of(trial, self._depot.names()), []
        except OSError as error:
            return [], [f"{self.folder}: cannot be read: {error.strerror or error}."]

    def _read(self, name: str, trial: Proposal) -> Kept:
        from hpo.training.snapshot import Snapshot

        path = f"{self.folder}/{name}"
        try:
            tensors, notes = unpack(self._depot.read(name), path)
        except OSError as error:
            raise CheckpointError(f"{path}: cannot be read: {error.strerror or error}.") from None
        for key, value in self._whose(trial).items():
            if notes.get(key) != value:
                raise CheckpointError(f"{path}: its {key} is {notes.get(key)!r}, not {value!r}.")
        return Kept(Snapshot.of(tensors, notes["snapshot"]), tuple(Point(**it) for it in notes["curve"]))

    def _whose(self, trial: Proposal) -> dict[str, Any]:
        return {
            "form": _FORM,
            "search": self.search,
            "trial": trial.number,
            "config": trial.config.digest,
        }

    def keep(self, trial: Proposal, kept: Kept) -> None:
        """Save a trial, and drop all but this checkpoint of it and the one before.

        Raises:
            CheckpointError: it cannot be written; the last one stays.
        """
        snapshot, curve = kept
        name = f"{trial.number}-{snapshot.epoch}{CHECKPOINT_SUFFIX}"
        notes = {
            **self._whose(trial),
            "epoch": snapshot.epoch,
            "snapshot": snapshot.about,
            "curve": [*(asdict(replace(it, notes={})) for it in curve[:-1]), *map(asdict, curve[-1:])],
        }
        try:
            self._reach()
            self._depot.write(name, pack(snapshot.tensors, notes))
        except OSError as error:
            size = sum(item.numel() * item.element_size() for item in snapshot.tensors.values())
            needs = ", and ".join(filter(None, [f"It takes {size:,} bytes", self._depot.room]))
            why = f"{self.folder}/{name}: cannot be written: {error.strerror or error}"
            raise CheckpointError(f"{why}. {needs}.") from None
        with suppress(OSError):  # what is too many goes next time
            self._depot.remove(self._outdated(trial.number, name))

    def _outdated(self, trial: int, latest: str) -> list[str]:
        """Return what there is of a trial besides the latest and the one before, also what is half written.

        Where no later one could be used, the trial began anew; those go, too.
        """
        every = self._depot.names()
        own = _of(trial, [*every, latest])
        place = own.index(latest)
        torn = [name for name in every if name.startswith(f".{trial}-")]
        return [*torn, *own[: max(place - 1, 0)], *own[place + 1 :]]

    def _reach(self) -> None:
        """Make the folder, or see that it is there if it is shared."""
        if not self.shared:
            self._depot.prepare()
        elif not self._depot.there:
            remedy = "Give checkpoints= a folder or an address that all machines of the cluster see."
            raise CheckpointError(f"{self.folder} is not to be seen on {platform.node()}. {remedy}")

    def take_over(self, former: Shelf) -> str:
        """Copy here what another shelf of the same search holds; return why that cannot be read, if so.

        Raises:
            InputError: it cannot be written here.
        """
        try:
            for name in former._depot.names() if self._differs(former) else ():
                if _SAVED.fullmatch(name):
                    self._accept(name, former._depot.read(name))
        except OSError as error:
            return f"{former.folder} cannot be read: {error.strerror or error}."
        return ""

    def _accept(self, name: str, content: bytes) -> None:
        try:
            self._depot.prepare()
            self._depot.write(name, content)
        except OSError as error:
            why = ", and ".join(filter(None, [f"It takes {len(content):,} bytes", self._depot.room]))
            message = f"What is saved cannot be copied there: {error.strerror or error}. {why}."
            raise InputError(Problem(f"checkpoints={os.path.dirname(self.folder)}", message)) from None

    def give_way(self, later: Shelf) -> None:
        """Drop what another shelf has taken over."""
        with suppress(OSError):  # what stays is told by its name
            if self._differs(later):
                every, taken = self._depot.names(), {*later._depot.names()}
                if all(name in taken for name in every if _SAVED.fullmatch(name)):
                    self._depot.clear()

    def _differs(self, other: Shelf) -> bool:
        return self.folder != other.folder and self._depot.itself != other._depot.itself

    def lacks(self, trials: Iterable[int]) -> list[int]:
        """Return those of these trials of which nothing is saved."""
        with suppress(OSError):
            every = self._depot.names()
            return [trial for trial in trials if not _of(trial, every)]
        return [*trials]

    def clear(self, trials: Collection[int]) -> None:
        """Drop the checkpoints of trials that have ended."""
        with suppress(OSError):  # what stays goes when the search is over
            every = self._depot.names()
            self._depot.remove([name for trial in trials for name in _of(trial, every)])

    def close(self, last: Proposal | None) -> None:
        """Drop all but the newest checkpoint of this trial, and the folders if they are empty then."""
        with suppress(OSError):  # what stays is told by its name
            every = self._depot.names()
            kept = _of(last.number, every)[-1:] if last else []
            if kept:
                saved = {name for name in every if CHECKPOINT_SUFFIX in name}  # also what is half written
                self._depot.remove(saved - {*kept})
            else:
                self._depot.clear()


def _of(trial: int, names: Iterable[str]) -> list[str]:
    """Return a trial's checkpoints among these files, oldest first."""
    form = re.compile(rf"{trial}-(\d+){re.escape(CHECKPOINT_SUFFIX)}")
    found = {int(it[1]): it[0] for it in map(form.fullmatch, names) if it}
    return [found[epoch] for epoch in sorted(found)]
