"""What an export is compared with: the engine's curve; and how code is to look."""

import subprocess
import sys

from hpo.config import Config
from hpo.training.engine import Member, Task
from hpo.training.execution import execute, load_splits
from hpo.training.plain import train
from hpo.training.words import vocabulary_of


def complete(recipe, values):
    config = vocabulary_of(recipe).defaults(Config(values))
    assert not vocabulary_of(recipe).check(config, "")
    return config


def curve(recipe, config, data_options=None, epochs=2):
    """Return the same rows from the engine."""
    module = execute(recipe.source, recipe.path)
    task = Task(module, load_splits(module, data_options or {}), recipe.objective, epochs, seed=3)
    points = [points[0] for points in train(task, [Member(0, config)])]
    rows = [[p.epoch, p.train_loss, p.loss, *p.metrics.values(), p.lr] for p in points]
    names = ["epoch", "train_loss", "loss", *points[0].metrics, "lr"]
    return [names, *([repr(value) for value in row] for row in rows)]


def assert_formatted(path):
    ruff = [sys.executable, "-m", "ruff"]
    options = ["--isolated", "--line-length", "110"]
    subprocess.run([*ruff, "format", "--check", *options, str(path)], check=True)
    subprocess.run(
        [*ruff, "check", "--select", "E,F,I,B,UP,D", *options, "--ignore", "D1,D2,D4", str(path)], check=True
    )
