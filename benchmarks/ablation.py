"""What each part of hpo's default search gives: searches on recorded curves, with one part taken out each.

Figures, curves and seeds are those of `replay.py`. Ways to search are `hpo` (no prior), `hpo+lists`,
`hpo+prior` and `hpo+wrong`; see `searchers.py`.

    python benchmarks/ablation.py --curves DIR [--seeds 30] [--ways hpo,hpo+prior,hpo+wrong]
                                  [--without nothing,rungs,…] [--processes 2] [--final]
"""

from __future__ import annotations

import argparse
from collections.abc import Callable, Iterator
from concurrent.futures import ProcessPoolExecutor
from contextlib import AbstractContextManager, ExitStack
from dataclasses import replace
from pathlib import Path
from unittest.mock import patch

import replay
from curves import Table

from hpo.planning.plan import Plan
from hpo.study import blend, ladder, pruning

Part = Callable[[], list[AbstractContextManager[object]]]


def _source(*names: str) -> Part:
    """Return what keeps a search from asking these sources."""
    can = blend.Blend._can
    return lambda: [patch.object(blend.Blend, "_can", lambda self, it: it not in names and can(self, it))]


def _evenly(self: blend.Blend) -> dict[str, float]:
    return {source: 1.0 for source in blend._SOURCES if self._can(source)}


PARTS: dict[str, Part] = {
    "nothing": list,
    "near": _source(blend.NEAR),
    "model": _source(blend.MODEL),
    "near+model": _source(blend.NEAR, blend.MODEL),
    "evidence": lambda: [patch.object(blend.Blend, "_weights", _evenly)],
    "floor": lambda: [patch.object(blend, "_FLOOR", 0.0), patch.object(blend, "_GUARD", 0.0)],
    "guard": lambda: [patch.object(blend, "_GUARD", blend._FLOOR)],
    "waiting": lambda: [patch.object(Plan, "patient", new=False)],
    "doubt": lambda: [patch.object(ladder.Ladder, "_doubt", lambda *_: 0.0)],
    "trust": lambda: [patch.object(pruning.Pruning, "_beats_the_expert", lambda *_: False)],
}
"""What is taken out, and how; `WORDS` has the others."""
WORDS = {"rungs": "blend+none", "ladder": "blend+halving"}
"""What other words of a search take out."""


def search(job: tuple[str, replay.Job]) -> replay.Course:
    """Run one search without a part; return how soon it got how good."""
    part, (way, *rest) = job
    name = way.replace("hpo", f"hpo:{WORDS[part]}", 1) if part in WORDS else way
    with ExitStack() as stack:
        for it in PARTS.get(part, list)():
            stack.enter_context(it)
        course = replay.replay((name, *rest))
    return replace(course, searcher=f"{way}, no {part}")


def run(jobs: list[tuple[str, replay.Job]], processes: int) -> Iterator[replay.Course]:
    """Yield the course of each search."""
    with ProcessPoolExecutor(processes) as pool:
        yield from pool.map(search, jobs, chunksize=4)


def main() -> None:
    parser = argparse.ArgumentParser(description=str(__doc__).splitlines()[0])
    parser.add_argument("--curves", type=Path, required=True, help="a folder of recorded curves")
    parser.add_argument("--seeds", type=int, default=30)
    parser.add_argument("--ways", default="hpo,hpo+prior,hpo+wrong")
    parser.add_argument("--without", default=",".join([*PARTS, *WORDS]))
    parser.add_argument("--processes", type=int, default=1)
    parser.add_argument("--final", action="store_true", help="count only the last loss of full trainings")
    words = parser.parse_args()
    paths = sorted(words.curves.glob("*.json*"))
    tables = [Table.read(path, final=words.final) for path in paths]
    for way in words.ways.split(","):
        jobs = [
            (part, (way, path, seed, words.final))
            for part in words.without.split(",")
            for seed in range(words.seeds)
            for path in paths
        ]
        print(replay.report(list(run(jobs, words.processes)), tables), flush=True)


if __name__ == "__main__":
    main()
