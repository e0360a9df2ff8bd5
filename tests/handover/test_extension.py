"""`hpo extend`: a trial goes on from where its search left it."""

import os
import shutil
import sqlite3
import subprocess
import sys
from contextlib import closing
from pathlib import Path

import pytest
from trained import TINY, Trained

from hpo import cli
from hpo.conductor import inprocess, upload
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
    monkeypatch.setattr("hpo.handover.chosen.Ledger", Trained)
    assert cli.main(["extend", "tiny-1", "epochs=2"]) == 2
    assert "Trials of tiny-1 have 2 epochs: name a larger number." in capsys.readouterr().err


@pytest.fixture
def short(tmp_path, monkeypatch):
    """A folder with a training of two epochs, of which MLflow hears nothing."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.delenv("HPO_STORE", raising=False)
    monkeypatch.setattr(upload.Upload, "start", lambda _: None)
    assert cli.main(["train", f"recipe={TINY}", "batch_size=16", "epochs=2", "name=short"]) == 0
    return tmp_path


EXTEND = ("extend", "short", "epochs=4", "to=longer")
ANEW = "Begin it anew, under another name: hpo extend short trial=0 epochs=4 to="


def test_what_it_began_from_is_needed_by_all_who_would_train_it_again(short, monkeypatch, capsys):
    def interrupt(*_, **__):
        raise KeyboardInterrupt

    with monkeypatch.context() as hasty:
        hasty.setattr(inprocess, "train", interrupt)
        assert cli.main(EXTEND) == 130
    kept = short / "hpo.db.checkpoints"
    kept.rename(short / "elsewhere")
    assert cli.main(["resume", "longer"]) == 2
    assert ANEW in capsys.readouterr().err
    kept_again = (short / "elsewhere").rename(kept)
    assert cli.main(["resume", "longer"]) == 0
    assert [point.epoch for point in curve(short, "longer")] == [1, 2, 3, 4]
    assert [it.score for it in curve(short, "longer")][:2] == [it.score for it in curve(short, "short")]
    assert cli.main(["export", "longer", "as=torch_export", "to=model.pt2"]) == 0
    shutil.rmtree(kept_again)
    capsys.readouterr()
    assert cli.main(["export", "longer", "as=torch_export", "to=again.pt2"]) == 2
    assert ANEW in capsys.readouterr().err
    assert cli.main(["replay", "longer", "trial=0"]) == 2
    assert "It went on from short/0" in capsys.readouterr().err
    assert cli.main(["export", "longer", "to=longer.py"]) == 0
    assert "The training went on from short/0." in (short / "longer.py").read_text()


def test_where_what_it_begins_from_cannot_be_kept_nothing_is_trained(short, monkeypatch, capsys):
    monkeypatch.setenv("HPO_CHECKPOINTS", "/dev/null/full")
    assert cli.main(EXTEND) == 2
    assert "cannot be written" in capsys.readouterr().err
    assert cli.main(["resume", "longer"]) == 2
    assert ANEW in capsys.readouterr().err


def test_it_is_kept_where_the_search_keeps_what_it_saves_or_where_it_is_told(short):
    with closing(Ledger("sqlite:///hpo.db")) as ledger:
        ledger.note_settings(ledger.search("short"), {"checkpoints": str(short / "there")})
    assert cli.main(EXTEND) == 0
    assert [it.name.partition("-")[0] for it in (short / "there").iterdir()] == ["longer"]
    assert cli.main(["extend", "short", "epochs=3", "to=own", "checkpoints=here"]) == 0
    assert [it.name.partition("-")[0] for it in (short / "here").iterdir()] == ["own"]


def test_a_fork_has_nothing_to_go_on_from(short, capsys):
    assert cli.main(EXTEND) == 0
    with sqlite3.connect("hpo.db") as database:
        database.execute("UPDATE searches SET versions = '{}' WHERE name = 'longer'")
    database.close()
    assert cli.main(["resume", "longer", "allow_change=true"]) == 2
    assert ANEW in capsys.readouterr().err
