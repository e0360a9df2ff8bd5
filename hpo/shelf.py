"""Where trials under way are kept: a folder for each search, with the last two checkpoints of each trial.

A checkpoint (`hpo.training.checkpoint`) holds a trial's snapshot and its whole curve, so it may be ahead of
the ledger: whoever takes the trial up tells the curve again first, and no epoch is missing.

Of a search that is over, the winner's proof stays, and of a single training its one trial: what serves this
model or trains it on begins there.
"""

from __future__ import annotations

import os
import platform
import shutil
import time
from collections.abc import Callable, Iterable, Mapping
from contextlib import suppress
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final, NamedTuple

from hpo.plan import Plan
from hpo.training.checkpoint import CHECKPOINT_SUFFIX, CheckpointError, read_checkpoint, write_checkpoint
from hpo.trial import Divergence, Point, Proposal

if TYPE_CHECKING:
    from hpo.training.snapshot import Snapshot

_FORM: Final = 1
_KEPT: Final = 2
_SHARE: Final = 0.01
"""What keeping may take of a worker's time: after a slow save, the next one waits longer."""
_FILE: Final = "sqlite:///"


class Kept(NamedTuple):
    """A trial after some epochs, as it can be taken up."""

    snapshot: Snapshot
    curve: tuple[Point, ...]


@dataclass(frozen=True)
class Shelf:
    """The folder of one search, which its checkpoints name, too; trials are saved `every` so many seconds.

    `shared`: the driver has made the folder (`share`), and a machine that lacks it sees another disk.
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
        folder = os.path.abspath(plan.setting("checkpoints") or beside)
        return cls(os.path.join(folder, name), name, plan.setting("checkpoint_every"))

    def share(self) -> Shelf:
        """Make the folder and return the shelf for several machines, of which none makes its own folder."""
        with suppress(OSError):  # what is wrong with it is said when a trial is to be saved
            self._prepare()
        return replace(self, shared=True)

    def find(self, trial: Proposal) -> tuple[Kept | None, list[str]]:
        """Return the newest sound checkpoint of a trial, and what is wrong with newer ones."""
        complaints: list[str] = []
        for path in reversed(self._files(trial.number)):
            try:
                return self._read(path, trial), complaints
            except CheckpointError as error:
                complaints.append(str(error))
        return None, complaints

    def _read(self, path: Path, trial: Proposal) -> Kept:
        from hpo.training.snapshot import Snapshot

        tensors, notes = read_checkpoint(path)
        for name, value in self._whose(trial).items():
            if notes.get(name) != value:
                raise CheckpointError(f"{path}: its {name} is {notes.get(name)!r}, not {value!r}.")
        return Kept(Snapshot.of(tensors, notes["snapshot"]), tuple(Point(**it) for it in notes["curve"]))

    def _whose(self, trial: Proposal) -> dict[str, Any]:
        return {
            "form": _FORM,
            "search": self.search,
            "trial": trial.number,
            "config": trial.config.digest,
        }

    def keep(self, trial: Proposal, kept: Kept) -> None:
        """Save a trial, and drop all but the last two of its checkpoints.

        Raises:
            CheckpointError: it cannot be written; the last one stays.
        """
        snapshot, curve = kept
        path = Path(self.folder, f"{trial.number}-{snapshot.epoch}{CHECKPOINT_SUFFIX}")
        notes = {
            **self._whose(trial),
            "epoch": snapshot.epoch,
            "snapshot": snapshot.about,
            "curve": [*(asdict(replace(it, notes={})) for it in curve[:-1]), *map(asdict, curve[-1:])],
        }
        try:
            self._reach()
            write_checkpoint(path, snapshot.tensors, notes)
        except (CheckpointError, OSError) as error:
            size = sum(item.numel() * item.element_size() for item in snapshot.tensors.values())
            raise CheckpointError(f"{error} It takes {size:,} bytes, and {self._room()}.") from None
        for old in [*self._files(trial.number)[:-_KEPT], *Path(self.folder).glob(f".{trial.number}-*")]:
            old.unlink(missing_ok=True)

    def _reach(self) -> None:
        """Make the folder, or see that it is there if it is shared."""
        if not self.shared:
            self._prepare()
        elif not Path(self.folder).exists():
            remedy = "Give checkpoints= a folder that all machines of the cluster see."
            raise CheckpointError(f"{self.folder} is not to be seen on {platform.node()}. {remedy}")

    def _prepare(self) -> None:
        """Make the folder, for its owner alone and not for git."""
        folder = Path(self.folder)
        if not folder.exists():
            folder.mkdir(mode=0o700, parents=True, exist_ok=True)
            folder.joinpath(".gitignore").write_text("*\n", encoding="ascii")

    def _room(self) -> str:
        try:
            return f"{shutil.disk_usage(self.folder).free:,} are free in {self.folder}"
        except OSError:
            return f"{self.folder} is not to be had"

    def clear(self, trials: Iterable[int]) -> None:
        """Drop the checkpoints of trials that have ended."""
        for trial in trials:
            for path in self._files(trial):
                path.unlink(missing_ok=True)

    def close(self, last: Proposal | None) -> None:
        """Drop all but the newest checkpoint of this trial, and the folders if they are empty then."""
        kept = self._files(last.number)[-1:] if last else []
        for path in Path(self.folder).glob(f"*{CHECKPOINT_SUFFIX}"):
            if path not in kept:
                path.unlink(missing_ok=True)
        if kept:
            return
        shutil.rmtree(self.folder, ignore_errors=True)
        try:
            Path(self.folder).parent.rmdir()
        except OSError:  # there are others in it, or it is not there
            return

    def _files(self, trial: int) -> list[Path]:
        """Return a trial's checkpoints, oldest first."""
        found = Path(self.folder).glob(f"{trial}-*{CHECKPOINT_SUFFIX}")
        return sorted(found, key=lambda path: int(path.stem.partition("-")[2]))


class Keeper:
    """Saves the trials that a worker trains, now and then.

    Args:
        shelf: where; nothing is saved without one.
        trials: that are trained.
        curves: what they have measured so far, by trial.

    Attributes:
        snapshots: for the engine to fill, by trial.
    """

    def __init__(self, shelf: Shelf | None, trials: Iterable[Proposal], past: Mapping[int, Kept]) -> None:
        self.shelf, self.trials = shelf, {trial.number: trial for trial in trials}
        self.snapshots: dict[int, Callable[[], Snapshot]] | None = {} if shelf else None
        self.curves = {number: list(past[number].curve) if number in past else [] for number in self.trials}
        self._saved, self._pause = time.monotonic(), shelf.every if shelf else 0.0

    def hear(self, reports: Iterable[Point | Divergence]) -> None:
        """Take in what an epoch has measured."""
        for report in reports:
            if isinstance(report, Point) and report.epoch == len(self.curves[report.trial]) + 1:
                self.curves[report.trial].append(report)

    def drop(self, trials: Iterable[int]) -> None:
        """Keep nothing more of trials that have ended."""
        if self.shelf and self.snapshots is not None:
            for trial in trials:
                self.snapshots.pop(trial, None)
            self.shelf.clear(trials)

    def end(self, trials: Iterable[int]) -> None:
        """Keep nothing of trials that came to their end, but for what lasts as it stands then."""
        lasting = {number for number in trials if self.trials[number].lasts}
        for number in lasting & set(self.snapshots or ()):
            self._save(number, (self.snapshots or {})[number])  # if that fails, it can be trained again
        self.drop(set(trials) - lasting)

    @property
    def due(self) -> bool:
        """Whether it is time to save."""
        return self.shelf is not None and time.monotonic() - self._saved >= self._pause

    def save(self) -> str:
        """Save all that are under way; return what is wrong, if something is."""
        started = time.monotonic()
        complaints = [self._save(number, take) for number, take in (self.snapshots or {}).items()]
        self._saved = time.monotonic()
        if self.shelf:
            self._pause = max(self.shelf.every, (self._saved - started) / _SHARE)
        return next(filter(None, complaints), "")

    def _save(self, number: int, take: Callable[[], Snapshot]) -> str:
        try:
            kept = Kept(take(), tuple(self.curves[number]))
            if self.shelf and kept.snapshot.epoch == len(kept.curve):
                self.shelf.keep(self.trials[number], kept)
        except (CheckpointError, TypeError) as error:
            return f"Trial {number} is not saved, and trains on: {error}"
        return ""
