import inspect
import pickle
import traceback

import pytest
import torch

from hpo.training.execution import execute, load_splits

SOURCE = """from __future__ import annotations
from dataclasses import dataclass

@dataclass
class Pair:
    left: int

def fail():
    raise RuntimeError("here")
"""


@pytest.mark.parametrize(
    "text", ["of one line", "before \x0c after", "before \u2028 after"], ids=["plain", "page", "separator"]
)
def test_a_traceback_shows_the_recipes_own_line(text):
    """Whatever its texts hold: only a new line makes a new line for Python."""
    module = execute(
        SOURCE.replace("import annotations\n", f"import annotations  # {text}\n"), "/nowhere/mine.py"
    )
    with pytest.raises(RuntimeError) as caught:
        module.fail()
    told = "".join(traceback.format_exception(caught.value))
    assert 'File "/nowhere/mine.py", line 9, in fail\n    raise RuntimeError("here")' in told


def test_dataclasses_pickle_and_inspect_work_on_it():
    module = execute(SOURCE, "/nowhere/mine.py")
    assert pickle.loads(pickle.dumps(module.Pair(3))) == module.Pair(3)
    assert inspect.getsource(module.fail).startswith("def fail():")


def test_versions_of_a_recipe_are_different_modules():
    first, second = execute("value = 1", "mine.py"), execute("value = 2", "mine.py")
    assert (first.value, second.value) == (1, 2)
    assert first.__name__ != second.__name__


PINNED = """
import torch
from torch.utils.data import DataLoader, TensorDataset

def data():
    rows = TensorDataset(torch.zeros(4, 1), torch.zeros(4))
    return {name: DataLoader(rows, 2, pin_memory=True) for name in ("train", "validation")}
"""


@pytest.mark.skipif(torch.accelerator.is_available(), reason="memory is pinned for it")
def test_memory_that_is_to_be_pinned_for_no_accelerator_is_no_matter():
    """Torch would warn of it each time that the loader is read."""
    for split in load_splits(execute(PINNED, "pinned.py"), {}).values():
        assert [len(targets) for _, targets in split] == [2, 2]
