"""What a search costs beside its training: 200 trials of 10 reports, where an epoch takes microseconds.

Four ways to do the same work, each in a fresh process and folder, two workers at a time, on the space
`default` with recipe benchmarks/recipes/trivial.py:

    bare        a Python loop over hpo's plain engine in one process; nothing is written down
    tune        Ray Tune + OptunaSearch (TPE) on an Optuna SQLite storage, actors reused, Tune's loggers off
    tune fresh  the same with reuse_actors off, Tune's default; a tenth of the trials: each starts a process
    hpo         `hpo search`: TPE, pruner=none so that all reports happen, ledger on SQLite with each commit
                synced, MLflow told by its own process while the search runs

Of hpo two times are told: until the result is there, and until MLflow has it all too. Each way is also run
with 2 trials: the difference over the trials between is the cost of a trial without the start. The ways take
turns. What was reported is counted in the databases afterwards.

    python benchmarks/overhead.py [--trials 200] [--rounds 3] [--json FILE]

Aim: hpo's seconds per trial, start excluded, ≤ 1/5 of Ray Tune's with reused actors.
"""

from __future__ import annotations

import argparse
import json
import os
import random
import sqlite3
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from functools import cache
from pathlib import Path
from typing import Any

HERE = Path(__file__).resolve()
EPOCHS = 10
WORDS = (f"recipe={HERE.parent / 'recipes' / 'trivial.py'}", f"epochs={EPOCHS}", "space.batch_size=4")
WORKERS = 2
START = 2  # trials of the run that measures the start
FRESH_SHARE = 10
ROWS = ("bare", "tune", "tune fresh", "hpo", "hpo + MLflow")


def plan_of(trials: int) -> Any:
    from hpo.planning.ordering import order
    from hpo.planning.plan import Plan
    from hpo.settings import SearchSettings

    return Plan.of(order(SearchSettings.from_words([*WORDS, f"trials={trials}"])))


def training() -> Callable[[Any], Any]:
    """Return what trains a configuration: an iterator over its epochs' scores."""
    from hpo.training import plain
    from hpo.training.engine import Member
    from hpo.worker.job import Job
    from hpo.worker.preparation import prepare

    plan = plan_of(START)
    search = plan.search
    job = Job(search.source, search.path, search.objective, EPOCHS, seed=0, baseline=plan.baseline)
    task = prepare(job)

    def train(config: Any) -> Any:
        for (point,) in plain.train(task, [Member(0, config)]):
            yield point.score

    return train


def bare(trials: int) -> None:
    from optuna.trial import FixedTrial

    plan, train, draws = plan_of(trials), training(), random.Random(0)
    for _ in range(trials):
        sampled = plan.space.sample(FixedTrial(plan.space.draw(draws)))
        assert len(list(train(plan.vocabulary.defaults(sampled)))) == EPOCHS


@cache
def space_of_all() -> Any:
    return plan_of(START)


def define(trial: Any) -> dict[str, Any]:
    """Return a configuration, as text: hpo's space as OptunaSearch wants it, and where pickle finds it."""
    plan = space_of_all()
    return {"json": plan.vocabulary.defaults(plan.space.sample(trial)).to_json()}


def tune(trials: int, *, reuse: bool) -> None:
    os.environ["TUNE_DISABLE_AUTO_CALLBACK_LOGGERS"] = "1"
    import optuna
    import ray
    from ray import tune as ray_tune
    from ray.tune.search.optuna import OptunaSearch

    from hpo.config import Config

    optuna.logging.set_verbosity(optuna.logging.ERROR)

    class Trial(ray_tune.Trainable):
        def setup(self, config: dict[str, Any]) -> None:
            self.train_one = training()
            self.reset_config(config)

        def reset_config(self, new_config: dict[str, Any]) -> bool:
            self.scores = self.train_one(Config(json.loads(new_config["json"])))
            self.left = EPOCHS
            return True

        def step(self) -> dict[str, Any]:
            self.left -= 1
            return {"loss": next(self.scores), "done": not self.left}

    folder = Path.cwd()
    ray.init(num_cpus=WORKERS, include_dashboard=False, log_to_driver=False, object_store_memory=2**27)
    storage = optuna.storages.RDBStorage(f"sqlite:///{folder / 'optuna.db'}")
    search = OptunaSearch(
        define, metric="loss", mode="min", storage=storage, sampler=optuna.samplers.TPESampler(seed=0)
    )
    ray_tune.Tuner(
        ray_tune.with_resources(Trial, {"cpu": 1}),
        tune_config=ray_tune.TuneConfig(
            search_alg=search, num_samples=trials, max_concurrent_trials=WORKERS, reuse_actors=reuse
        ),
        run_config=ray_tune.RunConfig(
            storage_path=str(folder / "tune"),
            verbose=0,
            checkpoint_config=ray_tune.CheckpointConfig(checkpoint_at_end=False),
        ),
    ).fit()


WAYS: dict[str, Callable[[int], None]] = {
    "bare": bare,
    "tune": lambda trials: tune(trials, reuse=True),
    "tune fresh": lambda trials: tune(trials, reuse=False),
}


def run(way: str, trials: int) -> dict[str, float]:
    """Go one way in a process of its own; return the seconds it took, and check that all was reported."""
    command = [sys.executable, str(HERE), "--way", way, "--trials", str(trials)]
    if way == "hpo":
        words = [*WORDS, f"trials={trials}", "pruner=none", "confirm=0", f"workers={WORKERS}"]
        command = [sys.executable, "-m", "hpo", "search", *words]
    with tempfile.TemporaryDirectory(prefix="hpo-overhead-", ignore_cleanup_errors=True) as folder:
        environment = {**os.environ, "PYTHONPATH": os.environ.get("PYTHONPATH") or str(HERE.parent.parent)}
        with open(os.path.join(folder, "output.txt"), "w+", encoding="utf-8") as output:
            start = time.time()
            code = subprocess.call(command, cwd=folder, env=environment, stdout=output, stderr=output)
            whole = time.time() - start
            output.seek(0)
            assert code == 0, output.read()[-3000:]
        if way == "hpo":
            count, ended = one(
                folder, "hpo.db", "select count(*), (select max(ended) from sessions) from points"
            )
            told = one(folder, "mlflow.db", "select count(*) from metrics where key = 'validation_loss'")[0]
            # The winner of trials that were trained at once is trained once more alone.
            assert count == told, (count, told)
            assert count in (trials * EPOCHS, (trials + 1) * EPOCHS), count
            return {"hpo": ended - start, "hpo + MLflow": whole}
        if way != "bare":
            assert one(folder, "optuna.db", "select count(*) from trial_intermediate_values")[0] > 0
            assert (
                one(folder, "optuna.db", "select count(*) from trials where state = 'COMPLETE'")[0] == trials
            )
        return {way: whole}


def one(folder: str, name: str, query: str) -> tuple[Any, ...]:
    with sqlite3.connect(os.path.join(folder, name)) as database:
        row: tuple[Any, ...] = database.execute(query).fetchone()
    return row


def count_of(way: str, trials: int) -> int:
    return max(START + 1, trials // FRESH_SHARE) if way == "tune fresh" else trials


def measure(trials: int, rounds: int) -> dict[str, list[dict[str, float]]]:
    """Return for each row a list of rounds: the seconds of the start, of all, and of one trial in between."""
    found: dict[str, list[dict[str, float]]] = {row: [] for row in ROWS}
    ways = ["bare", "hpo", "tune", "tune fresh"]
    for number in range(rounds):
        for way in ways if number % 2 == 0 else ways[::-1]:
            count = count_of(way, trials)
            short, full = run(way, START), run(way, count)
            for row, seconds in full.items():
                per_trial = (seconds - short[row]) / (count - START)
                found[row].append({"trials": count, "all": seconds, "start": short[row], "trial": per_trial})
                print(
                    f"round {number + 1}  {row}: {seconds:.1f} s, {1000 * per_trial:.1f} ms", file=sys.stderr
                )
    return found


def table(found: dict[str, list[dict[str, float]]]) -> str:
    lines = [
        f"{'':<14}{'trials':>7}{'all s':>8}{'2 trials s':>11}{'ms/trial':>10}{'+start':>9}{'to tune':>9}"
    ]
    for row, rounds in found.items():
        medians = {key: statistics.median(it[key] for it in rounds) for key in rounds[0]}
        pairs = zip(rounds, found["tune"], strict=True)
        ratio = statistics.median(ours["trial"] / theirs["trial"] for ours, theirs in pairs)
        with_start = 1000 * medians["all"] / medians["trials"]
        figures = f"{medians['all']:>8.1f}{medians['start']:>11.1f}{1000 * medians['trial']:>10.1f}"
        lines.append(f"{row:<14}{medians['trials']:>7.0f}{figures}{with_start:>9.1f}{ratio:>9.3f}")
    return "\n".join(lines)


def main() -> None:
    parser = argparse.ArgumentParser(description=str(__doc__).splitlines()[0])
    parser.add_argument("--trials", type=int, default=200)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--json", type=Path, help="write every sample here")
    parser.add_argument("--way", choices=WAYS, help=argparse.SUPPRESS)
    words = parser.parse_args()
    if words.way:
        WAYS[words.way](words.trials)
        return
    found = measure(words.trials, words.rounds)
    print(table(found))
    if words.json:
        record = {"cpus": os.cpu_count(), "load": os.getloadavg(), "rounds": found}
        words.json.write_text(json.dumps(record, indent=2), encoding="utf-8")


if __name__ == "__main__":
    main()
