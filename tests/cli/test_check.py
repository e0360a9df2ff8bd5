"""`hpo check` says all that is wrong at once, and starts and writes nothing."""

import json

import pytest

from hpo import cli
from hpo.history import Search
from hpo.ledger import Ledger
from hpo.recipe import Objective


@pytest.fixture(autouse=True)
def folder(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    monkeypatch.delenv("HPO_STORE", raising=False)
    return tmp_path


def complaints(capsys, *words):
    assert cli.main(["check", *words]) == 2
    return capsys.readouterr().err


def test_a_sound_search_is_told_and_not_started(folder, capsys):
    assert cli.main(["check", "recipe=mlp", "space=adamw", "trials=8"]) == 0
    said = capsys.readouterr().out
    assert said.startswith("Sound: 8 trials of ")
    assert "  optimizer.adamw.lr\n" in said
    assert not list(folder.iterdir())


def test_it_is_told_to_programs(capsys):
    assert cli.main(["check", "recipe=mlp", "space=adamw", "--json"]) == 0
    told = json.loads(capsys.readouterr().out)
    assert told["searched"]["optimizer.adamw.lr"] == {"log": [1e-5, 0.03], "prior": 0.001}


def test_words_recipe_space_and_machine_are_wrong_at_once(capsys):
    said = complaints(capsys, "recipe=cn", "space=sdg", "trails=3", "epochs=0", "gpus_per_trial=512")
    assert said.startswith("hpo: nothing was started, 5 problems:")
    for part in ("trails=3", "epochs=0", "recipe=cn\n", "space=sdg\n", "gpus_per_trial=512\n"):
        assert part in said


def test_a_broken_recipe_and_a_broken_space(folder, capsys):
    (folder / "bad.py").write_text("epochs = 3\n")
    (folder / "bad.yaml").write_text("optimizer:\n  one_of:\n    sgd: {lr: {log: [1, 0.1]}}\n    adma: {}\n")
    said = complaints(capsys, "recipe=./bad.py")
    assert said.count("A recipe must define") == 5
    said = complaints(
        capsys, "recipe=mlp", "space=./bad.yaml", "recipe.widht=3", "deterministic=true", "timeout=1h"
    )
    for part in (
        "bad.yaml:3  optimizer.sgd.lr",
        "bad.yaml:4  optimizer.adma",
        "recipe.widht=3",
        "timeout=3600",
    ):
        assert part in said


def test_a_name_that_is_taken(folder, capsys):
    facts = ("mlp", "", "", "", Objective("minimize", "loss"), {"trials": 1}, {})
    Ledger(f"sqlite:///{folder}/hpo.db").create_search(Search("mine", *facts))
    assert "There is a search of this name" in complaints(capsys, "recipe=mlp", "name=mine")


def test_without_a_recipe_that_alone_is_said(capsys):
    assert "recipe=…\n    Missing" in complaints(capsys, "space=sgd")


RECIPE = """objective = "minimize loss"
epochs = 2
baseline = {{}}
def model(): ...
def data(size=3):
    {data}
def loss({arguments}):
    {loss}
"""
SOUND = {"data": "return both()", "arguments": "outputs, targets", "loss": "return mean(outputs - targets)"}


@pytest.mark.parametrize(
    ("part", "where", "told"),
    [
        ({"loss": "return float(outputs.mean())"}, "8  loss", "This is a plain number"),
        ({"loss": "return (outputs - targets).mean().item()"}, "8  loss", "Return the tensor itself."),
        ({"loss": "def number(it): return float(it)\n    return mean(outputs)"}, "", "Sound"),
        ({"arguments": "outputs, *, targets=0"}, "7  loss", "Give it these two arguments."),
        ({"arguments": "*pair"}, "", "Sound"),
        ({"data": "return {'train': 1, 'val': 2}"}, "6  data", "'train' and 'val', but no 'validation', as"),
        ({"data": "if size: return {'test': 1}"}, "6  data", "but no 'train' and 'validation', as"),
        ({"data": "return {'train': 1, **rest()}"}, "", "Sound"),
    ],
    ids=str,
)
def test_what_no_training_can_use_is_seen_in_the_source(folder, capsys, part, where, told):
    (folder / "mine.py").write_text(RECIPE.format(**SOUND | part))
    assert cli.main(["check", "recipe=./mine.py"]) == (2 if where else 0)
    said = capsys.readouterr()
    assert f"mine.py:{where}\n" in said.err or not where
    assert told in said.err + said.out
