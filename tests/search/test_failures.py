"""What goes wrong in a recipe ends in a record with its reason, and never in a trial that runs for ever."""

import json
from pathlib import Path

import pytest

from hpo import recipe as recipes

pytestmark = pytest.mark.slow

CNN = Path(recipes.__file__).parent.parent / "recipes" / "cnn.py"


def broken_recipe(folder, old, new):
    (folder.path / "recipes").mkdir()
    text = CNN.read_text()
    assert old in text
    (folder.path / "recipes" / "mine.py").write_text(text.replace(old, new))


def shown(folder):
    return json.loads(folder.run("show", "mine-1", "--json").stdout)


def test_a_recipe_that_always_fails_stops_the_search_with_its_reason(folder):
    broken_recipe(folder, "    rest, test", "    raise RuntimeError('no such disk')\n    rest, test")
    result = folder.run("search", "recipe=mine", "trials=20")
    assert result.returncode == 1
    assert "RuntimeError: no such disk" in result.stderr
    assert "recipes/mine.py:" in result.stderr
    assert "Traceback" not in result.stderr
    state = shown(folder)
    assert state["state"] == "failed"
    assert set(state["counts"]) == {"failed"}
    assert len(state["trials"]) < 8


def test_bad_trials_are_told_apart_and_the_rest_goes_on(folder):
    """A worker that dies, an exception and a NaN, each for some configurations only."""
    chaos = """
    import os

    if width == 11:
        os._exit(3)
    if width == 12:
        raise ValueError("12 is not a width")
    if width == 13:
        return nn.Sequential(nn.Flatten(), nn.Linear(64, 10), nn.Threshold(1e9, float("nan")))
"""
    broken_recipe(folder, "    return nn.Sequential(\n", f"{chaos}\n    return nn.Sequential(\n")
    widths = "space.model.width={choice: [10, 11, 12, 13]}"
    few = ("trials=5", "epochs=1", "pruner=none", "sampler=qmc")
    result = folder.run("search", "recipe=mine", "space=sgd", *few, widths)
    assert result.returncode == 0, result.stderr
    assert "Traceback" not in result.stderr
    trials = {trial["config"]["model.width"]: trial for trial in shown(folder)["trials"]}
    assert {width: trial["outcome"] for width, trial in trials.items()} == {
        16: "finished",
        10: "finished",
        11: "lost",
        12: "failed",
        13: "diverged",
    }
    assert "12 is not a width" in trials[12]["reason"]
    assert trials[13]["epochs"] == 0
