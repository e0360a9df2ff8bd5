"""A worker's line to the referee, on which nothing is lost when the referee dies.

A report is answered before it is durable, so a referee that dies just then never knew of it. The next one
notices that an epoch is missing, and the line says again what it has said since the cohort began: what
the referee knows already changes nothing.

The referee says after which epoch something will be decided of a trial next (`Answer.due`). Until then
nobody waits: a report is on its way while the next epoch trains, and what is reported before it is answered
gathers, and goes with the next. What must be waited for takes along whatever was not answered by then; so a
slow referee is not spoken to an epoch before, unless a silence of two epochs could be taken for a hang.

With the last word of a cohort a worker says what it takes up next, and has it with the answer.
"""

from __future__ import annotations

import math
import time
from collections.abc import Callable, Collection, Mapping, Sequence
from contextlib import suppress
from typing import Any, Final, NamedTuple, Protocol

from hpo.protocol import Answer, Choice, Hand, MissingEpochError, Sizing, Stopped
from hpo.trial import Divergence, Ending, Point, Proposal

_TRIES: Final = 5
_SHARE: Final = 0.01
"""What waiting may take of an epoch where nothing depends on the answer. So who trains long epochs hears at
once of what people ask; short ones are over soon."""
_SLOW: Final = 0.1
"""Who takes longer than this part of an epoch to answer is slow."""
_EPOCHS: Final = 3
"""A worker that may be silent for so many epochs may leave one out."""


class Question(Protocol):
    """A question under way."""

    def answered(self, within: float) -> bool:
        """Return whether there is an answer, after so many seconds at most."""

    def answer(self) -> Any:
        """Return the answer."""


class _Passing(NamedTuple):
    """Reports under way for which nobody waits: the question, and how many they are."""

    question: Question
    reports: int


class Line:
    """What a worker asks of the referee (`hpo.protocol.Referee`).

    Args:
        call: calls the referee's method of a name with these arguments and returns its answer.
        here: what its host is to know of this process, said with the first word of a cohort.
        start: calls one and does not wait; without it, each report is waited for.
        within: how many seconds it may be silent; None: many epochs (`hpo.cluster.watch.Watch`).
        clock: tells the seconds.

    Attributes:
        following: names the cohort that comes next; "" if none does.
    """

    def __init__(
        self,
        call: Callable[..., Any],
        here: Sequence[object] = (),
        start: Callable[..., Question] | None = None,
        within: float | None = None,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._call, self._here, self._start, self._clock = call, here, start, clock
        self._cohort, self._due = "", dict[int, int]()
        self._live: set[int] = set()  # who has not left the cohort
        self.following: Callable[[], str] = str
        self._alike = tuple[object, ...]()  # how the next one is taken up, if that is certain
        self._next: Hand | None = None  # what was handed ahead
        self._said: list[Point | Divergence] = []  # since the cohort began
        self._open: list[Point | Divergence] = []  # the last of these, that were not answered yet
        self._passing: _Passing | None = None
        self._spoke = 0.0  # when it spoke last
        self._within = math.inf if within is None else within
        self._fastest = math.inf  # seconds of an answer that was waited for; others may have met a pause

    def size(self, cohort: str, machine: str) -> Sizing:
        """Return what is known of how many to train at once on this machine; who is to measure it, tells."""
        known: Sizing = self._call("size", cohort, machine, *self._here)
        return known

    def sized(self, machine: str, choice: Choice) -> None:
        """Tell what was measured."""
        self._call("sized", machine, choice)

    def take_up(
        self, cohort: str, size: int, worker: str, because: str, *, alike: bool = False
    ) -> list[Proposal]:
        """Return the trials of a cohort, which begins with that; who trains so many, and why, is noted.

        The next cohort is taken up `alike`, if that is certain by now.
        """
        self._cohort, self._passing = cohort, None
        self._said.clear()
        self._open.clear()
        words = (size, worker, because, *self._here)
        hand: Hand = self._next or self._timed("take_up", cohort, *words)
        self._next, self._alike = None, words if alike else ()
        self._live = {trial.number for trial in hand.trials}
        self._due, self._spoke = dict(hand.due), self._clock()
        return hand.trials

    def attempt(self, trials: Collection[int], worker: str, notes: Mapping[str, Any]) -> None:
        """Note who trains these trials of the cohort, and what else is known of the way by now."""
        self._call("attempt", self._cohort, list(trials), worker, notes)

    def report(self, reports: Sequence[Point | Divergence]) -> Answer:
        """Return which trials go on, and which are undecided.

        Raises:
            Stopped: the search stops; what was reported is taken in.
        """
        self._said += reports
        self._open += reports
        trials = [report.trial for report in reports]
        try:
            if self._start and not self._decisive(reports) and self._pass_on(self._start, reports):
                return Answer(trials)
            answer: Answer = self._ask("report", [], self._then(trials))
        finally:
            self._spoke = self._clock()
        self._due, self._next = dict(answer.due), answer.next
        on, undecided = ([it for it in told if it in trials] for told in (answer.on, answer.undecided))
        self._live -= {*trials} - {*on}
        return Answer(on, undecided)

    @property
    def handed(self) -> bool:
        """Whether the next cohort's trials were handed ahead."""
        return self._next is not None

    def saved(self, trials: Collection[int]) -> None:
        """Say that these, which are undecided, are saved; nobody waits for that."""
        (self._start or self._call)("saved", [*trials])

    def tell(self, endings: Sequence[Ending]) -> None:
        """Return once the endings are durable; where there are none, nobody is asked."""
        if endings:
            trials = [ending.trial for ending in endings]
            self._next = self._ask("tell", [[*endings]], self._then(trials))
            self._live -= {*trials}

    def lost(self, cohort: str, reason: str) -> bool:
        """Say that a cohort has lost a worker; return whether it had trials."""
        had_trials: bool = self._call("lost", cohort, reason)
        return had_trials

    def _then(self, trials: Collection[int]) -> list[tuple[object, ...]]:
        """Return what to take up if these trials leave, and the cohort is over with that."""
        name = self.following() if self._alike and self._live <= {*trials} else ""
        return [(name, *self._alike)] if name else []

    def _decisive(self, reports: Sequence[Point | Divergence], later: int = 0) -> bool:
        """Whether something may be decided after one of these, or so many epochs later.

        Who has diverged is not spoken of again.
        """
        epochs = ((it, it.epoch + later) for it in reports)
        return any(isinstance(it, Divergence) or at >= self._due.get(it.trial, 0) for it, at in epochs)

    def _pass_on(self, start: Callable[..., Question], reports: Sequence[Point | Divergence]) -> bool:
        """Let what is open be on its way; return whether all go on, as far as is heard by now."""
        now = self._clock()
        epoch = now - self._spoke
        until, waits = now + _SHARE * epoch, self._can_wait(epoch) and self._decisive(reports, later=1)
        while self._open:
            if self._passing is None:
                if waits:
                    return True
                self._passing = _Passing(start("report", [*self._open], (), False), len(self._open))  # noqa: FBT003
            if not self._passing.question.answered(max(0.0, until - self._clock())):
                return True
            if not self._hear(*self._passing):
                return False
        return True

    def _can_wait(self, epoch: float) -> bool:
        """Whether a report can be said an epoch of so many seconds later, and that spares a slow referee."""
        return self._fastest > _SLOW * epoch and _EPOCHS * epoch < self._within

    def _hear(self, question: Question, reports: int) -> bool:
        """Take in the answer to reports in passing; return whether all go on, and need not wait.

        If not, they are said once more, to wait for the answer.
        """
        self._passing = None
        try:
            answer: Answer = question.answer()
        except (MissingEpochError, Stopped):  # which the one that waits is told, too
            return False
        going = {report.trial for report in self._open[:reports]} <= {*answer.on} & answer.due.keys()
        if going:
            del self._open[:reports]
            self._due = dict(answer.due)
        return going

    def _ask(self, method: str, words: Sequence[object], then: Sequence[object]) -> Any:
        """Return the answer to a question, which takes along what is open; if need be, all that was said."""
        self._passing = None
        for _ in range(_TRIES):
            with suppress(MissingEpochError):
                return self._asked(method, words, then)
            self._open = [*self._said]
        return self._asked(method, words, then)

    def _asked(self, method: str, words: Sequence[object], then: Sequence[object]) -> Any:
        answer = self._timed(method, *words, [*self._open], *then)
        self._open.clear()
        return answer

    def _timed(self, method: str, *words: object) -> Any:
        began = self._clock()
        answer = self._call(method, *words)
        self._fastest = min(self._fastest, self._clock() - began)
        return answer
