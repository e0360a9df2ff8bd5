"""The spaces that ship: sound, documented, and good for the recipes."""

from __future__ import annotations

import random
import re

import optuna
import pytest
import torch
from torch.utils.data import TensorDataset

from hpo import recipe
from hpo.planning.ordering import order
from hpo.planning.plan import Plan
from hpo.settings import SearchSettings
from hpo.space import find, names, read
from hpo.training import plain
from hpo.training.engine import Member, Task
from hpo.training.execution import execute
from hpo.training.words import VOCABULARY, vocabulary_of

SPACES = (
    "adadelta",
    "adafactor",
    "adagrad",
    "adam",
    "adamax",
    "adamw",
    "cnn",
    "default",
    "finetune",
    "five_adagrad",
    "five_adam",
    "five_adamw",
    "five_rmsprop",
    "five_sgd",
    "lbfgs",
    "linear",
    "muon",
    "nadam",
    "radam",
    "regularization",
    "rmsprop",
    "rnn",
    "schedules",
    "sgd",
    "transformer",
)
HOLDS_THE_BASELINE = {
    "default": ("cnn", "mlp", "rnn", "transformer"),
    "cnn": ("cnn",),
    "rnn": ("rnn",),
    "transformer": ("transformer",),
}

every_space = pytest.mark.parametrize("name", SPACES)


def ordered(name, of):
    """Return the space as a search of this recipe has it, with what it leaves to the baseline."""
    return Plan.of(order(SearchSettings.from_words([f"recipe={of}", f"space={name}"]))).space


def vocabulary_for(recipe_name):
    return vocabulary_of(recipe.find(recipe_name))


@pytest.fixture
def named(name):
    """The recipe in the space's first line."""
    first = names()[name].read_text().splitlines()[0]
    return recipe.find(re.search(r"recipe=(\w+)", first)[1])


@pytest.fixture
def vocabulary(named):
    """All that can be said about it."""
    return vocabulary_of(named)


def test_all_are_tested():
    assert set(SPACES) == names().keys()


@every_space
def test_shipped_spaces_read_and_write(name, vocabulary):
    space = find(name, vocabulary, {})
    assert read(space.to_yaml(), name, vocabulary) == space


@every_space
def test_the_first_line_is_the_command(name):
    first, second = names()[name].read_text().splitlines()[:2]
    assert first.startswith("# hpo search recipe=")
    assert first.endswith(f" space={name}")
    assert second.startswith("# ")


@every_space
def test_all_that_is_drawn_can_be_trained(name, vocabulary):
    space, rng = find(name, vocabulary, {}), random.Random(0)
    for _ in range(50):
        config = space.sample(optuna.trial.FixedTrial(space.draw(rng)))
        assert vocabulary.check(vocabulary.defaults(config), name) == []


@every_space
def test_a_draw_trains_for_an_epoch(name, named, vocabulary, tmp_path, monkeypatch):
    monkeypatch.setenv("SCIKIT_LEARN_DATA", str(tmp_path))
    torch.set_num_threads(1)
    space, module = ordered(name, named.name), execute(named.source, named.path)
    parts = {part: TensorDataset(*split[:128]) for part, split in module.data().items()}
    task = Task(module, parts, named.objective, epochs=1, seed=0)
    for seed in range(2):
        drawn = space.sample(optuna.trial.FixedTrial(space.draw(random.Random(seed))))
        [[point]] = plain.train(task, [Member(seed, vocabulary.defaults(drawn))])
        assert point.epoch == 1


def test_each_optimizer_has_a_space_of_its_own():
    assert set(VOCABULARY.branches["optimizer"]) <= set(SPACES)
    for name in VOCABULARY.branches["optimizer"]:
        space = find(name, VOCABULARY, {})
        assert list(space.nodes["optimizer"].branches) == [name]
        assert any(leaf.searched for leaf in space.nodes["optimizer"].branches[name].values())


@pytest.mark.parametrize(
    ("name", "of"), [(name, of) for name, recipes in HOLDS_THE_BASELINE.items() for of in recipes]
)
def test_the_baseline_lies_in_the_space(name, of):
    baseline, space, rng = recipe.find(of).baseline, ordered(name, of), random.Random(0)
    drawn = {name: value for _ in range(100) for name, value in space.draw(rng).items()}
    config = space.sample(optuna.trial.FixedTrial({**drawn, **space.locate(baseline)}))
    assert {key: config[key] for key in baseline} == dict(baseline)


def test_model_options_join_from_the_command_line():
    space = find("default", vocabulary_for("cnn"), {"model.dropout": "{uniform: [0, 0.5]}"})
    assert "model.dropout" in {parameter.name for parameter in space.parameters}
