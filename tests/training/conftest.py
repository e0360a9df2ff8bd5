from pathlib import Path

import pytest
import torch

from hpo import recipe
from hpo.config import Config
from hpo.training.engine import Member, Task
from hpo.training.execution import execute
from hpo.training.words import VOCABULARY


@pytest.fixture(autouse=True, scope="session")
def one_thread():
    torch.set_num_threads(1)


@pytest.fixture(scope="session")
def tiny():
    """A recipe that trains in milliseconds."""
    path = Path(__file__).with_name("tiny.py")
    return recipe.read(path.read_text(), str(path))


@pytest.fixture(scope="session")
def make_task(tiny):
    """Make a task of the tiny recipe, or of another source text."""

    def make(source=None, splits=None, objective=tiny.objective, epochs=3, seed=0):
        module = execute(source or tiny.source, tiny.path)
        return Task(module, splits or module.data(), objective, epochs, seed)

    return make


@pytest.fixture(scope="session")
def make_member(tiny):
    """Make a member of which only some values are given."""

    def make(number=0, /, **values):
        given = Config({name.replace("__", "."): value for name, value in values.items()})
        return Member(number, VOCABULARY.with_options(tiny.options).defaults(given))

    return make
