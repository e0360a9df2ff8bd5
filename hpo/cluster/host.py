"""The referee's host: an actor of Ray that all workers speak to."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Collection, Mapping, Sequence
from contextlib import suppress
from typing import Any, Final, Protocol

from ray.exceptions import RayError

from hpo.cluster.last_words import kill
from hpo.cluster.node import Place, do_there, last_words_here
from hpo.cluster.shift import shift_of
from hpo.cluster.sizes import Sizes
from hpo.cluster.watch import Watch
from hpo.errors import LedgerError
from hpo.protocol import Answer, Choice, Hand, Hosted, Sizing, Stopped
from hpo.trial import Divergence, Ending, Point

# How long a report may wait to become durable; it is answered at once.
_FLUSH_SECONDS: Final = 0.03
_LOOK_SECONDS: Final = 1.0
_DEATH: Final = "its worker died"
_LOST_NODE: Final = "its machine left the cluster"


class Referee(Hosted, Protocol):
    """What is hosted here."""

    @property
    def ready(self) -> bool:
        """Whether there is a trial to hand out now."""

    @property
    def exhausted(self) -> bool:
        """Whether there is nothing left to train."""

    @property
    def cohorts(self) -> list[str]:
        """Those that were handed trials and were not lost."""

    def lost(self, cohort: str, reason: str) -> bool:
        """Take in that a cohort's worker died; return whether it had trials."""


class Host:
    """The referee as a Ray actor: one thread, and commits in groups beside it.

    A report is answered from memory (`hpo.worker.line` says why nothing is lost by that), unless a trial
    leaves. That, a taking up, an attempt, a telling or a loss is answered once it is durable; whatever
    arrives while one commit is under way goes into the next. Beside that it watches who hangs, and ends that
    process; and it heeds what people ask. In a pause, answers wait, and the workers with them; who does not
    wait for one is made to.

    Args:
        make: makes the referee.
        within: how long a worker may be silent; see `hpo.cluster.watch.Watch`.
    """

    def __init__(self, make: Callable[[], Referee], within: float | None = None) -> None:
        self._referee = make()
        self._watch, self._hung = Watch(within), dict[str, str]()
        self._places: dict[str, Place] = {}
        self._shift_of: dict[int, str] = {}
        self._sizes = Sizes()
        self._stopping, self._training = False, asyncio.Event()
        self._commit: asyncio.Task[None] | None = None
        self._later: asyncio.Task[None] | None = None
        self._looking: asyncio.Task[None] | None = None

    async def requeue(self) -> None:
        """Hand out again what was under way."""
        self._referee.requeue()

    async def outlook(self, alive: list[str]) -> tuple[bool, bool]:
        """Return whether there is a trial to hand out, and whether nothing is left; take in who works.

        A host that was made again does not know whom it has taken for lost before.
        """
        known = {*map(shift_of, self._referee.cohorts), *self._watch.shifts}
        self._reclaim(known - {*alive}, _DEATH)
        self._attend()
        self._soon()
        return self._referee.ready, self._referee.exhausted

    async def training(self) -> None:
        """Return once a worker has all it needs to train."""
        await self._training.wait()

    async def begin(self, shift: str, place: Place) -> None:
        """Take in that a worker begins its shift, and watch it from now on."""
        self._places[shift] = place
        self._watch.hear(shift)
        self._attend()

    async def size(self, cohort: str, machine: str, place: Place) -> Sizing:
        """Return what is known of how many to train at once on this machine, or that it is to be measured."""
        await self.begin(shift_of(cohort), place)
        return self._sizes.ask(machine, shift_of(cohort))

    async def sized(self, machine: str, choice: Choice) -> None:
        """Take in what was measured."""
        self._sizes.tell(machine, choice)

    async def leave(self, shift: str) -> None:
        """Take in that a shift is over."""
        self._watch.forget(shift)

    async def stop(self) -> None:
        """Let everyone end after the epoch that is under way; return when they have."""
        self._stopping = True
        while self._watch.shifts:
            await asyncio.sleep(_FLUSH_SECONDS)

    async def take_up(self, cohort: str, size: int, worker: str, because: str, place: Place) -> Hand:
        """Return trials for a cohort, whose shift is watched from now on."""
        shift = shift_of(cohort)
        await self.begin(shift, place)
        await self._going(shift)
        hand = Hand([], {}) if self._stopping else self._referee.take_up(cohort, size, worker, because)
        self._shift_of |= {trial.number: shift for trial in hand.trials}
        if hand.trials:
            self._training.set()
        self._watch.hear(shift)
        await self._durable(shift)
        return hand

    async def attempt(self, cohort: str, trials: list[int], worker: str, notes: Mapping[str, Any]) -> None:
        """Note who trains these trials, and in what way."""
        self._referee.attempt(cohort, trials, worker, notes)
        self._watch.hear(shift_of(cohort))
        await self._durable(shift_of(cohort))

    async def report(
        self,
        reports: list[Point | Divergence],
        then: Sequence[Any] = (),
        waited: bool = True,  # noqa: FBT001, FBT002
    ) -> Answer:
        """Return which trials go on, and which are undecided; if none goes on, `then` is taken up.

        A worker that has not `waited` trains on; in a pause it is not told when it is due, and so asks again.

        Raises:
            Stopped: what was reported is taken in, and nobody goes on.
        """
        shifts = self._shifts(reports)
        for shift in shifts:
            self._watch.hear(shift)
        answer = self._referee.report(reports)
        self._soon()
        if not waited:
            return self._in_passing(answer)
        await self._going(*shifts)
        if self._stopping:
            await self._durable(*shifts)
            raise Stopped
        if then and not answer.on:
            return answer._replace(next=await self.take_up(*then))
        if len(answer.on) < len({report.trial for report in reports}):
            await self._durable(*shifts)  # a worker will not speak of that trial again
        return answer

    def _in_passing(self, answer: Answer) -> Answer:
        if self._stopping:
            raise Stopped
        return answer._replace(due={}) if self._referee.paused else answer

    async def saved(self, trials: list[int]) -> None:
        """Take in that undecided ones are saved, so that others can take them up."""
        self._referee.saved(trials)

    async def tell(
        self, endings: list[Ending], reports: list[Point | Divergence], then: Sequence[Any] = ()
    ) -> Hand | None:
        """Take in the last reports, and how trials ended; then, what is to be taken up with that is."""
        self._referee.tell(endings, reports)
        if then:
            return await self.take_up(*then)
        await self._durable(*self._shifts([*endings, *reports]))
        return None

    def _shifts(self, told: Sequence[Point | Divergence | Ending]) -> set[str]:
        return {self._shift_of[it.trial] for it in told if it.trial in self._shift_of}

    async def lost(self, cohort: str, reason: str = "") -> bool:
        """Take in that the worker of a shift or cohort died, and find out why; return if it ever trained."""
        shift = shift_of(cohort)
        self._watch.forget(shift)  # to find out may take a while
        had_trials = self._reclaim({shift}, reason or await self._why(shift))
        await self._durable()
        return had_trials or shift in self._shift_of.values()

    def _reclaim(self, shifts: Collection[str], reason: str) -> bool:
        """Take in that the workers of these shifts are gone; return whether they had trials."""
        for shift in shifts:
            self._watch.forget(shift)  # its worker may have ended before it could say that it leaves
            self._sizes.lost(shift)
        cohorts = [it for it in self._referee.cohorts if shift_of(it) in shifts]
        return sum(self._referee.lost(it, reason) for it in cohorts) > 0

    async def _why(self, shift: str) -> str:
        hung, place = self._hung.pop(shift, ""), self._places.get(shift)
        if hung or place is None:
            return hung or "its worker died before it began"
        try:
            return await do_there(place.node, last_words_here, place.process, place.killed_before)
        except RayError:
            return _LOST_NODE

    async def flush(self) -> None:
        """Return once everything answered so far is durable."""
        await self._durable()

    def _attend(self) -> None:
        self._looking = self._looking or asyncio.create_task(self._look())

    async def _going(self, *shifts: str) -> None:
        """Return once the search is not paused; who waits here does not hang."""
        while self._referee.paused and not self._stopping:
            for shift in shifts:
                self._watch.hear(shift)
            await asyncio.sleep(_FLUSH_SECONDS)

    async def _look(self) -> None:
        while True:
            await asyncio.sleep(_LOOK_SECONDS)
            with suppress(LedgerError):  # there is a next look
                self._referee.heed(await asyncio.to_thread(self._referee.wished))
            for shift in self._watch.look():
                self._hung[shift] = f"no report for {self._watch.limit:.0f} s"
                self._watch.forget(shift)
                place = self._places[shift]
                with suppress(RayError):  # a node that is gone needs no killing
                    await do_there(place.node, kill, place.process)

    async def _durable(self, *shifts: str) -> None:
        """Return once all is durable; these shifts wait for that, maybe long where a ledger is locked."""
        with self._watch.answering(*shifts):
            if self._commit and not self._commit.done():
                await self._commit  # it began before this was appended, so it may not hold it
            if not self._commit or self._commit.done():
                self._commit = asyncio.create_task(asyncio.to_thread(self._referee.flush))
            await self._commit

    def _soon(self) -> None:
        if not self._later or self._later.done():
            self._later = asyncio.create_task(self._flush_later())

    async def _flush_later(self) -> None:
        await asyncio.sleep(_FLUSH_SECONDS)
        await self._durable()
