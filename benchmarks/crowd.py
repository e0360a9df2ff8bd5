"""A thousand workers that report to one referee.

Real referee, real ledger on SQLite, the real host with its groups of commits, as the Ray actor that it is.
The workers are tasks of asyncio in a few processes of Ray, since a thousand processes would measure the
machine: each makes the calls that a worker makes, and trains a cohort, for a second an epoch, by sleeping.
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
import os
import random
import tempfile
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from itertools import chain
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

    async def wait(self, answer: Any) -> Any:
        """Return an answer, and count how long it took."""
        began = time.perf_counter()
        found = await answer
        self.waited += time.perf_counter() - began
        return found

    async def hear(self, answer: Any) -> Any:
        """Return the answer to a report, likewise."""
        began = time.perf_counter()
        found = await self.wait(answer)
        self.reports.append(time.perf_counter() - began)
        return found


async def work(call: Callable[..., Any], name: str, given: argparse.Namespace, tally: Tally) -> None:
    """Train cohort after cohort."""
    from hpo.cluster.node import Place
    from hpo.trial import Ending, Outcome

    await asyncio.sleep(random.random() * EPOCH_SECONDS)
    for count in range(10**9):
        cohort = f"{name}-{count}"
        await tally.wait(call("begin", cohort, Place("", 0, 0)))
        trials = await tally.wait(call("ask", cohort, given.at_once))
        await tally.wait(call("attempt", cohort, [it.number for it in trials], name, {}))
        live = {it.number: it.config for it in trials}
        for epoch in range(1, given.epochs + 1):
            await asyncio.sleep(EPOCH_SECONDS)
            tally.trained += EPOCH_SECONDS
            reports = [measured(number, config, epoch) for number, config in live.items()]
            answer = await tally.hear(call("report", reports))
            tally.points += len(reports)
            live = {number: live[number] for number in answer.on}
            if not live:
                break
        await tally.wait(call("tell", [Ending(number, Outcome.FINISHED) for number in live]))
        await tally.wait(call("leave", cohort))


class Crowd:
    """Some of the workers, all in one process."""

    def __init__(self, host: Any, first: int, workers: int, given: argparse.Namespace) -> None:
        self._host, self._given, self._tally = host, given, Tally()
        self._names = [f"w{it}" for it in range(first, first + workers)]
        self._tasks: list[asyncio.Task[None]] = []

    async def start(self) -> None:
        """Let all of them begin."""
        self._tasks = [
            asyncio.create_task(work(self._call, name, self._given, self._tally)) for name in self._names
        ]

    async def tally(self) -> Tally:
        """Return what they have done since this was last asked."""
        for task in self._tasks:
            if task.done():
                task.result()
        told, fresh = Tally(**vars(self._tally)), vars(Tally())
        vars(self._tally).update(fresh)
        return told

    def _call(self, name: str, *arguments: Any) -> Any:
        method = getattr(self._host, name)
        return method.remote(*arguments) if hasattr(method, "remote") else method(*arguments)


def referee_of(given: argparse.Namespace) -> Callable[[], Any]:
    """Write down a search; return what makes its referee."""
    from hpo.ledger import Ledger
    from hpo.ordering import order
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

        async def begin(self, *_: Any) -> None: ...
        async def leave(self, *_: Any) -> None: ...
        async def attempt(self, *_: Any) -> None: ...
        async def tell(self, *_: Any) -> None: ...

        async def ask(self, _: str, size: int) -> list[Any]:
            from dataclasses import replace

            self._number += size
            return [replace(example, number=self._number - it) for it in range(size)]

        async def report(self, reports: Sequence[Any]) -> Any:
            from hpo.trial import Answer

            return Answer([it.trial for it in reports])

    return Idle


async def measure(host: Any, crowds: list[Any], given: argparse.Namespace) -> None:
    """Let them work for a while, and tell what was seen."""

    def call(actor: Any, name: str) -> Any:
        method = getattr(actor, name)
        return method.remote() if hasattr(method, "remote") else method()

    await asyncio.gather(*(call(it, "start") for it in crowds))
    begun = 0
    while begun < given.workers:  # until all have begun
        await asyncio.sleep(1.0)
        begun += sum(it.points for it in await asyncio.gather(*(call(it, "tally") for it in crowds)))
    await asyncio.sleep(given.warm)
    await asyncio.gather(call(host, "busy"), *(call(it, "tally") for it in crowds))
    began = time.perf_counter()
    await asyncio.sleep(given.seconds)
    busy, *tallies = await asyncio.gather(call(host, "busy"), *(call(it, "tally") for it in crowds))
    show(given, busy, tallies, time.perf_counter() - began)


def show(given: argparse.Namespace, busy: float, tallies: list[Tally], seconds: float) -> None:
    points, waits = sum(it.points for it in tallies), sorted(chain(*(it.reports for it in tallies)))
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

    os.environ["PYTHONPATH"] = str(Path(__file__).resolve().parent)  # where the others find `scale`
    with local(given.processes):
        host = ray.remote(made).options(num_cpus=0, max_concurrency=1000).remote()
        share = -(-given.workers // given.processes)
        crowd = ray.remote(Crowd).options(num_cpus=0)
        crowds = [
            crowd.remote(host, first, min(share, given.workers - first), given)
            for first in range(0, given.workers, share)
        ]
        asyncio.run(measure(host, crowds, given))


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
        if given.processes:
            with_ray(made, given)
        else:
            asyncio.run(alone(made, given))


async def alone(made: Any, given: argparse.Namespace) -> None:
    host = made()
    await measure(host, [Crowd(host, 0, given.workers, given)], given)


if __name__ == "__main__":
    main()
