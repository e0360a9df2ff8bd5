"""What goes wrong in a recipe ends in a record with its reason, and never in a trial that runs for ever."""

import json
import re

import pytest

from hpo import shipped
from hpo.ledger import Ledger
from hpo.trial import Outcome

pytestmark = [pytest.mark.slow, pytest.mark.timeout(600)]

CNN = shipped.folders("recipes")[-1] / "cnn.py"


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
    assert "raylet" not in result.stdout
    trials = {trial["config"]["model.width"]: trial for trial in shown(folder)["trials"]}
    assert {width: trial["outcome"] for width, trial in trials.items()} == {
        16: "finished",
        10: "finished",
        11: "lost",
        12: "failed",
        13: "diverged",
    }
    assert "12 is not a width" in trials[12]["reason"]
    assert "its worker ended by os._exit(3)" in trials[11]["reason"]
    assert "recipes/mine.py:" in trials[11]["reason"]
    assert trials[13]["epochs"] == 0


def test_whatever_a_worker_dies_of_is_noted_and_its_trial_tried_again(folder):
    """A crash, a kill and a hang, each the first time only; `sys.exit` is the recipe's own error."""
    chaos = """
    import ctypes, os, signal, sys

    if 10 < width < 15 and not os.path.exists(str(width)):
        open(str(width), "w").close()
        if width == 11:
            ctypes.string_at(0)
        if width == 12:
            os.kill(os.getpid(), signal.SIGKILL)
        if width == 13:
            os.kill(os.getpid(), signal.SIGSTOP)
        sys.exit("not today")
"""
    broken_recipe(folder, "    return nn.Sequential(\n", f"{chaos}\n    return nn.Sequential(\n")
    widths = "space.model.width={choice: [11, 12, 13, 14]}"
    few = ("trials=5", "epochs=1", "pruner=none", "sampler=qmc", "fuse=off", "report_within=20s")
    result = folder.run("search", "recipe=mine", "space=sgd", *few, widths)
    assert result.returncode == 0, result.stderr
    ledger = Ledger(folder.url)
    trials = {it.proposal.config["model.width"]: it for it in history_of(ledger).trials.values()}
    ledger.close()
    deaths = {width: trial.attempts[-1].notes.get("after", "") for width, trial in trials.items()}
    assert re.match(r"its worker crashed: Segmentation fault \(.*ctypes.*:[0-9]+\)", deaths[11])
    assert deaths[12].startswith("its worker was killed (SIGKILL), ")
    assert deaths[13] == "no report for 20 s"
    assert {trials[width].outcome for width in (11, 12, 13)} == {Outcome.FINISHED}
    assert [len({it.cohort for it in trials[width].attempts}) for width in (11, 12, 13)] == [2, 2, 2]
    assert trials[14].ending.reason.startswith("SystemExit: not today (")


def history_of(ledger):
    return ledger.history(ledger.search("mine-1"))
