"""One trial on several workers: the first speaks to the referee, its peers follow it from epoch to epoch.

All of them train by the same code, `hpo.worker.cohort.run`, and differ in who they take for the referee: a
`Leader` passes the referee's answers on, a `Follower` waits for them. Any failure ends the trial with its
cause, and none of them waits for ever.
"""

from __future__ import annotations

import json
import time
from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import asdict, replace
from functools import partial
from typing import Any, Final, Protocol

from hpo.protocol import Answer, Referee
from hpo.training.distributed import Meeting, Team, meet
from hpo.trial import Divergence, Ending, Outcome, Point, Proposal
from hpo.worker import cohort
from hpo.worker.cohort import Found, Way
from hpo.worker.job import Job

_MOMENT_SECONDS: Final = 1.0


class Crew(Protocol):
    """The first worker's peers, each in a process of its own, numbered from 1."""

    @property
    def address(self) -> str:
        """Where they reach the first worker."""

    @property
    def size(self) -> int:
        """How many workers there are, with the first."""

    def start(self, task: Callable[[int], None]) -> None:
        """Give each the same task, which is told its number."""

    def dead(self) -> list[int]:
        """Return whose process has ended, after giving those that still work some time."""

    def renew(self) -> None:
        """Put new processes in the place of those that have ended or still work."""


def train(job: Job, name: str, referee: Referee, crew: Crew) -> bool:
    """Train the trial of the cohort of this name, together with the crew; return whether there was one."""
    trials = referee.take_up(name, 1, cohort.this_worker(), "", alike=True)
    if trials:
        store, meeting = meet(crew.address, crew.size)
        found = cohort.find(job, trials)
        crew.start(partial(follow, replace(job, shelf=None), trials, found, meeting))
        with meeting.joined(0, job.parallel, job.device, store) as team:
            cohort.run(
                job, trials, Leader(name, referee, team, crew), Way(team=team, found=found, noted=True)
            )
        cohort.demand_device()
    return bool(trials)


def follow(job: Job, trials: Sequence[Proposal], found: Found, meeting: Meeting, rank: int) -> None:
    """Do a peer's part; all go on from what the first has found, and only the first saves."""
    with meeting.joined(rank, job.parallel, job.device) as team:
        cohort.run(job, trials, Follower(team), Way(team=team, found=found))


class Leader:
    """The referee, as the first worker speaks to it: what it says is passed on to the peers."""

    def __init__(self, name: str, referee: Referee, team: Team, crew: Crew) -> None:
        self.name, self.referee, self.team, self.crew = name, referee, team, crew

    def attempt(self, trials: Collection[int], worker: str, notes: Mapping[str, Any]) -> None:
        """Note who trains."""
        self.referee.attempt(trials, worker, notes)

    def report(self, reports: Sequence[Point | Divergence]) -> Answer:
        """Ask who goes on, for all."""
        answer = self.referee.report(reports)
        self.team.agree(yes=bool(answer.on))
        return answer

    def saved(self, trials: Collection[int]) -> None:
        """Say that these are saved."""
        self.referee.saved(trials)

    def tell(self, endings: Sequence[Ending]) -> None:
        """Pass on how the trial ended; if it failed, with the first cause, which may be a peer's."""
        if any(ending.outcome is Outcome.FAILED for ending in endings):
            self._fail(endings[0])
        else:
            self.referee.tell(endings)

    def _fail(self, ending: Ending) -> None:
        self.team.tell_failure(_written(ending))
        dead, causes = self.crew.dead(), self.team.failures()
        silent = [rank for rank in dead if rank not in causes]
        if silent:
            self.referee.lost(self.name, f"worker {silent[0]} of {self.team.size} died")
        else:
            self.referee.tell([_read(next(iter(causes.values())))])
        self.crew.renew()


class Follower:
    """The referee, as a peer sees it: the first worker's answers."""

    def __init__(self, team: Team) -> None:
        self.team = team

    def attempt(self, trials: Collection[int], worker: str, notes: Mapping[str, Any]) -> None:
        """Leave that to the first worker."""

    def report(self, reports: Sequence[Point | Divergence]) -> Answer:
        """Wait to hear whether to go on."""
        goes_on = self.team.agree(yes=False)
        return Answer([report.trial for report in reports if goes_on])

    def saved(self, trials: Collection[int]) -> None:
        """Leave that to the first worker."""

    def tell(self, endings: Sequence[Ending]) -> None:
        """If this worker failed, say why. If it did so alone, end its process, for which the others wait."""
        for ending in endings:
            if ending.outcome is Outcome.FAILED:
                self.team.tell_failure(_written(ending))
                if not self._first_failed():
                    raise SystemExit(1)

    def _first_failed(self) -> bool:
        """Whether the first worker fails as well, at this moment."""
        until = time.monotonic() + _MOMENT_SECONDS
        while 0 not in self.team.failures():
            if time.monotonic() > until:
                return False
            time.sleep(_MOMENT_SECONDS / 20)
        return True


def _written(ending: Ending) -> str:
    return json.dumps(asdict(ending))


def _read(text: str) -> Ending:
    fields = json.loads(text)
    return Ending(**fields | {"outcome": Outcome(fields["outcome"])})
