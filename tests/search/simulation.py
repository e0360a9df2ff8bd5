"""A search without training: real referee, real ledger, and curves that follow from the configuration."""

from __future__ import annotations

import functools
import hashlib
import math
import random
from collections.abc import Callable, Collection, Iterator
from contextlib import chdir
from dataclasses import replace
from pathlib import Path
from typing import Any

from hpo.cluster.shift import cohorts, shift_of
from hpo.history import History, State
from hpo.ledger import Ledger
from hpo.planning.ordering import order
from hpo.protocol import Answer, MissingEpochError
from hpo.referee import Referee
from hpo.settings import SearchSettings
from hpo.tracking import sync
from hpo.trial import AT_MOST, AT_ONCE, COSTS, Divergence, Ending, Outcome, Point, Proposal
from hpo.worker.line import Line


def started(url: str, *words: str, lag: int = 0, at_work: int = 1) -> str:
    """Write down a new search, with what the machine would have decided, and return its name."""
    settings = SearchSettings.from_words(["recipe=cnn", f"store={url}", *words])
    ledger = Ledger(url)
    search = order(settings)
    decided = {"lag": lag, "at_work": at_work}
    name = ledger.create_search(replace(search, settings={**search.settings, **decided})).name
    ledger.close()
    return name


def referee(url: str, name: str) -> Referee:
    """Return a referee in a session of its own, as after a start or a resume."""
    ledger = Ledger(url)
    session = ledger.open_session(ledger.search(name))
    ledger.close()
    return Referee(url, name, session)


def of(trial: Proposal, epoch: int) -> Point | Divergence:
    """One epoch of a trial."""
    return measured(trial.number, trial.config, epoch, trial.seed or "")


def measured(number: int, config, epoch: int, seed: int | str = "") -> Point | Divergence:
    """One epoch of a made-up training: best at lr 0.02, hopeless far from it, and noisy."""
    distance = abs(math.log10(config["optimizer.lr"] / 0.02))
    if distance > 1.8 and epoch == 2:
        return Divergence(number, epoch, 3, math.inf, 1e6)
    noise = int(hashlib.sha256(f"{config.digest}{epoch}{seed}".encode()).hexdigest()[:6], 16) / 16**6
    loss = (1 + distance) / epoch + 0.05 * noise
    return Point(number, epoch, loss, loss, loss, 0.1, 1.0, 1.0, 0.01, {"accuracy": 1 / (1 + loss)})


class Workers:
    """Workers that train `size` trials at once and take an epoch each in turn, always in the same order.

    What a trial costs they learn from `weigh`, if that is given.
    """

    def __init__(self, count: int, epochs: int, size: int = 1, weigh: Callable | None = None) -> None:
        self.epochs, self.size, self.weigh = epochs, size, weigh
        self.hands: list[tuple[dict[int, Proposal], int] | None] = [None] * count
        self.cohorts = 0

    def turn(self, judge: Referee, hand: int) -> bool:
        """Let one worker do one thing; return whether there was anything to do."""
        held = self.hands[hand]
        if held is None:
            self.hands[hand] = self._take(judge, hand)
            return self.hands[hand] is not None
        trials, epoch = held
        kept, undecided, *_ = judge.report([of(trial, epoch) for trial in trials.values()])
        judge.saved(undecided)
        if epoch == self.epochs:
            judge.tell([Ending(number, Outcome.FINISHED) for number in kept])
            kept = []
        self.hands[hand] = ({number: trials[number] for number in kept}, epoch + 1) if kept else None
        return True

    def _take(self, judge: Referee, hand: int) -> tuple[dict[int, Proposal], int] | None:
        self.cohorts += 1
        cohort = f"cohort-{self.cohorts}"
        trials = judge.ask(cohort, self.size)
        if not trials:
            return None
        numbers = [trial.number for trial in trials]
        notes = {AT_ONCE: len(trials), AT_MOST: self.size}
        judge.attempt(cohort, numbers, f"worker-{hand}", notes)
        if self.weigh:
            costs = {str(trial.number): self.weigh(trial.config) for trial in trials}
            judge.attempt(cohort, numbers, f"worker-{hand}", {**notes, COSTS: costs})
        return dict(zip(numbers, trials, strict=True)), 1


class Passing:
    """A report that nobody waits for: it gets there sooner or later, or never, if its worker dies first."""

    def __init__(self, call: Callable[[], Answer], chance: random.Random) -> None:
        self.call, self.chance = call, chance
        self.told: Answer | MissingEpochError | None = None

    def answered(self, within: float) -> bool:
        del within
        if self.told is None and self.chance.random() < 0.5:
            self.arrive()
        return self.told is not None

    def arrive(self) -> None:
        try:
            self.told = self.call()
        except MissingEpochError as error:
            self.told = error

    def answer(self) -> Answer:
        assert self.told is not None
        if isinstance(self.told, MissingEpochError):
            raise self.told
        return self.told


class Perils:
    """Workers and a referee that die at random, placed as Ray Tune places them.

    What the referee has answered but not committed dies with it; committed is what its host commits before
    it answers. The driver lives, and knows which shifts go on. What a worker has reported in passing may get
    there after its death, or not at all. In a shift it takes up a few cohorts, often with the last word of
    the one before.
    """

    def __init__(
        self,
        make: Callable[[], Referee],
        epochs: int,
        chance: random.Random,
        deaths: int,
        session: int = 0,
        size: int = 2,
    ) -> None:
        self.make, self.epochs, self.session, self.size = make, epochs, session, size
        self.random, self.deaths = chance, deaths
        self.judge = make()
        self.shifts, self.now = 0, 0.0
        self.alive: dict[str, Iterator[None]] = {}
        self.passing: dict[str, Passing] = {}

    def run(self, workers: int, turns: int) -> bool:
        """Take so many turns at most; return whether the search came to its end."""
        for _ in range(turns):
            reclaim(self.judge, self.alive)
            if len(self.alive) < workers and self.judge.ready:
                self.shifts += 1
                shift = f"shift-{self.session}-{self.shifts}"
                self.alive[shift] = self.work(shift)
            elif self.alive:
                self.turn(self.random.choice(sorted(self.alive)))
            elif self.judge.exhausted:
                return True
        return False

    def turn(self, shift: str) -> None:
        if self.dies():
            del self.alive[shift]
            late = self.passing.pop(shift, None)
            for cohort in self.judge.cohorts:
                if shift_of(cohort) == shift:
                    self.call("lost", cohort, "its worker died")
            if late:
                late.answered(0)
        elif next(self.alive[shift], "done") == "done":
            del self.alive[shift]

    def work(self, shift: str) -> Iterator[None]:
        """A worker, which can die wherever it yields."""
        line = Line(self.call, start=functools.partial(self.start, shift), clock=self.clock)
        for cohort in cohorts(shift, self.epochs, line, self.clock):
            taken = line.take_up(cohort, self.size, shift, "", alike=self.random.random() < 0.7)
            if not taken:
                break
            trials = {trial.number: trial for trial in taken}
            for epoch in range(1, self.epochs + 1):
                yield
                kept, undecided, *_ = line.report([of(trial, epoch) for trial in trials.values()])
                if undecided:
                    line.saved(undecided)
                trials = {number: trials[number] for number in kept}
                if not trials:
                    break
            yield
            line.tell([Ending(number, Outcome.FINISHED) for number in trials])

    def start(self, shift: str, method: str, *words: Any) -> Passing:
        """Let a question be under way; that something is saved gets there at once."""
        if method == "saved":
            self.judge.saved(*words)
            return Passing(list, self.random)
        reports, *how = words
        assert how == [(), False]
        self.passing[shift] = Passing(lambda: self.call(method, reports), self.random)
        return self.passing[shift]

    def call(self, method: str, *words: Any) -> Any:
        """Ask the referee, which may be dead by then, or die of it."""
        if self.dies():
            self.judge = self.make()
        words, then = _then(method, words)
        answer = getattr(self.judge, method)(*words)
        ended = method == "report" and len(answer.on) < len({it.trial for it in words[0]})
        hand = None
        if then and not (method == "report" and answer.on):
            hand = self.judge.take_up(*then)
        if ended or method in ("take_up", "attempt", "tell", "lost") or self.random.random() < 0.3:
            self.judge.flush()
        return answer._replace(next=hand) if method == "report" else hand or answer

    def clock(self) -> float:
        """Tell the seconds, any of which may be long or short: a run depends on its dice alone."""
        self.now += self.random.random()
        return self.now

    def dies(self) -> bool:
        dies = self.deaths > 0 and self.random.random() < 0.1
        self.deaths -= dies
        return dies


def _then(method: str, words: tuple[Any, ...]) -> tuple[tuple[Any, ...], tuple[Any, ...]]:
    """Part the words of a question from what is to be taken up after it."""
    own = {"report": 1, "tell": 2}.get(method, len(words))
    return words[:own], next(iter(words[own:]), ())


def reclaim(judge: Referee, alive: Collection[str]) -> None:
    """Tell the referee that only these shifts go on, as its host does."""
    for cohort in judge.cohorts:
        if shift_of(cohort) not in alive:
            judge.lost(cohort, "its worker died")


def in_peril(url: str, name: str, epochs: int, seed: float, deaths: int, size: int = 2) -> Perils:
    """Return perils in a session of their own, as after a start or a resume."""
    ledger = Ledger(url)
    session = ledger.open_session(ledger.search(name))
    ledger.close()
    make = functools.partial(Referee, url, name, session)
    return Perils(make, epochs, random.Random(seed), deaths, session, size)


def run(url: str, name: str, workers: Workers, *, turns: int = 10**9, judge: Referee | None = None) -> int:
    """Let the workers work for so many turns, or to the end; return how many turns were taken."""
    judge = judge or referee(url, name)
    taken = 0
    while taken < turns:
        busy = [workers.turn(judge, hand) for hand in range(len(workers.hands))]
        judge.flush()
        if not any(busy):
            break
        taken += 1
    return taken


def run_in_sessions(url: str, name: str, epochs: int, turns: int) -> int:
    """Let one worker work to the end, interrupted after each so many turns; return how often it was."""
    for session in range(100):
        judge = referee(url, name)
        judge.requeue()
        workers = Workers(1, epochs)
        workers.cohorts = 1000 * session
        if not run(url, name, workers, turns=turns, judge=judge):
            return session
    raise AssertionError("it comes to no end")


def mirrored(folder: Path, epochs: int, state: State, *words: str) -> str:
    """Run a search in a folder, end it like this, and bring MLflow there level; return its name."""
    with chdir(folder):
        name = started("sqlite:///hpo.db", f"epochs={epochs}", *words)
        run("sqlite:///hpo.db", name, Workers(2, epochs, 2))
        ledger = Ledger("sqlite:///hpo.db")
        ledger.close_session(ledger.search(name).session, state)
        sync(ledger, name, f"sqlite:///{folder}/mlflow.db")
        with ledger.engine.connect() as connection:  # so that the file is all there is, and can be copied
            connection.exec_driver_sql("PRAGMA wal_checkpoint(TRUNCATE)")
        ledger.close()
    return name


def history_of(url: str, name: str) -> History:
    """The trials of a search, as its ledger tells them."""
    ledger = Ledger(url)
    history = ledger.history(ledger.search(name))
    ledger.close()
    return history


def told(url: str, name: str) -> list[tuple]:
    """What a search decided and measured, without times: each trial's origin, config, curve and ending."""
    return [
        (
            trial.proposal.origin,
            dict(trial.proposal.params),
            trial.proposal.config,
            [replace(point, at=0, seq=0) for point in trial.points],
            trial.ending and replace(trial.ending, at=0, seq=0),
        )
        for trial in history_of(url, name).trials.values()
    ]
