import pytest
import torch

from hpo.config import Config
from hpo.training.engine import Member, Task
from hpo.training.execution import execute
from hpo.training.words import VOCABULARY


@pytest.fixture(autouse=True, scope="session")
def one_thread():
    torch.set_num_threads(1)


@pytest.fixture
def make_gpu(monkeypatch):
    """Make up a GPU, of which so much is free: torch's own functions, but for the driver beneath them."""

    def make(free, whole, reserved=0, allocated=0):
        fractions = {}
        found = {"mem_get_info": (free, whole), "memory_reserved": reserved, "memory_allocated": allocated}
        for name, value in found.items():
            monkeypatch.setattr(torch.cuda, name, lambda _device, value=value: value)
        monkeypatch.setattr("torch.cuda.memory._lazy_init", lambda: None)
        monkeypatch.setattr(torch.cuda, "current_device", lambda: 0)
        keep, tell = (lambda own, at: fractions.update({at: own})), (lambda at: fractions.get(at, 1.0))
        monkeypatch.setattr(torch._C, "_cuda_setMemoryFraction", keep, raising=False)
        monkeypatch.setattr(torch._C, "_cuda_getMemoryFraction", tell, raising=False)
        return fractions

    return make


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
