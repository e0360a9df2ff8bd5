"""`hpo export NAME to=DIR/`: a folder that needs no hpo, and says what it is."""

import os
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import pytest
import torch

from hpo import cli
from hpo.history import History
from hpo.plan import Plan, order_training
from hpo.settings import TrainSettings
from hpo.training.engine import Member, Task
from hpo.training.execution import execute
from hpo.training.plain import train
from hpo.trial import Attempt, Ending, Outcome, Proposal

TINY = Path(__file__).parents[1] / "training" / "tiny.py"
FILES = "README.md config.yaml curve.txt model.safetensors optim.py requirements.txt train.py verify.sh"


class Fake:
    """A ledger that holds one training of two epochs; `score` is added to what its last one was."""

    added = 0.0

    def __init__(self, _):
        words = [f"recipe={TINY}", "epochs=2", "batch_size=16", "name=tiny-1"]
        ordered = order_training(TrainSettings.from_words(words))
        self._search = replace(ordered, settings={**ordered.settings, "threads": 1, "device": "cpu"})

    def search(self, _):
        return self._search

    def history(self, search):
        plan = Plan.of(search)
        torch.set_num_threads(plan.setting("threads"))
        module = execute(search.source, search.path)
        task = Task(module, module.data(), search.objective, 2, seed=0)
        points = [points[0] for points in train(task, [Member(0, plan.baseline)])]
        points[-1] = replace(points[-1], loss=points[-1].loss + self.added)
        ending = Ending(0, Outcome.FINISHED, points[-1].score)
        return History(
            search.objective, [Proposal(0, plan.baseline, "baseline"), Attempt(0, "here/1"), *points, ending]
        )


@pytest.fixture
def export(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr("hpo.handover.Ledger", Fake)
    return lambda *words: cli.main(["export", "tiny-1", *words])


def verified(*words):
    environment = {**os.environ, "PATH": f"{Path(sys.executable).parent}:{os.environ['PATH']}"}
    return subprocess.run(["tiny/verify.sh", *words], env=environment, capture_output=True, text=True)


def test_a_folder_holds_the_code_the_weights_and_what_they_are(export, tmp_path, capsys):
    assert export("to=tiny/") == 0
    assert sorted(path.name for path in (tmp_path / "tiny").iterdir()) == sorted(FILES.split())
    assert "it has repeated the search's curve to the last digit" in capsys.readouterr().out
    card = (tmp_path / "tiny" / "README.md").read_text()
    for told in (
        "# trial 0 of tiny-1",
        "| minimize loss | ",
        "| seed | 0 |",
        "| data (SHA-256) | ",
        "| torch | ",
    ):
        assert told in card
    required = (tmp_path / "tiny" / "requirements.txt").read_text()
    assert "torch==" in required
    assert "+cpu" not in required
    assert export("to=tiny/") == 2
    assert "This folder is not empty" in capsys.readouterr().err


def test_a_curve_that_is_another_is_told(export, monkeypatch, capsys):
    monkeypatch.setattr(Fake, "added", 1.0)
    assert export("to=tiny/") == 0
    assert "NOT repeated: trained once more, it differs" in capsys.readouterr().out


def test_weights_go_into_the_folder_in_any_case(export, capsys):
    assert export("to=tiny/", "weights=a.safetensors") == 2
    assert "Leave this out" in capsys.readouterr().err


@pytest.mark.slow
def test_the_folder_verifies_itself(export, tmp_path):
    export("to=tiny/")
    found = verified()
    assert (found.returncode, found.stderr) == (0, "")
    assert "is repeated to the last digit; the tolerance is 0: verified." in found.stdout
    other = verified("--seed", "1")
    assert other.returncode == 1
    assert "NOT verified" in other.stdout
