"""What tests share: their order, long ones first so that none is alone at the end; databases; a recipe."""

import signal
from pathlib import Path

import hypothesis
import pytest
from postgres import Server

from hpo import recipe

# How long an example takes says more of the machine than of the code.
hypothesis.settings.register_profile("hpo", deadline=None)
hypothesis.settings.load_profile("hpo")


# What is ignored by nohup stays so in all that is started; what has a handler does not.
if signal.getsignal(signal.SIGHUP) is signal.SIG_IGN:
    signal.signal(signal.SIGHUP, lambda *_: None)


@pytest.hookimpl(trylast=True)
def pytest_collection_modifyitems(items):
    items.sort(key=_rank)


def _rank(item):
    """Put the longest first, then what is slow, then the rest; the order is kept otherwise."""
    longest = item.name == "test_every_command_of_the_readme_runs"
    return (not longest, item.get_closest_marker("slow") is None)


@pytest.fixture(scope="session")
def postgres():
    """A PostgreSQL of our own, started when a test first needs it."""
    server = Server()
    yield server
    server.end()


@pytest.fixture(params=["sqlite", pytest.param("postgresql", marks=pytest.mark.xdist_group("postgresql"))])
def store(request, tmp_path):
    """The address of an empty ledger, in each kind of database."""
    if request.param == "sqlite":
        return f"sqlite:///{tmp_path}/hpo.db"
    return request.getfixturevalue("postgres").empty()


@pytest.fixture(scope="session")
def tiny():
    """A recipe that trains in milliseconds."""
    path = Path(__file__).parent / "training" / "tiny.py"
    return recipe.read(path.read_text(), str(path))


@pytest.fixture
def own(tiny, tmp_path):
    """The tiny recipe with words of its own, and a checkpoint that fits all but the width of its head."""
    import torch

    from hpo.training.checkpoint import write_checkpoint
    from hpo.training.execution import execute

    weights = tmp_path / "start.safetensors"
    torch.manual_seed(7)
    network = execute(tiny.source, tiny.path).model()
    network(torch.randn(20, 5))
    network[4] = torch.nn.Linear(8, 7)
    write_checkpoint(weights, network.state_dict(), {"recipe": "other"})
    words = Path(tiny.path).with_name("own.py").read_text().partition("import torch\n")[2]
    return recipe.read(tiny.source + words.replace("START", str(weights)), tiny.path)
