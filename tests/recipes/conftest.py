import pytest
import torch

from hpo import recipe
from hpo.config import Config
from hpo.training import plain
from hpo.training.engine import Member, Task
from hpo.training.execution import execute
from hpo.training.words import vocabulary_of
from hpo.trial import Point


@pytest.fixture(autouse=True, scope="session")
def one_thread():
    torch.set_num_threads(1)


@pytest.fixture(scope="session")
def run():
    """Execute a shipped recipe by name, with data of its own."""

    def run(name):
        found = recipe.find(name)
        return execute(found.source, found.path)

    return run


@pytest.fixture(scope="session")
def train(run):
    """Train a recipe's baseline, or what differs from it, with the plain engine; return the points."""

    def train(name, epochs, splits=None, values=None):
        found, module = recipe.find(name), run(name)
        config = vocabulary_of(found).defaults(Config({**found.baseline, **(values or {})}))
        task = Task(module, splits or module.data(), found.objective, epochs, seed=0)
        points = [results[0] for results in plain.train(task, [Member(0, config)])]
        assert all(isinstance(point, Point) for point in points)
        return points

    return train
