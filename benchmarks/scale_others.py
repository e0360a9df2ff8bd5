"""What Optuna's own storage takes for the trials of benchmarks/scale.py, beside hpo's referee and ledger.

The same space, the same made-up training, on SQLite each, one trial after the other, every epoch a report
that the pruner answers: hpo with its default sampler and pruner, Optuna with `RDBStorage`, its own default
sampler (`TPESampler`) or `RandomSampler`, and `SuccessiveHalvingPruner`. Before each mark both databases are
filled with trials drawn at random. Told are means over so many trials, by the clock, since Optuna commits
each word by itself and waits for the disk, and of processor time; one run, so that the ratios count.

    python benchmarks/scale_others.py [--marks 1000,10000] [--window 50]
"""

from __future__ import annotations

import argparse
import os
import random
import tempfile
import time
import warnings
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import optuna
from scale import EPOCHS, NAME, RUNGS, STORE, fill, measured, order

Train = Callable[[Any, "Times"], None]


class Times:
    """Adds up, for each kind of call, seconds by the clock and of processor time."""

    def __init__(self) -> None:
        self.spent: dict[str, list[float]] = {}

    @contextmanager
    def of(self, kind: str) -> Iterator[None]:
        """Time what is done within."""
        clock, busy = time.perf_counter(), time.process_time()
        yield
        found = self.spent.setdefault(kind, [0.0, 0.0, 0.0])
        found[0] += 1
        found[1] += time.perf_counter() - clock
        found[2] += time.process_time() - busy

    def told(self, kind: str) -> str:
        """Milliseconds of a call: by the clock (of processor time)."""
        calls, clock, busy = self.spent[kind]
        return f"{1000 * clock / calls:.1f} ({1000 * busy / calls:.1f})"


def ours(window: int) -> Times:
    """Let hpo propose and judge; each answer is durable, as with Optuna."""
    from hpo.ledger import Ledger
    from hpo.referee import Referee
    from hpo.trial import Ending, Outcome

    ledger, times = Ledger(STORE), Times()
    judge = Referee(STORE, NAME, ledger.open_session(ledger.search(NAME)))
    for count in range(window):
        with times.of("ask"):
            (trial,) = judge.ask(f"cohort-{count}", 1)
            judge.flush()
        for epoch in range(1, EPOCHS + 1):
            with times.of("report"):
                kept = judge.report([measured(trial.number, trial.config, epoch)]).on
                judge.flush()
            if not kept:
                break
        with times.of("tell"):
            judge.tell([Ending(trial.number, Outcome.FINISHED)] if kept else [])
            judge.flush()
        judge.lost(f"cohort-{count}", "it is done")
    ledger.close()
    return times


def theirs(study: optuna.Study, window: int, plan: Any) -> Times:
    """Let Optuna propose and judge."""
    from hpo.trial import Point

    times = Times()
    for _ in range(window):
        with times.of("ask"):
            trial = study.ask()
            config = plan.vocabulary.defaults(plan.space.sample(trial))
        state = optuna.trial.TrialState.COMPLETE
        for epoch in range(1, EPOCHS + 1):
            point = measured(trial.number, config, epoch)
            if not isinstance(point, Point):
                state = optuna.trial.TrialState.FAIL
                break
            with times.of("report"):
                trial.report(point.score, epoch)
                pruned = trial.should_prune()
            if pruned:
                state = optuna.trial.TrialState.PRUNED
                break
        with times.of("tell"):
            finished = state == optuna.trial.TrialState.COMPLETE
            study.tell(trial, point.score if finished else None, state)
    return times


def fill_theirs(study: optuna.Study, numbers: range, plan: Any) -> None:
    """Write trials drawn at random into Optuna's database."""
    from hpo.trial import Point

    for number in numbers:
        dice = random.Random(number)
        drawn = optuna.trial.FixedTrial(plan.space.draw(dice))
        config = plan.vocabulary.defaults(plan.space.sample(drawn))
        curve = {}
        for epoch in range(1, EPOCHS + 1):
            point = measured(number, config, epoch)
            if not isinstance(point, Point) or (epoch - 1 in RUNGS and dice.random() > 1 / 3):
                break
            curve[epoch] = point.score
        whole = len(curve) == EPOCHS
        state = optuna.trial.TrialState.COMPLETE if whole else optuna.trial.TrialState.PRUNED
        study.add_trial(
            optuna.trial.create_trial(
                state=state,
                value=curve[EPOCHS] if whole else None,
                params=drawn.params,
                distributions=drawn.distributions,
                intermediate_values=curve,
            )
        )


def show(trials: int, name: str, times: Times) -> None:
    cells = " | ".join(times.told(kind) for kind in ("ask", "report", "tell"))
    print(f"| {trials:,} | {name} | {cells} |", flush=True)


def main() -> None:
    from hpo.ledger import Ledger
    from hpo.planning.plan import Plan

    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("--marks", default="1000,10000")
    parser.add_argument("--window", type=int, default=50)
    given = parser.parse_args()
    marks = [int(it) for it in given.marks.split(",")]
    warnings.simplefilter("ignore")
    optuna.logging.set_verbosity(optuna.logging.ERROR)
    samplers = {"TPESampler": optuna.samplers.TPESampler, "RandomSampler": optuna.samplers.RandomSampler}
    with tempfile.TemporaryDirectory() as folder:
        os.chdir(folder)
        order("blend", 10 * max(marks))
        ledger = Ledger(STORE)
        plan = Plan.of(ledger.search(NAME))
        pruner = optuna.pruners.SuccessiveHalvingPruner()
        study = optuna.create_study(storage="sqlite:///optuna.db", study_name=NAME, pruner=pruner)
        print("| trials | | ms per ask | per report | per tell |\n|---|---|---|---|---|")
        for before, mark in zip([0, *marks], marks, strict=False):
            fill(len(ledger.history(ledger.search(NAME)).trials), mark - given.window)
            fill_theirs(study, range(len(study.get_trials(deepcopy=False)), mark - given.window), plan)
            show(mark, "hpo", ours(given.window))
            for name, make in samplers.items():
                study.sampler = make(seed=before)
                show(mark, f"Optuna, {name}", theirs(study, given.window, plan))


if __name__ == "__main__":
    main()
