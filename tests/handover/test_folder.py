"""`hpo export NAME to=DIR/`: a folder that needs no hpo, and says what it is."""

import hashlib
import os
import re
import subprocess
import sys
from pathlib import Path

import pytest
import torch
from trained import TINY, Trained

from hpo import cli
from hpo.training.checkpoint import write_checkpoint
from hpo.training.execution import execute

PAGE = (Path(__file__).parents[2] / "docs" / "production.md").read_text(encoding="utf-8")
FILES = "README.md config.yaml curve.txt model.safetensors optim.py requirements.txt train.py verify.sh"


@pytest.fixture
def export(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr("hpo.handover.chosen.Ledger", Trained)
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
        "| clip_norm | `null` |",
    ):
        assert told in card
    required = (tmp_path / "tiny" / "requirements.txt").read_text()
    assert "torch==" in required
    assert "+cpu" not in required
    assert export("to=tiny/") == 2
    assert "This folder is not empty" in capsys.readouterr().err


MADE_ELSEWHERE = """

def data(make=data):
    loader = getattr(torch.utils.data, "Data" "Loader")
    return {name: loader(split, 16) for name, split in make().items()}
"""
SPEAKS_OF_ONE = "\n\ndef in_batches(split):\n    return torch.utils.data.DataLoader(split)\n"


@pytest.mark.parametrize(("more", "read"), [("", False), (MADE_ELSEWHERE, True), (SPEAKS_OF_ONE, True)])
def test_code_reads_loaders_where_the_data_came_in_some_or_may(more, read, export, tmp_path, monkeypatch):
    (tmp_path / "tiny.py").write_text(TINY.read_text() + more)
    monkeypatch.setattr("trained.TINY", tmp_path / "tiny.py")
    assert export("to=script.py") == 0
    assert ("class Batches" in (tmp_path / "script.py").read_text()) == read


def test_a_curve_that_is_another_is_told(export, monkeypatch, capsys):
    monkeypatch.setattr(Trained, "added", 1.0)
    assert export("to=tiny/") == 0
    assert "NOT repeated: trained once more, it differs" in capsys.readouterr().out


def test_a_trial_with_a_seed_of_its_own_is_trained_with_that(export, tmp_path, monkeypatch, capsys):
    monkeypatch.setattr(Trained, "seed", 5)
    assert export("to=tiny/") == 0
    assert "it has repeated the search's curve to the last digit" in capsys.readouterr().out
    assert "| seed | 5 |" in (tmp_path / "tiny" / "README.md").read_text()


def test_weights_go_into_the_folder_in_any_case(export, capsys):
    assert export("to=tiny/", "weights=a.safetensors") == 2
    assert "Leave this out" in capsys.readouterr().err


def test_what_training_starts_from_goes_with_the_folder(export, tmp_path, monkeypatch, capsys):
    module, start = execute(TINY.read_text(), str(TINY)), tmp_path / "begun.safetensors"
    torch.manual_seed(9)
    write_checkpoint(start, module.model().state_dict(), {"recipe": "tiny"})
    monkeypatch.setattr(Trained, "words", (f"start={start}", "body_lr=0.5", "loss.label_smoothing=0.1"))
    content = start.read_bytes()
    digest = hashlib.sha256(content).hexdigest()
    assert export("to=tiny.py") == 0
    assert f"starts from the weights of {start}, SHA-256 {digest}." in (tmp_path / "tiny.py").read_text()
    assert export("to=tiny/") == 0
    assert "it has repeated the search's curve to the last digit" in capsys.readouterr().out
    assert (tmp_path / "tiny" / "start.safetensors").read_bytes() == content
    assert f"| starting weights (SHA-256) | {digest} |" in (tmp_path / "tiny" / "README.md").read_text()
    head = " ".join((tmp_path / "tiny" / "optim.py").read_text().partition("import")[0].split())
    assert f'besides: start="{start}", loss.label_smoothing=0.1.' in head
    start.unlink()
    command = [sys.executable, "tiny/train.py", "--epochs", "1"]
    subprocess.run(command, check=True, capture_output=True)
    assert export("to=other/") == 2
    assert "begun.safetensors: cannot be read" in capsys.readouterr().err
    assert not (tmp_path / "other").exists()


@pytest.mark.slow
def test_the_folder_verifies_itself(export, tmp_path):
    export("to=tiny/")
    found = verified()
    assert (found.returncode, found.stderr) == (0, "")
    assert "is repeated to the last digit; the tolerance is 0: verified." in found.stdout
    other = verified("--seed", "1")
    assert other.returncode == 1
    assert "NOT verified" in other.stdout


@pytest.mark.parametrize("line", re.findall(r"^hpo export .* as=\w+ .*$", PAGE, flags=re.M))
def test_every_export_of_the_page_that_trains_nothing_works(export, line):
    _, _, _, *words = line.split()
    assert cli.main(["export", "tiny-1", *words]) == 0
