"""A thousand workers that report to one referee.

Real referee, real ledger on SQLite, the real host with its groups of commits, as the Ray actor that it is.
The workers are threads in a few processes of Ray, since a thousand processes would measure the machine: each
speaks through a line of its own, as a worker does, and trains a cohort, for a second an epoch, by sleeping.
Points are made up as in benchmarks/scale.py. With `--host none` the actor answers all questions and decides
nothing: what Ray's own calls take. With `--processes 0` there is no Ray, and all are in one process.

What is told: points in a second; the share of the workers' time in which they train and do not wait for an
answer; how long a report waits; and the processor time of a point in the host's process, its share of asking
and of commits included, whose inverse is what one processor can take in. Neighbours lower the others.

    python benchmarks/crowd.py [--workers 1000] [--at-once 10] [--seconds 30] [--epochs 9] [--host real]

Aims: 10,000 points a second, and 95 % of the time spent training.
"""

from __future__ import annotations

import argparse
import asyncio
import itertools
import os
import random
import tempfile
import threading
import time
from collections.abc import Callable, Sequence
from concurrent import futures
from concurrent.futures import Future
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import Any

from scale import NAME, STORE, measured

EPOCH_SECONDS = 1.0


@dataclass
class Tally:
    """What some workers have done: points, seconds that they trained and waited, and each report's wait."""

    points: int = 0
    trained: float = 0.0
    waited: float = 0.0
    reports: list[float] = field(default_factory=list)

    def wait(self, ask: Callable[..., Any], *words: Any) -> Any:
        """Return an answer, and count how long it took."""
        began = time.perf_counter()
        answer = ask(*words)
        self.waited += time.perf_counter() - began
        return answer

    def hear(self, ask: Callable[..., Any], *words: Any) -> Any:
        """Return the answer to a report, likewise."""
        before = self.waited
        answer = self.wait(ask, *words)
        self.reports.append(self.waited - before)
        return answer


def work(wire: Any, name: str, given: argparse.Namespace, tally: Tally) -> None:
    """Work shift after shift, as hpo.cluster.trainable does in a process that is not new."""
    from hpo.cluster.node import Place
    from hpo.cluster.shift import cohorts, length
    from hpo.worker.line import Line

    time.sleep(random.random() * EPOCH_SECONDS)
    for count in itertools.count():
        shift = f"{name}-{count}"
        line = Line(wire.call, [Place("", 0, 0)], wire.start)
        for cohort in cohorts(shift, length(given.workers), line):
            train(line, cohort, given, tally)
        tally.wait(wire.start, "leave", shift)


def train(line: Any, cohort: str, given: argparse.Namespace, tally: Tally) -> None:
    """Train a cohort, as hpo.worker.cohort does."""
    from hpo.trial import Ending, Outcome

    trials = tally.wait(partial(line.take_up, alike=True), cohort, given.at_once, "host/1", "")
    live = {it.number: it.config for it in trials}
    for epoch in range(1, given.epochs + 1):
        time.sleep(EPOCH_SECONDS)
        tally.trained += EPOCH_SECONDS
        reports = [measured(number, config, epoch) for number, config in live.items()]
        answer = tally.hear(line.report, reports)
        if answer.undecided:
            tally.wait(line.saved, answer.undecided)
        tally.points += len(reports)
        live = {number: live[number] for number in answer.on}
        if not live:
            break
    tally.wait(line.tell, [Ending(number, Outcome.FINISHED) for number in live])


class Nearby:
    """A call under way in this process."""

    def __init__(self, future: Future[Any]) -> None:
        self._future, self.answer = future, future.result

    def answered(self, within: float) -> bool:
        """Return whether there is an answer, after so many seconds at most."""
        return bool(futures.wait([self._future], within).done)


class Beside:
    """Stands in for `hpo.cluster.wire.Wire` where the host is in this process, in a loop of its own."""

    def __init__(self, host: Any, loop: asyncio.AbstractEventLoop) -> None:
        self._host, self._loop = host, loop

    def call(self, method: str, *arguments: Any) -> Any:
        """Return a method's answer."""
        return self.start(method, *arguments).answer()

    def start(self, method: str, *arguments: Any) -> Nearby:
        """Call a method, and do not wait."""
        call = getattr(self._host, method)(*arguments)
        return Nearby(asyncio.run_coroutine_threadsafe(call, self._loop))


class Crowd:
    """Some of the workers, all in one process, each in a thread."""

    def __init__(self, wire: Any, first: int, workers: int, given: argparse.Namespace) -> None:
        self._wire, self._given = wire, given
        self._tallies = {f"w{it}": Tally() for it in range(first, first + workers)}
        self._failed: list[BaseException] = []

    def start(self) -> None:
        """Let all of them begin."""
        for name in self._tallies:
            threading.Thread(target=self._work, args=(name,), daemon=True).start()

    def _work(self, name: str) -> None:
        try:
            work(self._wire, name, self._given, self._tallies[name])
        except BaseException as error:  # noqa: BLE001 - it is raised where the tally is asked for
            self._failed.append(error)

    def tally(self) -> Tally:
        """Return what they have done by now, in all, and each report's wait since this was last asked."""
        for error in self._failed:
            raise error
        found = list(self._tallies.values())
        waits = [it.reports.pop() for it in found for _ in range(len(it.reports))]
        sums = (sum(getattr(it, name) for it in found) for name in ("points", "trained", "waited"))
        return Tally(*sums, waits)


def referee_of(given: argparse.Namespace) -> Callable[[], Any]:
    """Write down a search; return what makes its referee."""
    from hpo.ledger import Ledger
    from hpo.planning.ordering import order
    from hpo.referee import Referee
    from hpo.settings import SearchSettings

    store = STORE.replace("///", f"///{os.getcwd()}/")
    ledger, words = Ledger(store), [f"epochs={given.epochs}", f"pruner={given.pruner}", f"name={NAME}"]
    settings = SearchSettings.from_words(["recipe=cnn", "trials=1000000", f"store={store}", *words])
    session = ledger.open_session(ledger.create_search(order(settings)))
    ledger.close()
    return lambda: Referee(store, NAME, session)


def hosting(make: Callable[[], Any]) -> Any:
    """Return the host, which tells the processor time that it took since it was last asked."""
    from hpo.cluster.host import Host

    class Timed(Host):
        def __init__(self) -> None:
            super().__init__(make)
            self._busy = time.process_time()

        async def busy(self) -> float:
            before, self._busy = self._busy, time.process_time()
            return self._busy - before

    return Timed


def idling(make: Callable[[], Any]) -> Any:
    """Return an actor that answers as a host does, hands out what a referee once did, and decides nothing."""
    example = make().ask("example", 1)[0]

    class Idle:
        def __init__(self) -> None:
            self._busy, self._number = time.process_time(), 0

        async def busy(self) -> float:
            before, self._busy = self._busy, time.process_time()
            return self._busy - before

        async def leave(self, *_: Any) -> None: ...
        async def saved(self, *_: Any) -> None: ...
        async def tell(self, *_: Any) -> None: ...

        async def take_up(self, _: str, size: int, *__: Any) -> Any:
            from dataclasses import replace

            from hpo.protocol import Hand

            self._number += size
            return Hand([replace(example, number=self._number - it) for it in range(size)], {})

        async def report(self, reports: Sequence[Any], *_: Any) -> Any:
            from hpo.protocol import Answer

            return Answer([it.trial for it in reports])

    return Idle


def measure(host: Any, crowds: list[Any], given: argparse.Namespace) -> None:
    """Let them work for a while, and tell what was seen."""
    for crowd in crowds:
        crowd("start")
    while sum(crowd("tally").points for crowd in crowds) < given.workers:  # until all have begun
        time.sleep(1.0)
    time.sleep(given.warm)
    before, _ = [crowd("tally") for crowd in crowds], host("busy")
    began = time.perf_counter()
    time.sleep(given.seconds)
    after, busy = [crowd("tally") for crowd in crowds], host("busy")
    show(given, busy, list(map(since, before, after)), time.perf_counter() - began)


def since(before: Tally, after: Tally) -> Tally:
    """Return what was done between two tallies."""
    done = (getattr(after, name) - getattr(before, name) for name in ("points", "trained", "waited"))
    return Tally(*done, after.reports)


def show(given: argparse.Namespace, busy: float, tallies: list[Tally], seconds: float) -> None:
    points, waits = sum(it.points for it in tallies), sorted(itertools.chain(*(it.reports for it in tallies)))
    trained, waited = sum(it.trained for it in tallies), sum(it.waited for it in tallies)
    median, last = (1000 * waits[int(share * len(waits))] for share in (0.5, 0.99))
    print(
        f"host {given.host}, {given.workers} workers, {given.at_once} trials at once, {given.epochs} epochs:"
    )
    print(f"{points / seconds:,.0f} points/s, {trained / (trained + waited):.1%} of the time training")
    print(f"a report waits {median:.1f} ms at the median, {last:.1f} ms at the 99th percentile")
    print(
        f"{1e6 * busy / points:.0f} µs of processor a point; {busy / seconds:.0%} of one processor",
        flush=True,
    )


def with_ray(made: Any, given: argparse.Namespace) -> None:
    import ray

    from hpo.cluster.local import local
    from hpo.cluster.wire import Wire

    # Where the others find `scale`, and whatever was found by this before.
    places = [str(Path(__file__).resolve().parent), os.environ.get("PYTHONPATH", "")]
    os.environ["PYTHONPATH"] = os.pathsep.join(filter(None, places))
    with local(given.processes):
        host = ray.remote(made).options(num_cpus=0, enable_task_events=False).remote()
        share = -(-given.workers // given.processes)
        crowd = ray.remote(Crowd).options(num_cpus=0)
        crowds = [
            Wire(crowd.remote(Wire(host), first, min(share, given.workers - first), given))
            for first in range(0, given.workers, share)
        ]
        measure(Wire(host).call, [it.call for it in crowds], given)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("--workers", type=int, default=1000)
    parser.add_argument("--at-once", type=int, default=10)
    parser.add_argument("--seconds", type=float, default=30.0)
    parser.add_argument("--warm", type=float, default=10.0)
    parser.add_argument("--epochs", type=int, default=9)
    parser.add_argument("--pruner", default="ladder")
    parser.add_argument("--processes", type=int, default=4)
    parser.add_argument("--host", choices=["real", "none"], default="real")
    given = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        os.chdir(folder)
        made = (hosting if given.host == "real" else idling)(referee_of(given))
        (with_ray if given.processes else alone)(made, given)


def alone(made: Any, given: argparse.Namespace) -> None:
    loop = asyncio.new_event_loop()
    threading.Thread(target=loop.run_forever, daemon=True).start()
    wire = Beside(made(), loop)
    crowd = Crowd(wire, 0, given.workers, given)
    measure(wire.call, [lambda name: getattr(crowd, name)()], given)
    loop.call_soon_threadsafe(loop.stop)


if __name__ == "__main__":
    main()
