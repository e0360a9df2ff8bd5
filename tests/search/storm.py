"""Searches in a storm: the real conductor, referee and ledger, with made-up workers, clock and deaths.

Everything that happens follows from a seed: how many workers there are, how the search is set, and at which
words to the database the driver is killed, the referee or a worker dies, or the database fails, once or for
minutes.
A killed driver is one whose every further word to the database is refused; then the search is resumed.
After each death and at the end the audit's rules are asked, and what a worker was told to be safe must be
there.

    python tests/search/storm.py --seeds 5000          from 0 on
    python tests/search/storm.py --first 17 --seeds 1  the storm of seed 17 once more
"""

from __future__ import annotations

import argparse
import atexit
import random
import shutil
import sqlite3
import sys
import tempfile
import threading
import time
import types
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from enum import Enum, auto
from functools import cache
from itertools import count
from pathlib import Path
from typing import Any

import pytest
from simulation import Perils, told
from sqlalchemy import Connection, Engine, event

import hpo
from hpo.audit import ledger as account
from hpo.cluster import Order
from hpo.conductor import conductor, session
from hpo.errors import InputError, LedgerError, SearchError
from hpo.ledger import Ledger, UnreachableError, meter, patience
from hpo.ledger import ledger as module
from hpo.ledger.engine import open_engine
from hpo.ledger.revision import prepare
from hpo.machine import hardware
from hpo.machine.hardware import Share
from hpo.planning import changes, ordering
from hpo.progress import clock
from hpo.settings import ResumeSettings, SearchSettings

SESSIONS = 60
PATIENCE = patience.PATIENCE_SECONDS
PAUSE = 1.0  # seconds at most until a driver that waits for the database tries again
NAP = 60.0  # seconds until the user tries again
FAST = Path("/dev/shm")


class Killed(BaseException):
    """The driver is gone, and no code of it runs any more."""


class Fate(Enum):
    """What happens at a statement to the database, or at a commit."""

    DEATH = auto()  # the driver dies before it
    DEATH_AFTER = auto()  # the driver dies after the commit, before it knows
    FAILURE = auto()  # the database fails, and does nothing
    SILENCE = auto()  # the database commits, and its answer is lost
    ABSENCE = auto()  # the database is away from now on, for some minutes at most


Fates = Callable[[int, bool], Fate | None]
"""What happens at the n-th word to the database, which is a commit or not."""


class Clock:
    """Time that passes only when someone sleeps or trains."""

    def __init__(self) -> None:
        self.now = 0.0

    def monotonic(self) -> float:
        return self.now

    def sleep(self, seconds: float) -> None:
        self.now += seconds

    def time(self) -> float:
        """Return the date, which sessions begin at."""
        return time.time()


class Storm:
    """One search, struck as `fates` says; `chance` decides who works when, and what dies beside the driver.

    Of referees and workers, so many `deaths` at most in each session.
    """

    def __init__(
        self, url: str, words: list[str], fates: Fates, chance: random.Random, deaths: int = 2
    ) -> None:
        self.url, self.fates, self.chance, self.deaths = url, fates, chance, deaths
        self.settings = SearchSettings.from_words([*words, f"store={url}", "name=hit"])
        self.clock, self.count, self.killed, self.sessions = Clock(), 0, False, 0
        self.back = self.away = 0.0  # when the database will be back, and how long it will have been away
        self.safe: set[int] = set()  # trials whose end a worker was told to be durable

    def run(self) -> None:
        """See the search to its end, however often it is killed."""
        with self.weather():
            while self.sessions < SESSIONS and not self.session():
                self.check()
        assert self.sessions < SESSIONS, "it does not come to its end"
        self.check()

    def session(self) -> bool:
        """Start or resume the search; return whether it has come to its end."""
        self.killed, self.training, self.sessions = False, False, self.sessions + 1
        try:
            if self.known():
                conductor.resume(ResumeSettings(search="hit", store=self.url), lambda _: Blind())
            else:
                conductor.run(ordering.order(self.settings), self.url, lambda _: Blind())
        except Killed:
            self.bury()
            return False
        except LedgerError:  # the user is told, and tries again
            assert not self.training or self.away > PATIENCE, "what fails for a while stops no training"
            self.clock.sleep(NAP)
            self.bury()
            return False
        except SearchError as failure:
            if "was over first" not in str(failure):  # what it may cost went into what died
                raise
        except InputError as refusal:
            if "is finished" not in str(refusal):  # or it was killed after it had said so
                raise
        return True

    def known(self) -> bool:
        with quiet(self):
            ledger = Ledger(self.url)
            try:
                return ledger.exists() and bool(ledger.searches())
            finally:
                ledger.close()

    def bury(self) -> None:
        """The process of the last session has another number now: this one is not that of a dead driver."""
        with sqlite3.connect(self.url.removeprefix("sqlite:///")) as database:
            database.execute("UPDATE sessions SET born = born - 100 WHERE ended IS NULL")
        database.close()

    def check(self) -> None:
        with quiet(self):
            if not self.known():
                return
            found = account.read(self.url, "hit")
            faults = {check.name: check.examples for check in found.checks if not check.passed}
            assert not faults, faults
            ended = {trial["number"] for trial in found.trials if trial["outcome"]}
            assert self.safe <= ended, f"lost: {self.safe - ended}"
            assert found.winner == self.winner()

    def winner(self) -> int | None:
        ledger = Ledger(self.url)
        try:
            best = ledger.history(ledger.search("hit")).best
        finally:
            ledger.close()
        return best.number if best else None

    @contextmanager
    def weather(self) -> Iterator[None]:
        """Put a made-up cluster and clock in place of the real ones, and listen to what databases hear."""
        cluster = types.ModuleType("hpo.cluster")
        cluster.local = lambda _: still()
        cluster.train = self.train
        cluster.Order = Order
        words = {"before_cursor_execute": self.statement, "commit": self.commit}
        for name, listener in words.items():
            event.listen(Engine, name, listener)
        try:
            with pytest.MonkeyPatch.context() as patch:
                patch.setitem(sys.modules, "hpo.cluster", cluster)
                patch.setattr(hpo, "cluster", cluster, raising=False)
                patch.setattr(module, "open_engine", engine_of)
                patch.setattr(module, "finalize", lambda *_: types.SimpleNamespace())  # all ledgers share it
                patch.setattr(ordering, "versions", versions)
                patch.setattr(changes, "versions", versions)
                patch.setattr(patience, "time", self.clock)
                patch.setattr(clock, "time", self.clock)
                patch.setattr(meter, "time", self.clock)
                patch.setattr(hardware, "share_out", lambda *_: (self.chance.randint(1, 3), Share(1, 0)))
                patch.setattr(session, "Upload", Gone)
                yield
        finally:
            for name, listener in words.items():
                event.remove(Engine, name, listener)

    def statement(self, connection: Connection, _: Any, *__: Any) -> None:
        fate = self.fate(commits=False)
        if fate in (Fate.FAILURE, Fate.SILENCE):
            raise UnreachableError("database is locked")

    def commit(self, connection: Connection) -> None:
        fate = self.fate(commits=True)
        if fate in (Fate.DEATH_AFTER, Fate.SILENCE):
            connection.connection.commit()
        if fate is Fate.DEATH_AFTER:
            self.die()
        if fate in (Fate.FAILURE, Fate.SILENCE):
            raise UnreachableError("disk I/O error")

    def fate(self, *, commits: bool) -> Fate | None:
        """Say what happens now. Those who only watch are never struck, but die with the driver."""
        if self.killed:
            raise Killed
        if threading.current_thread() is not threading.main_thread():
            return None
        if self.clock.now < self.back:
            return Fate.FAILURE
        self.count += 1
        fate = self.fates(self.count, commits)
        if fate is Fate.ABSENCE:
            at_once = self.clock.now <= self.back + PAUSE  # so nothing was done in between
            seconds = self.chance.uniform(1, 4 * PATIENCE)
            self.away = seconds + (self.away if at_once else 0)
            self.back = self.clock.now + seconds
            return Fate.FAILURE
        if fate is Fate.DEATH or (fate is Fate.DEATH_AFTER and not commits):
            self.die()
        return fate

    def die(self) -> None:
        self.killed = True
        raise Killed

    def train(self, make: Callable[[], Any], _: Any, order: Order, __: Any) -> None:
        """Stand in for `hpo.cluster.train`: the workers of one session, and what befalls them."""
        self.training = True
        world = Workplace(self, make)
        if order.resumed:
            world.judge.requeue()
        assert world.run(order.workers, 10_000), "the workers come to no end"
        world.judge.flush()


class Workplace(Perils):
    """The workers of one session, who take their time and note what they were told."""

    def __init__(self, storm: Storm, make: Callable[[], Any]) -> None:
        self.storm = storm
        epochs, deaths = storm.settings.epochs or 1, storm.chance.randint(0, storm.deaths)
        super().__init__(make, epochs, storm.chance, deaths, storm.sessions)

    def call(self, method: str, *arguments: Any) -> Any:
        self.storm.clock.sleep(1)
        answer = super().call(method, *arguments)
        if method == "tell":
            self.storm.safe |= {ending.trial for ending in arguments[0]}
        return answer


class Blind:
    """A viewer that sees nothing."""

    def start(self, *_: Any) -> None: ...

    def update(self, *_: Any) -> None: ...

    def finish(self) -> None: ...


class Gone:
    """An upload that has done its work."""

    def __init__(self, *_: Any) -> None: ...

    def start(self) -> None: ...

    def wait(self) -> None: ...

    def end(self) -> None: ...


@contextmanager
def still() -> Iterator[None]:
    yield


@contextmanager
def quiet(storm: Storm) -> Iterator[None]:
    """Look into the ledger with no harm done."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(storm, "fates", lambda *_: None)
        patch.setattr(storm, "killed", False)
        patch.setattr(storm, "back", 0.0)
        yield


@contextmanager
def folder() -> Iterator[Path]:
    """A folder with a space that is quickly read and an empty ledger, the same one for each storm.

    To make the tables, and an engine with all the words it compiles, takes longer than most storms.
    """
    path, made = workshop()
    for name in ("hpo.db-wal", "hpo.db-shm"):
        Path(path, name).unlink(missing_ok=True)
    Path(path, "hpo.db").write_bytes(made)
    try:
        yield path
    finally:
        engine_of(f"sqlite:///{path}/hpo.db").dispose()


@cache
def workshop() -> tuple[Path, bytes]:
    path = Path(tempfile.mkdtemp(prefix="hpo-storm-", dir=FAST if FAST.exists() else None))
    atexit.register(shutil.rmtree, path)
    Path(path, "small.yaml").write_text("optimizer: {one_of: {sgd: {lr: {log: [0.001, 1]}}}}\n")
    ledger = Ledger(f"sqlite:///{path}/hpo.db")
    prepare(ledger.engine, create=True)
    ledger.close()
    return path, Path(path, "hpo.db").read_bytes()


engine_of = cache(open_engine)
versions = cache(ordering.versions)


def weather(chance: random.Random) -> Fates:
    """Some words to the database in a hundred meet a fate; five times at most it ends the session."""
    share, deaths = chance.choice([0.003, 0.02, 0.1]), iter(range(5))

    def fates(_: int, commits: bool) -> Fate | None:
        if chance.random() > share * (5 if commits else 1):
            return None
        fate = chance.choice(list(Fate))
        mortal = fate in (Fate.DEATH, Fate.DEATH_AFTER, Fate.ABSENCE)
        return None if mortal and next(deaths, None) is None else fate

    return fates


def blow(seed: int) -> Storm:
    """Send one search through the storm of a seed.

    Raises:
        AssertionError: something was lost, doubled or hangs.
    """
    chance = random.Random(seed)
    with folder() as path:
        storm = Storm(f"sqlite:///{path}/hpo.db", words(path, seed, chance), weather(chance), chance)
        storm.run()
    return storm


def words(path: Path, seed: int, chance: random.Random) -> list[str]:
    """Order a small search."""
    return [
        "recipe=linear",
        f"space={path}/small.yaml",
        f"seed={seed}",
        f"trials={chance.randint(1, 6)}",
        f"epochs={chance.randint(1, 4)}",
        f"sampler={chance.choice(['random', 'random', 'qmc', 'tpe'])}",
        f"pruner={chance.choice(['ladder', 'ladder', 'halving', 'none'])}",
        *chance.choice([[], [], ["timeout=20s"], ["budget=40s"], ["budget=6trainings"]]),
        *chance.choice([[], ["confirm_seeds=2"], ["confirm=1", "confirm_seeds=3"]]),
    ]


# What a trial is follows from its number.
QUIET = ["trials=2", "epochs=2", "sampler=random", "pruner=none", "confirm=1", "confirm_seeds=1"]


def strike(number: int, fate: Fate | None, *, commits: bool) -> tuple[bool, list[tuple[Any, ...]]]:
    """Strike a search at its n-th commit, or n-th other word; return whether it has so many, its trials."""
    words, struck = count(1), []

    def fates(_: int, commit: bool) -> Fate | None:
        if commit is not commits or next(words) != number:
            return None
        struck.append(number)
        return fate

    with folder() as path:
        url = f"sqlite:///{path}/hpo.db"
        order = ["recipe=linear", f"space={path}/small.yaml", *QUIET]
        Storm(url, order, fates, random.Random(0), deaths=0).run()
        return bool(struck), told(url, "hit")


def strike_all(fate: Fate, *, commits: bool) -> int:
    """Strike at the first, the second, … until there is no such word; return how many there were.

    Raises:
        AssertionError: a search has other trials than the undisturbed one.
    """
    _, whole = strike(0, None, commits=commits)
    for number in count(1):
        struck, trials = strike(number, fate, commits=commits)
        assert trials == whole, f"{fate} at {number}"
        if not struck:
            return number - 1
    raise AssertionError


def blow_all(first: int, seeds: int) -> None:
    """Send searches through many storms; name the seed of the first that is not weathered."""
    for seed in range(first, first + seeds):
        try:
            blow(seed)
        except BaseException as error:
            error.add_note(f"once more: python tests/search/storm.py --first {seed} --seeds 1")
            raise


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--first", type=int, default=0)
    parser.add_argument("--seeds", type=int, default=1000)
    asked = parser.parse_args()
    blow_all(asked.first, asked.seeds)
    print(f"{asked.seeds} storms weathered")
    struck = sum(strike_all(fate, commits=commits) for fate in Fate for commits in (True, False))
    print(f"{struck} words to the database struck, one after the other")
