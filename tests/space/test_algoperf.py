"""AlgoPerf's search spaces: what they come to, and what is said about those that cannot be translated."""

from __future__ import annotations

import json
import random

import optuna
import pytest

from hpo.errors import InputError
from hpo.space import Choice, Fixed, Log, OneMinusLog, OneOf, Uniform, find, read
from hpo.training.words import VOCABULARY

FILE = {
    "learning_rate": {"min": 1e-4, "max": 1e-2, "scaling": "log"},
    "one_minus_beta1": {"min": 0.02, "max": 0.5, "scaling": "log"},
    "beta2": {"feasible_points": [0.999]},
    "warmup_factor": {"feasible_points": [0.02, 0.05]},
    "weight_decay": {"min": 5e-3, "max": 1.0, "scaling": "linear"},
    "label_smoothing": {"feasible_points": [0.1, 0.2]},
    "dropout_rate": {"feasible_points": [0.0, 0.1]},
}
ADAMW = {
    "lr": Log(1e-4, 1e-2),
    "beta1": OneMinusLog(0.02, 0.5),
    "beta2": Fixed(0.999),
    "weight_decay": Uniform(5e-3, 1.0),
}


@pytest.fixture
def space(tmp_path, monkeypatch):
    """Read a file with these contents, by a path from the folder that it lies in."""
    monkeypatch.chdir(tmp_path)

    def space(contents, model=None, **overrides):
        text = contents if isinstance(contents, str) else json.dumps(contents, indent=2)
        (tmp_path / "space.json").write_text(text)
        named = {name.replace("__", "."): value for name, value in overrides.items()}
        return find("space.json", VOCABULARY.with_options({"model": model or {}}), named)

    return space


def test_names_and_ranges_are_translated(space):
    assert space(FILE, {"dropout": 0.2}, optimizer="adamw").nodes == {
        "optimizer": OneOf({"adamw": ADAMW}),
        "schedule": Fixed("cosine"),
        "warmup": Choice((0.02, 0.05)),
        "model.dropout": Choice((0.0, 0.1)),
    }


def test_what_the_model_has_no_option_for_means_nothing(space):
    assert not [key for key in space(FILE, optimizer="adamw").nodes if key.startswith("model")]


def test_momentum_is_beta1_of_sgd(space):
    found = space({"one_minus_beta1": {"feasible_points": [0.1, 0.05]}}, optimizer="sgd")
    assert found.nodes["optimizer"] == OneOf({"sgd": {"momentum": Choice((0.9, 0.95))}})


def test_a_linear_range_of_one_minus_beta1_is_one_of_beta1(space):
    found = space({"one_minus_beta1": {"min": 0.1, "max": 0.3, "scaling": "linear"}}, optimizer="adam")
    assert found.nodes["optimizer"] == OneOf({"adam": {"beta1": Uniform(0.7, 0.9)}})


def test_what_is_left_of_the_rate_goes_to_the_schedule(space):
    found = space({"end_factor": {"feasible_points": [1e-3, 1e-2]}}, optimizer="sgd")
    assert found.nodes["schedule"] == OneOf({"cosine": {"end_factor": Choice((1e-3, 1e-2))}})


def test_overrides_go_on_top(space):
    found = space(FILE, optimizer="adamw", schedule="constant", optimizer__adamw__lr="0.1", batch_size="32")
    assert found.nodes["schedule"] == Fixed("constant")
    assert found.nodes["batch_size"] == Fixed(32)
    assert found.nodes["optimizer"] == OneOf({"adamw": {**ADAMW, "lr": Fixed(0.1)}})


def test_it_is_kept_as_a_space_like_any_other(space):
    found = space(FILE, optimizer="adamw")
    assert read(found.to_yaml(), "kept", VOCABULARY) == found


MOMENTUM = {  # as in the benchmark's heavy-ball baseline
    "dropout_rate": {"feasible_points": [0.0, 0.1]},
    "aux_dropout_rate": {"feasible_points": [0.0, 0.1]},
    "label_smoothing": {"feasible_points": [0.0, 0.1, 0.2]},
    "learning_rate": {"min": 2e-2, "max": 5.0, "scaling": "log"},
    "one_minus_beta1": {"min": 5e-3, "max": 0.3, "scaling": "log"},
    "warmup_factor": {"feasible_points": [0.05]},
    "weight_decay": {"min": 1e-7, "max": 5e-5, "scaling": "log"},
    "decay_steps_factor": {"feasible_points": [0.9]},
    "end_factor": {"feasible_points": [1e-3, 1e-2]},
}
POINTS = [  # as in the benchmark's full-budget baseline
    {
        "dropout_rate": 0.0,
        "label_smoothing": 0.1,
        "learning_rate": 0.001308209823469072,
        "one_minus_beta1": 0.02686663061,
        "beta2": 0.9981232922116359,
        "weight_decay": 0.16375311233774334,
        "warmup_factor": 0.1,
    },
    {
        "dropout_rate": 0.1,
        "label_smoothing": 0.2,
        "learning_rate": 0.0008445074561975979,
        "one_minus_beta1": 0.11042418465,
        "beta2": 0.9978504782314613,
        "weight_decay": 0.08135402759553023,
        "warmup_factor": 0.05,
    },
]


def test_a_line_down_to_a_share_of_the_steps(space):
    found = space(MOMENTUM, optimizer="sgd")
    assert found.nodes["schedule"] == OneOf(
        {"linear": {"decay_size": Fixed(0.9), "end_factor": Choice((1e-3, 1e-2))}}
    )
    assert found.nodes["optimizer"].branches["sgd"].keys() == {"lr", "momentum", "weight_decay"}
    more = space(MOMENTUM | {"power": {"min": 0.1, "max": 2.0, "scaling": "linear"}}, optimizer="sgd")
    assert more.nodes["schedule"].branches["polynomial"]["power"] == Uniform(0.1, 2.0)


def test_a_list_is_of_points_that_are_tried_as_they_are(space):
    found = space(POINTS, {"dropout": 0.2}, optimizer="nadam")
    vocabulary = VOCABULARY.with_options({"model": {"dropout": 0.2}})
    assert read(found.to_yaml(), "kept", vocabulary) == found
    configs = [found.sample(optuna.trial.FixedTrial(turn)) for turn in found.turns(None)]
    assert len(configs) == 2
    assert dict(configs[0]) == {
        "optimizer": "nadam",
        "schedule": "cosine",
        "warmup": 0.1,
        "model.dropout": 0.0,
        "optimizer.lr": 0.001308209823469072,
        "optimizer.beta1": 0.97313336939,
        "optimizer.beta2": 0.9981232922116359,
        "optimizer.weight_decay": 0.16375311233774334,
    }
    assert configs[1]["optimizer.lr"] == 0.0008445074561975979
    assert [found.locate(config) for config in configs] == [{"points": 0}, {"points": 1}]
    assert {found.draw(random.Random(seed))["points"] for seed in range(9)} == {0, 1}
    assert vocabulary.check(vocabulary.defaults(configs[0]), "") == []


@pytest.mark.parametrize("overrides", [{}, {"optimizer": "adamx"}])
def test_the_optimizer_must_be_named(space, overrides):
    with pytest.raises(
        InputError, match=r"Add space\.optimizer=NAME\. Known: .*adagrad, adam, .*adamw"
    ) as caught:
        space(FILE, **overrides)
    assert "learning_rate" not in str(caught.value)


MISTAKES = {
    '{"learning_rte": {"feasible_points": [1]}}': "Did you mean learning_rate?",
    '{"learning_rate": {"min": 1, "max": 0.1, "scaling": "log"}}': "log needs 0 < low < high, got [1, 0.1].",
    '{"learning_rate": {"min": 1, "max": 2, "scaling": "ln"}}': 'This needs {"min": …, "max": …, "scaling"',
    '{"learning_rate": {"min": 1, "max": 2, "scaling": "log", "step": 1}}': "This needs {",
    '{"learning_rate": {"feasible_points": []}}': "This needs {",
    '{"learning_rate": 0.1}': "This needs {",
    '{"learning_rate": {"feasible_points": [-1]}}': "lr must be a number in (0, inf), got -1.",
    '{"one_minus_beta1": {"feasible_points": ["x"]}}': 'This needs numbers, got "x".',
    '{"beta1": {"feasible_points": [0.9]}, "one_minus_beta1": {"feasible_points": [0.1]}}': (
        "This says the same as beta1. Remove one."
    ),
    '{"warmup_factor": {"feasible_points": [0.9]}}': "warmup must be a number in [0, 0.5]",
    '{"l2": {"feasible_points": [0.1]}}': "'l2' has no translation.",
    '{"power": {"min": 0.1, "max": 20, "scaling": "linear"}}': "power must be a number in [0, 10]",
    '[{"learning_rate": 0.1}, 3]': "Each point maps names to values, got 3.",
    '[{"learning_rate": 0.1}, {"learning_rate": -1}]': "Point 2, optimizer.lr: lr must be a number in",
    '[{"learning_rate": 0.1, "l2": 0.1}]': "'l2' has no translation.",
    '[{"one_minus_beta1": "x"}]': 'one_minus_beta1: This needs numbers, got "x".',
    '[{"beta1": 0.9, "one_minus_beta1": 0.1}]': "This says the same as beta1. Remove one.",
    "[]": "points lists configurations, got []",
    '{"learning_rate": ': "This is not YAML",
}


@pytest.mark.parametrize(("text", "message"), MISTAKES.items())
def test_mistakes_are_told_with_their_place(space, text, message):
    with pytest.raises(InputError) as caught:
        space(text, optimizer="adamw")
    assert len(caught.value.problems) == 1
    assert message in str(caught.value)
    assert caught.value.problems[0].where.startswith("space.json")


def test_a_mistake_is_told_by_the_name_and_line_in_the_file(space):
    with pytest.raises(InputError) as caught:
        space('{\n  "beta1": {"feasible_points": [0.9]},\n  "beta2": 3\n}', optimizer="sgd")
    assert [problem.where for problem in caught.value.problems] == ["space.json:3  beta2"]


def test_all_mistakes_are_told_at_once(space):
    with pytest.raises(InputError) as caught:
        space({"learning_rate": 1, "beta1": 2, "beta3": 3}, optimizer="adamw")
    assert len(caught.value.problems) == 3


def test_a_missing_file_is_told_by_its_path():
    with pytest.raises(InputError, match=r"space=nonesuch\.json"):
        find("nonesuch.json", VOCABULARY, {})


def test_label_smoothing_goes_to_the_loss_that_takes_it(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "space.json").write_text(json.dumps(FILE))
    vocabulary = VOCABULARY.with_options({"loss": {"label_smoothing": 0.0}})
    nodes = find("space.json", vocabulary, {"optimizer": "adamw"}).nodes
    assert nodes["loss.label_smoothing"] == Choice((0.1, 0.2))
