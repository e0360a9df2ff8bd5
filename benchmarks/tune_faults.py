"""The same kills on Ray Tune + OptunaSearch: `kill -9` of the driver at random, then `Tuner.restore`.

Optuna's study lies in SQLite (RDBStorage), each epoch is checkpointed, `max_failures=-1`: all that the two
offer to survive. An epoch is a sleep, and its score a function of the configuration and the epoch; each one
leaves a line in a file, by which is judged what was trained, and how often.

    python benchmarks/faults.py --tune 10
"""

from __future__ import annotations

import argparse
import json
import os
import random
import signal
import subprocess
import sys
import tempfile
import time
from collections import Counter
from contextlib import suppress
from pathlib import Path
from typing import Any

TRIALS, EPOCHS, WORKERS = 8, 6, 2
EPOCH_SECONDS = 0.3
PATIENCE_SECONDS = 180.0
RESTORES = 3


def drive(folder: Path, *, restore: bool) -> None:
    """Run the search, or go on with it."""
    import optuna
    import ray
    from ray import tune
    from ray.tune.search.optuna import OptunaSearch

    optuna.logging.set_verbosity(optuna.logging.ERROR)

    class Trial(tune.Trainable):
        def setup(self, config: dict[str, Any]) -> None:
            self.lr, self.epoch = config["lr"], 0

        def step(self) -> dict[str, Any]:
            time.sleep(EPOCH_SECONDS)
            self.epoch += 1
            with open(folder / "trained.txt", "a", encoding="utf-8") as file:
                file.write(f"{self.lr!r} {self.epoch}\n")
            return {"loss": abs(self.lr - 0.1) / self.epoch, "done": self.epoch == EPOCHS}

        def save_checkpoint(self, checkpoint_dir: str) -> None:
            Path(checkpoint_dir, "epoch").write_text(str(self.epoch), encoding="utf-8")

        def load_checkpoint(self, checkpoint: Any) -> None:
            self.epoch = int(Path(checkpoint, "epoch").read_text(encoding="utf-8"))

    ray.init(num_cpus=WORKERS, include_dashboard=False, log_to_driver=False, object_store_memory=2**27)
    path = folder / "tune" / "hit"
    if restore:
        tuner = tune.Tuner.restore(str(path), tune.with_resources(Trial, {"cpu": 1}), resume_errored=True)
    else:
        search = OptunaSearch(
            {"lr": optuna.distributions.FloatDistribution(1e-3, 1, log=True)},
            metric="loss",
            mode="min",
            storage=optuna.storages.RDBStorage(f"sqlite:///{folder / 'optuna.db'}"),
            sampler=optuna.samplers.RandomSampler(seed=0),
            study_name="hit",
        )
        tuner = tune.Tuner(
            tune.with_resources(Trial, {"cpu": 1}),
            tune_config=tune.TuneConfig(search_alg=search, num_samples=TRIALS, max_concurrent_trials=WORKERS),
            run_config=tune.RunConfig(
                name="hit",
                storage_path=str(folder / "tune"),
                verbose=0,
                failure_config=tune.FailureConfig(max_failures=-1),
                checkpoint_config=tune.CheckpointConfig(checkpoint_frequency=1),
            ),
        )
    assert not tuner.fit().errors


def start(folder: Path, *words: str) -> subprocess.Popen[bytes]:
    with (folder / "output.txt").open("ab") as output:
        return subprocess.Popen(
            [sys.executable, __file__, "--folder", str(folder), *words],
            env={**os.environ, "TMPDIR": str(folder), "HPO_SCENE": folder.name},
            stdout=output,
            stderr=output,
            start_new_session=True,
        )


def trained(folder: Path) -> Counter[tuple[str, str]]:
    """Return how often each epoch of each configuration was trained."""
    file = folder / "trained.txt"
    lines = file.read_text(encoding="utf-8").splitlines() if file.exists() else []
    return Counter((words[0], words[1]) for words in map(str.split, lines) if len(words) == 2)


def complete(epochs: Counter[tuple[str, str]]) -> set[str]:
    return {config for config, epoch in epochs if epoch == str(EPOCHS)}


def run(seed: int) -> dict[str, Any]:
    """Kill one search and restore it; return what came of it."""
    chance = random.Random(seed)
    with tempfile.TemporaryDirectory(prefix="ht-", ignore_cleanup_errors=True) as name:
        folder = Path(name)
        process = start(folder)
        aim = chance.random() * TRIALS * EPOCHS
        while trained(folder).total() <= aim and process.poll() is None:
            time.sleep(0.02)
        process.kill()
        process.wait()
        end_all(folder)
        before, restores, code = trained(folder), 0, -1
        while code != 0 and restores < RESTORES:
            restores += 1
            code = finish(start(folder, "--restore"))
            end_all(folder)
        after = trained(folder)
        cause = (folder / "output.txt").read_text(encoding="utf-8", errors="replace").strip().splitlines()
        again = {c for c in complete(before) if any(after[c, e] > before[c, e] for _, e in before)}
        return {
            "seed": seed,
            "killed after epochs": before.total(),
            "restored": code == 0,
            "restores": restores,
            "lost": max(0, TRIALS - len(complete(after))),
            "double": len(again),
            "epochs more than once": sum(count > 1 for count in after.values()),
            "cause": "" if code == 0 else cause[-1][:200],
        }


def finish(process: subprocess.Popen[bytes]) -> int:
    try:
        return process.wait(PATIENCE_SECONDS)
    except subprocess.TimeoutExpired:
        process.kill()
        return process.wait() or -1


def end_all(folder: Path) -> None:
    """End what is left of Ray; hpo's own benchmark lets it live, Tune is given a clean machine."""
    for entry in Path("/proc").iterdir():
        with suppress(OSError):
            if (
                entry.name.isdigit()
                and f"HPO_SCENE={folder.name}\0" in (entry / "environ").read_text() + "\0"
            ):
                os.kill(int(entry.name), signal.SIGKILL)


def measure(runs: int, seed: int) -> str:
    """Kill so many searches; return a row for the table of `benchmarks/faults.py`."""
    found = []
    for number in range(runs):
        found.append(run(1000 * seed + number))
        print(number, json.dumps(found[-1]), file=sys.stderr, flush=True)
    stuck = sum(not it["restored"] for it in found)
    lost, double = (sum(it[name] for it in found) for name in ("lost", "double"))
    repeated = sum(it["epochs more than once"] for it in found)
    return f"| driver `kill -9` | {runs} | {stuck} | {lost} | {double} | {repeated} |"


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=str(__doc__).splitlines()[0])
    parser.add_argument("--folder", type=Path, required=True)
    parser.add_argument("--restore", action="store_true")
    asked = parser.parse_args()
    drive(asked.folder, restore=asked.restore)
