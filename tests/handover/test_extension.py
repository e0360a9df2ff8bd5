"""`hpo extend`: a trial goes on from where its search left it."""

import os
import subprocess
import sys
from pathlib import Path

import pytest
from trained import TINY, Trained

from hpo import cli
from hpo.ledger import Ledger

HPO = Path(sys.executable).parent / "hpo"


def hpo(folder, *words):
    environment = {name: it for name, it in os.environ.items() if name != "MLFLOW_TRACKING_URI"}
    done = subprocess.run([HPO, *words], cwd=folder, env=environment, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    return done.stdout


def curve(folder, name):
    ledger = Ledger(f"sqlite:///{folder / 'hpo.db'}")
    return ledger.history(ledger.search(name)).trials[0].points


@pytest.mark.slow
@pytest.mark.timeout(600)
def test_a_trial_goes_on_from_its_last_epoch_by_the_schedule_of_all(tmp_path):
    words = [
        f"recipe={TINY}",
        "batch_size=16",
        "optimizer.momentum=0.9",
        "schedule=linear",
        "recipe.samples=90",
    ]
    hpo(tmp_path, "train", *words, "epochs=2", "name=short")
    hpo(tmp_path, "train", *words, "epochs=4", "name=whole")
    hpo(tmp_path, "extend", "short", "epochs=4", "to=longer")
    short, whole, longer = (curve(tmp_path, name) for name in ("short", "whole", "longer"))
    losses = [[point.score for point in it] for it in (short, whole, longer)]
    assert losses[2][:2] == losses[0]
    assert len(losses[2]) == 4
    assert losses[2][2:] != losses[1][2:]
    assert [point.lr for point in longer][2:] == [point.lr for point in whole][2:]


def test_fewer_epochs_are_refused(monkeypatch, capsys):
    monkeypatch.setattr("hpo.chosen.Ledger", Trained)
    assert cli.main(["extend", "tiny-1", "epochs=2"]) == 2
    assert "Trials of tiny-1 have 2 epochs: name a larger number." in capsys.readouterr().err
