"""Trials per hour: a bare loop over plain torch, Ray Tune, hpo one by one, hpo fused. On one device.

Every way trains the same trials: random configurations of AdamW and SGD with momentum, a cosine schedule and
clipping, all epochs, with validation after each. They take turns, several rounds; medians are told.

    loop    what one would write by hand (`by_hand.py`): a model, a torch optimizer, LambdaLR, clip_grad_norm_
    tune    Ray Tune, so many trials at the same time as `--tune` says; a trial is that loop. Once with
            actors reused, once by its defaults: a process for each trial. Starting Ray is not counted.
    hpo     hpo's plain engine, one trial after the other, monitors included
    fused K hpo's fused engine, K trials at once

    python benchmarks/fused.py [--recipes mlp,cnn,rnn,transformer] [--sizes 8,16,32] [--rounds 5] [--epochs 2]
                               [--device cpu] [--threads 1] [--tune WORKERS] [--json FILE]

All but the Ray column needs torch and scikit-learn alone. Aims on a CPU core: fused ≥ 4 times the loop on
mlp, ≥ 2 on cnn and transformer, ≥ 1.2 on rnn. On a GPU ≥ 30 times.
"""

from __future__ import annotations

import argparse
import json
import math
import os
import platform
import random
import statistics
import tempfile
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import by_hand
import torch

from hpo import recipe as recipes
from hpo.config import Config
from hpo.training import fused, plain
from hpo.training.engine import Member, Task
from hpo.training.execution import execute
from hpo.training.loop.batches import place
from hpo.training.words import VOCABULARY


def task_of(name: str, epochs: int, device: str) -> tuple[Task, Config]:
    path = by_hand.RECIPES / f"{name}.py"
    read = recipes.read(path.read_text(), str(path))
    module = execute(read.source, read.path)
    baseline = VOCABULARY.with_options(read.options).defaults(Config(read.baseline))
    splits = {key: place(split, device) for key, split in module.data().items()}
    return Task(module, splits, read.objective, epochs, 0, device), baseline


def draw(baseline: Config, trials: int) -> list[Member]:
    chance = random.Random(0)
    """Return random configurations; what concerns neither optimizer nor schedule is the baseline's."""
    changed = ("optimizer", "schedule")
    common = {name: value for name, value in baseline.items() if name.partition(".")[0] not in changed}
    common |= {"schedule": "cosine", "warmup": 0.0}
    members = []
    for number in range(trials):
        lr = math.exp(chance.uniform(math.log(3e-4), math.log(1e-2)))
        if number % 2:
            own = {"": "sgd", ".lr": 10 * lr, ".momentum": chance.uniform(0.8, 0.95)}
        else:
            own = {"": "adamw", ".lr": lr, ".weight_decay": chance.uniform(0, 0.1)}
        named = {f"optimizer{name}": value for name, value in own.items()}
        config = Config({**common, **named, "clip_norm": chance.choice([0.5, 1.0, 5.0])})
        members.append(Member(number, VOCABULARY.defaults(config)))
    return members


def run_by_hand(task: Task, members: Sequence[Member]) -> None:
    for member in members:
        list(by_hand.train(task, member.config))


def run_plain(task: Task, members: Sequence[Member]) -> None:
    for member in members:
        list(plain.train(task, [member]))


def run_fused(task: Task, members: Sequence[Member], size: int) -> None:
    for start in range(0, len(members), size):
        list(fused.train(task, members[start : start + size]))


def run_tune(name: str, task: Task, members: Sequence[Member], workers: int, *, reuse: bool) -> None:
    """Run the hand-written loop as Ray Tune trials, without Tune's loggers and checkpoints."""
    os.environ.update(TUNE_DISABLE_AUTO_CALLBACK_LOGGERS="1", RAY_AIR_NEW_OUTPUT="0")
    from ray import tune

    epochs, device = task.epochs, task.device
    gpus = 1 / workers if device != "cpu" else 0

    class Trial(tune.Trainable):
        def setup(self, config: dict[str, Any]) -> None:
            torch.set_num_threads(1)
            self.task, _ = task_of(name, epochs, device)
            self.reset_config(config)

        def reset_config(self, new_config: dict[str, Any]) -> bool:
            self.member = Member(0, Config(json.loads(new_config["config"])))
            return True

        def step(self) -> dict[str, Any]:
            *_, loss = by_hand.train(self.task, self.member.config)
            return {"loss": loss, "done": True}

    with tempfile.TemporaryDirectory() as folder:
        results = tune.Tuner(
            tune.with_resources(Trial, {"cpu": 1, "gpu": gpus}),
            param_space={"config": tune.grid_search([member.config.to_json() for member in members])},
            tune_config=tune.TuneConfig(max_concurrent_trials=workers, reuse_actors=reuse),
            run_config=tune.RunConfig(
                verbose=0,
                storage_path=folder,
                checkpoint_config=tune.CheckpointConfig(checkpoint_at_end=False),
            ),
        ).fit()
    assert not results.errors, results.errors[0]


def measure(name: str, options: argparse.Namespace) -> dict[str, float]:
    """Return each way's trials per hour."""
    task, baseline = task_of(name, options.epochs, options.device)
    members = draw(baseline, max(options.sizes))
    few = members[: options.few]
    ways: dict[str, tuple[Callable[[], None], int]] = {
        "loop": (lambda: run_by_hand(task, few), len(few)),
        "hpo": (lambda: run_plain(task, few), len(few)),
    }
    for size in options.sizes:
        ways[f"fused {size}"] = (lambda size=size: run_fused(task, members[:size], size), size)
    times: dict[str, list[float]] = {way: [] for way in ways}
    for way, _ in ways.values():
        way()  # to warm up
    for _ in range(options.rounds):
        for label, (way, count) in ways.items():
            started = time.perf_counter()
            way()
            if options.device != "cpu":
                torch.cuda.synchronize()
            times[label].append((time.perf_counter() - started) / count)
    found = {label: 3600 / statistics.median(each) for label, each in times.items()}
    if options.tune:
        for label, reuse in (("tune", True), ("tune fresh", False)):
            started = time.perf_counter()
            run_tune(name, task, members, options.tune, reuse=reuse)
            found[f"{label} x{options.tune}"] = 3600 * len(members) / (time.perf_counter() - started)
    return found


def _words(text: str) -> list[str]:
    return text.split(",")


def _numbers(text: str) -> list[int]:
    return [int(word) for word in text.split(",")]


def main() -> None:
    raw = argparse.RawDescriptionHelpFormatter
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=raw)
    parser.add_argument("--recipes", type=_words, default=_words("mlp,cnn,rnn,transformer"))
    parser.add_argument("--sizes", type=_numbers, default=_numbers("8,16,32"))
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--epochs", type=int, default=2)
    parser.add_argument("--few", type=int, default=4, help="trials of the loop and of plain hpo in a round")
    parser.add_argument("--device", default="cpu")
    parser.add_argument("--threads", type=int, default=1)
    parser.add_argument("--tune", type=int, default=0, help="workers of Ray Tune; 0 leaves the column out")
    parser.add_argument("--json", type=Path)
    options = parser.parse_args()
    torch.set_num_threads(options.threads)
    if options.tune:
        import ray

        ray.init(num_cpus=options.tune, include_dashboard=False, log_to_driver=False)
    table = {}
    for name in options.recipes:
        table[name] = found = measure(name, options)
        cells = (f"{label} {rate:,.0f} ({rate / found['loop']:.2f}x)" for label, rate in found.items())
        print(f"{name:12s} {'  '.join(cells)}", flush=True)
    machine = platform.processor() or platform.machine()
    about = {"torch": torch.__version__, "machine": machine, **vars(options)}
    if options.json:
        told = {"trials per hour": table, "about": about}
        options.json.write_text(json.dumps(told, indent=2, default=str))


if __name__ == "__main__":
    main()
