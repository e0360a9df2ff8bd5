import sys
from pathlib import Path

import pytest
import torch

from hpo import recipe
from hpo.training.checkpoint import write_checkpoint
from hpo.training.execution import execute

sys.path.insert(0, str(Path(__file__).parent))  # for repeating


@pytest.fixture(autouse=True, scope="session")
def one_thread():
    torch.set_num_threads(1)


@pytest.fixture
def own(tiny, tmp_path):
    """The tiny recipe with words of its own, and a checkpoint that fits all but the width of its head."""
    weights = tmp_path / "start.safetensors"
    torch.manual_seed(7)
    network = execute(tiny.source, tiny.path).model()
    network(torch.randn(20, 5))
    network[4] = torch.nn.Linear(8, 7)
    write_checkpoint(weights, network.state_dict(), {"recipe": "other"})
    words = Path(tiny.path).with_name("own.py").read_text().partition("import torch\n")[2]
    return recipe.read(tiny.source + words.replace("START", str(weights)), tiny.path)


@pytest.fixture(scope="session")
def tiny():
    """A recipe that trains in milliseconds."""
    path = Path(__file__).parents[1] / "training" / "tiny.py"
    return recipe.read(path.read_text(), str(path))
