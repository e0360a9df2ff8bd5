"""The spaces that ship: sound, documented, and good for the recipes."""

from __future__ import annotations

import random
import re

import optuna
import pytest

from hpo import recipe
from hpo.space import find, names, read
from hpo.training.words import VOCABULARY

SPACES = (
    "adagrad",
    "adam",
    "adamw",
    "cnn",
    "default",
    "linear",
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


def vocabulary_of(recipe_name):
    return VOCABULARY.with_options(recipe.find(recipe_name).options)


@pytest.fixture
def vocabulary(name):
    """All that can be said about the recipe in the space's first line."""
    first = names()[name].read_text().splitlines()[0]
    return vocabulary_of(re.search(r"recipe=(\w+)", first)[1])


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


@pytest.mark.parametrize(
    ("name", "of"), [(name, of) for name, recipes in HOLDS_THE_BASELINE.items() for of in recipes]
)
def test_the_baseline_lies_in_the_space(name, of):
    baseline, space, rng = recipe.find(of).baseline, find(name, vocabulary_of(of), {}), random.Random(0)
    drawn = {name: value for _ in range(100) for name, value in space.draw(rng).items()}
    config = space.sample(optuna.trial.FixedTrial({**drawn, **space.locate(baseline)}))
    chosen = {key: config[key] for key in baseline if name != "default" or key != "batch_size"}
    assert chosen.items() <= dict(baseline).items()


def test_model_options_join_from_the_command_line():
    space = find("default", vocabulary_of("cnn"), {"model.dropout": "{uniform: [0, 0.5]}"})
    assert "model.dropout" in {parameter.name for parameter in space.parameters}
