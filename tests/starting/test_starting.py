"""A starting point runs as it is written; nothing that is there is written over."""

import random

import pytest

from hpo import cli, recipe
from hpo import space as spaces
from hpo.planning.ordering import order
from hpo.planning.plan import Plan
from hpo.settings import SearchSettings
from hpo.training import plain
from hpo.training.engine import Member, Task
from hpo.training.execution import execute
from hpo.training.words import vocabulary_of


@pytest.fixture(autouse=True)
def folder(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    monkeypatch.delenv("HPO_STORE", raising=False)
    return tmp_path


def losses(plan, config, epochs):
    found = plan.recipe
    module = execute(found.source, found.path)
    task = Task(module, module.data(), found.objective, epochs=epochs, seed=0)
    return [points[0].loss for points in plain.train(task, [Member(0, plan.vocabulary.defaults(config))])]


def planned(*words):
    return Plan.of(order(SearchSettings.from_words(words)))


def test_a_new_recipe_trains_its_baseline(folder, capsys):
    assert cli.main(["new", "recipe", "mine"]) == 0
    assert capsys.readouterr().out == "Written: recipes/mine.py. Run it: hpo search recipe=mine\n"
    plan = planned("recipe=mine")
    curve = losses(plan, plan.baseline, 6)
    assert curve[-1] < 0.7 * curve[0]
    assert "NAME" not in (folder / "recipes" / "mine.py").read_text()


def test_a_new_space_is_sound_and_its_draws_train(folder, capsys):
    assert cli.main(["new", "space", "mine"]) == 0
    assert "Run it: hpo search recipe=mlp space=mine" in capsys.readouterr().out
    plan = planned("recipe=mlp", "space=mine")
    assert {it.key for it in plan.space.parameters} >= {"optimizer", "optimizer.lr", "schedule", "warmup"}
    rng = random.Random(0)
    for _ in range(20):
        drawn = plan.space.draw(rng)
        assert drawn
    assert losses(plan, plan.baseline, 1)


def test_the_two_fit_together(capsys):
    assert cli.main(["new", "recipe", "mine"]) == cli.main(["new", "space", "mine"]) == 0
    assert cli.main(["check", "recipe=mine", "space=mine"]) == 0
    sound = (
        "Sound: 64 trials of 20 epochs, then up to 20 with fresh seeds, minimize loss, by blend and ladder."
    )
    assert sound in capsys.readouterr().out


def test_a_copy_is_one_s_own(folder, capsys):
    assert cli.main(["copy", "cnn", "own"]) == 0
    assert capsys.readouterr().out == "Written: recipes/own.py\nWritten: search_spaces/own.yaml\n"
    assert recipe.find("own").source == recipe.find("cnn").source
    first = (folder / "search_spaces" / "own.yaml").read_text().splitlines()[0]
    assert first == "# hpo search recipe=own space=own"
    vocabulary = vocabulary_of(recipe.find("own"))
    assert spaces.find("own", vocabulary, {}) == spaces.find("cnn", vocabulary, {})


def test_what_is_only_a_space_is_copied_as_one(folder):
    assert cli.main(["copy", "sgd", "own"]) == 0
    assert [str(it.relative_to(folder)) for it in folder.rglob("own.*")] == ["search_spaces/own.yaml"]


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["new", "recipe"], "NAME\n    Missing"),
        (["new"], "kind=…\n    Missing"),
        (["new", "recpie", "mine"], "Did you mean recipe?"),
        (["new", "recipe", "class"], "A name is letters, digits and _"),
        (["new", "recipe", "my-own"], "A name is letters, digits and _"),
        (["copy", "cn", "mine"], "There is no recipe and no space of this name. Did you mean cnn?"),
        (["copy", "cnn"], "NAME\n    Missing"),
    ],
)
def test_what_is_wrong_is_said_and_nothing_written(words, message, folder, capsys):
    assert cli.main(words) == 2
    assert message in capsys.readouterr().err
    assert not list(folder.iterdir())


@pytest.mark.parametrize("words", [["new", "recipe", "mine"], ["copy", "cnn", "mine"]])
def test_what_is_there_stays(words, folder, capsys):
    (folder / "recipes").mkdir()
    (folder / "recipes" / "mine.py").write_text("kept")
    assert cli.main(words) == 2
    assert "recipes/mine.py\n    This file exists and is left as it is." in capsys.readouterr().err
    assert (folder / "recipes" / "mine.py").read_text() == "kept"
    assert not (folder / "search_spaces").exists()
