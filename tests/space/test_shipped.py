"""The spaces that ship: sound, documented, and good for the recipes."""

from __future__ import annotations

import random

import optuna
import pytest

from hpo import recipe
from hpo.space import find, names, read

SPACES = ("adamw", "default", "sgd")


@pytest.fixture(scope="module")
def vocabulary():
    from hpo.training.words import VOCABULARY

    return VOCABULARY.with_model(recipe.find("cnn").model)


def test_all_are_tested():
    assert set(SPACES) <= names().keys()


@pytest.mark.parametrize("name", SPACES)
def test_shipped_spaces_read_and_write(name, vocabulary):
    space = find(name, vocabulary, {})
    assert read(space.to_yaml(), name, vocabulary) == space


@pytest.mark.parametrize("name", SPACES)
def test_the_first_line_is_the_command(name):
    first, second = names()[name].read_text().splitlines()[:2]
    assert first.startswith("# hpo search recipe=")
    assert first.endswith(f" space={name}")
    assert second.startswith("# ")


@pytest.mark.parametrize("name", SPACES)
def test_all_that_is_drawn_can_be_trained(name, vocabulary):
    space, rng = find(name, vocabulary, {}), random.Random(0)
    for _ in range(50):
        config = space.sample(optuna.trial.FixedTrial(space.draw(rng)))
        assert vocabulary.check(vocabulary.defaults(config), name) == []


def test_the_default_space_holds_the_baseline(vocabulary):
    baseline = recipe.find("cnn").baseline
    space = find("default", vocabulary, {})
    config = space.sample(optuna.trial.FixedTrial({**space.draw(random.Random(0)), **space.locate(baseline)}))
    assert all(config[key] == value for key, value in baseline.items())


def test_model_options_join_from_the_command_line(vocabulary):
    space = find("default", vocabulary, {"model.dropout": "{uniform: [0, 0.5]}"})
    assert "model.dropout" in {parameter.name for parameter in space.parameters}
