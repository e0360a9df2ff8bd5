import inspect
import pickle
import traceback

import pytest

from hpo.training.execution import execute

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
