from pathlib import Path

import pytest
import torch

from hpo import recipe


@pytest.fixture(autouse=True, scope="session")
def one_thread():
    torch.set_num_threads(1)


@pytest.fixture(scope="session")
def tiny():
    """A recipe that trains in milliseconds."""
    path = Path(__file__).parents[1] / "training" / "tiny.py"
    return recipe.read(path.read_text(), str(path))
