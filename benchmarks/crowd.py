"""A thousand workers that report to one referee.

Real referee, real ledger on SQLite, and the real host with its groups of commits, in one process, without
Ray's calls between processes. The workers are tasks of asyncio beside it; each trains a cohort, for a second
an epoch, by sleeping, and reports what the epoch measured. Points are made up as in benchmarks/scale.py.

What is told: points in a second; the share of the workers' time in which they train and do not wait for an
answer; and the processor time of a point, its share of asking and of commits included, whose inverse is what
one processor can take in. Neighbours on the machine lower the first two.

    python benchmarks/crowd.py [--workers 1000] [--at-once 10] [--seconds 30] [--pruner ladder]

Aims: 10,000 points a second, and 95 % of the time spent training.
"""

from __future__ import annotations

import argparse
import asyncio
import os
import tempfile
import time
from dataclasses import dataclass
from typing import Any

from scale import EPOCHS, NAME, STORE, measured

EPOCH_SECONDS = 1.0


@dataclass
class Tally:
    """What the workers have done."""

    points: int = 0
    trained: float = 0.0
    waited: float = 0.0


async def waited(tally: Tally, answer: Any) -> Any:
    began = time.perf_counter()
    found = await answer
    tally.waited += time.perf_counter() - began
    return found


async def work(host: Any, name: str, at_once: int, tally: Tally) -> None:
    """Train cohort after cohort."""
    from hpo.trial import Ending, Outcome

    for count in range(10**9):
        trials = await waited(tally, host.ask(f"{name}-{count}", at_once))
        await waited(tally, host.attempt(f"{name}-{count}", [it.number for it in trials], name, {}))
        live = {it.number: it.config for it in trials}
        for epoch in range(1, EPOCHS + 1):
            await asyncio.sleep(EPOCH_SECONDS)
            tally.trained += EPOCH_SECONDS
            reports = [measured(number, config, epoch) for number, config in live.items()]
            kept = await waited(tally, host.report(reports))
            tally.points += len(reports)
            live = {number: live[number] for number in kept}
            if not live:
                break
        await waited(tally, host.tell([Ending(number, Outcome.FINISHED) for number in live]))


async def crowd(given: argparse.Namespace) -> None:
    from hpo.cluster.host import Host
    from hpo.ledger import Ledger
    from hpo.ordering import order
    from hpo.referee import Referee
    from hpo.settings import SearchSettings

    ledger, words = Ledger(STORE), [f"epochs={EPOCHS}", f"pruner={given.pruner}", f"name={NAME}"]
    settings = SearchSettings.from_words(["recipe=cnn", "trials=1000000", f"store={STORE}", *words])
    session = ledger.open_session(ledger.create_search(order(settings)))
    host, tally = Host(lambda: Referee(STORE, NAME, session)), Tally()
    tasks = [asyncio.create_task(work(host, f"w{it}", given.at_once, tally)) for it in range(given.workers)]
    while tally.points < given.workers:  # until all have begun
        await asyncio.sleep(0.5)
    before, began, busy = Tally(**vars(tally)), time.perf_counter(), time.process_time()
    await asyncio.sleep(given.seconds)
    points = tally.points - before.points
    seconds, busy = time.perf_counter() - began, time.process_time() - busy
    trained, lost = tally.trained - before.trained, tally.waited - before.waited
    for task in tasks:
        task.cancel()
    await asyncio.gather(*tasks, return_exceptions=True)
    await host.flush()
    share, cost = trained / (trained + lost), 1e6 * busy / points
    print(f"{given.workers} workers, {given.at_once} trials at once each: {points / seconds:,.0f} points/s")
    print(f"{share:.1%} of the time training, {cost:.0f} µs of processor a point")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("--workers", type=int, default=1000)
    parser.add_argument("--at-once", type=int, default=10)
    parser.add_argument("--seconds", type=float, default=30.0)
    parser.add_argument("--pruner", default="ladder")
    with tempfile.TemporaryDirectory() as folder:
        os.chdir(folder)
        asyncio.run(crowd(parser.parse_args()))


if __name__ == "__main__":
    main()
