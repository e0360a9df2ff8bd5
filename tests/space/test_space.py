"""Round trips, and what is drawn."""

from __future__ import annotations

import math
import random
from collections import Counter
from statistics import median, quantiles

import pytest
from hypothesis import given

from hpo.config import Config
from hpo.space import Choice, Fixed, Int, Log, OneMinusLog, OneOf, Space, Uniform, read

from .strategies import VOCABULARY, Answers, rngs, spaces

TREE = Space(
    {
        "optimizer": OneOf(
            {
                "sgd": {"lr": Log(1e-3, 1.0), "momentum": OneMinusLog(0.01, 0.3)},
                "adam": {"lr": Log(1e-5, 0.1), "beta1": Fixed(0.9)},
            }
        ),
        "schedule": OneOf({"step": {"gamma": Uniform(0.1, 0.5)}}),
        "clip_norm": Choice((None, 1, 5.0)),
        "batch_size": Int(16, 64),
        "model.dropout": Fixed(0.2),
    }
)


@given(spaces())
def test_yaml_gives_back_the_space(space):
    assert read(space.to_yaml(), "text", VOCABULARY) == space


@given(spaces(), rngs())
def test_what_is_drawn_can_be_sampled_and_located(space, rng):
    drawn = space.draw(rng)
    config = space.sample(Answers(drawn))
    located = space.locate(config)
    assert space.sample(Answers(located)) == config
    assert located.keys() == drawn.keys()


@given(spaces(), rngs())
def test_configs_of_a_space_are_what_the_vocabulary_allows(space, rng):
    config = space.sample(Answers({}, rng))
    assert VOCABULARY.check(config, "config") == []
    assert Config.from_json(config.to_json()) == config


@given(spaces(), rngs())
def test_parameters_are_all_that_can_be_drawn(space, rng):
    assert space.draw(rng).keys() <= {parameter.name for parameter in space.parameters}


@given(spaces(), rngs())
def test_what_is_drawn_is_one_of_all_that_can_be(space, rng):
    every = space.every
    assert not every or space.draw(rng) in every
    assert all(space.locate(space.sample(Answers(it))).keys() == it.keys() for it in every)


def test_all_that_can_be_drawn_are_the_options_of_each_place_in_each_branch():
    text = "optimizer: {one_of: {sgd: {lr: {choice: [0.1, 0.2]}, momentum: 0.9}, adam: {lr: 1}}}"
    space = read(f"{text}\nbatch_size: {{int: [1, 2]}}", "text", VOCABULARY)
    assert space.every == [
        {"optimizer": "sgd", "optimizer.sgd.lr": 0.1, "batch_size": 1},
        {"optimizer": "sgd", "optimizer.sgd.lr": 0.1, "batch_size": 2},
        {"optimizer": "sgd", "optimizer.sgd.lr": 0.2, "batch_size": 1},
        {"optimizer": "sgd", "optimizer.sgd.lr": 0.2, "batch_size": 2},
        {"optimizer": "adam", "batch_size": 1},
        {"optimizer": "adam", "batch_size": 2},
    ]
    assert TREE.every == []


def test_the_sampler_sees_full_paths_and_the_config_short_ones():
    drawn = {
        "optimizer": "sgd",
        "optimizer.sgd.lr": 0.1,
        "optimizer.sgd.one_minus_momentum": 0.25,
        "schedule.step.gamma": 0.5,
        "clip_norm": None,
        "batch_size": 32,
    }
    assert TREE.sample(Answers(drawn)) == Config(
        {
            "optimizer": "sgd",
            "optimizer.lr": 0.1,
            "optimizer.momentum": 0.75,
            "schedule": "step",
            "schedule.gamma": 0.5,
            "clip_norm": None,
            "batch_size": 32,
            "model.dropout": 0.2,
        }
    )


def test_parameters_tell_what_is_searched_where():
    assert [(item.name, item.key, item.node.verb) for item in TREE.parameters] == [
        ("optimizer", "optimizer", "one_of"),
        ("optimizer.sgd.lr", "optimizer.lr", "log"),
        ("optimizer.sgd.one_minus_momentum", "optimizer.momentum", "one_minus_log"),
        ("optimizer.adam.lr", "optimizer.lr", "log"),
        ("schedule.step.gamma", "schedule.gamma", "uniform"),
        ("clip_norm", "clip_norm", "choice"),
        ("batch_size", "batch_size", "int"),
    ]


@given(spaces(), rngs())
def test_a_switch_exchanges_one_word_and_keeps_all_else(space, rng):
    before = space.draw(rng)
    if not space.switches:
        with pytest.raises(IndexError):
            space.switch(before, rng)
        return
    after = space.switch(before, rng)
    words = {name for name, _ in space.switches}
    (switched,) = (name for name in words if after[name] != before[name])
    own = {name for name in after.keys() ^ before.keys() if name.startswith(f"{switched}.")}
    assert after.keys() ^ before.keys() == own
    assert all(after[name] == before[name] for name in after.keys() & before.keys() - {switched})
    assert space.locate(space.sample(Answers(after))).keys() == after.keys()


def test_what_was_drawn_without_a_word_takes_any_of_them():
    drawn = TREE.switch({"clip_norm": 5.0}, random.Random(0))
    assert (drawn["optimizer"] in ("sgd", "adam"), drawn["clip_norm"]) == (True, 5.0)


@pytest.mark.parametrize(
    ("config", "located"),
    [
        ({}, {}),
        ({"optimizer": "lion", "optimizer.lr": 0.1}, {}),
        ({"optimizer.lr": 0.1}, {}),
        ({"optimizer": "adam", "optimizer.lr": 0.1}, {"optimizer": "adam", "optimizer.adam.lr": 0.1}),
        ({"optimizer": "adam", "optimizer.lr": 7.0}, {"optimizer": "adam"}),
        ({"optimizer": "adam", "optimizer.lr": "fast"}, {"optimizer": "adam"}),
        ({"optimizer": "sgd", "optimizer.momentum": 0.0}, {"optimizer": "sgd"}),
        ({"schedule": "step", "schedule.gamma": 0.1}, {"schedule.step.gamma": 0.1}),
        ({"clip_norm": None}, {"clip_norm": None}),
        ({"clip_norm": True}, {}),
        ({"clip_norm": 5}, {"clip_norm": 5.0}),
        ({"batch_size": 64}, {"batch_size": 64}),
        ({"batch_size": 65}, {}),
        ({"batch_size": 32.0}, {}),
        ({"model.dropout": 0.2}, {}),
    ],
)
def test_locate_leaves_out_what_cannot_be_drawn(config, located):
    assert TREE.locate(Config(config)) == located


@pytest.mark.parametrize("momentum", [0.7, 0.8, 0.9, 0.95, 0.99])
def test_momentum_is_located_exactly_even_at_its_bounds(momentum):
    drawn = TREE.locate(Config({"optimizer": "sgd", "optimizer.momentum": momentum}))
    assert 1 - drawn["optimizer.sgd.one_minus_momentum"] == momentum


def test_draws_follow_the_prior_on_the_scale_of_the_verb():
    draws = _draws(Log(1e-4, 1.0, prior=0.01))
    assert median(draws) == pytest.approx(0.01, rel=0.1)
    near = sum(0.01 / 10 ** (2 / 3) <= draw <= 0.01 * 10 ** (2 / 3) for draw in draws) / len(draws)
    assert near == pytest.approx(0.8 * 0.684 + 0.2 / 3, abs=0.03)  # one sigma is a sixth of four decades


def test_a_wrong_prior_leaves_every_corner_reachable():
    draws = _draws(Uniform(0.0, 1.0, prior=0.0))
    assert sum(draw > 0.9 for draw in draws) / len(draws) == pytest.approx(0.02, abs=0.01)


def test_draws_without_a_prior_are_uniform_on_the_scale_of_the_verb():
    quarters = quantiles(map(math.log10, _draws(Log(1e-4, 1.0))), n=4)
    assert quarters == pytest.approx([-3, -2, -1], abs=0.15)
    assert Counter(_draws(Int(1, 4))).keys() == {1, 2, 3, 4}
    assert min(Counter(_draws(Int(1, 4))).values()) > 900


@pytest.mark.parametrize(
    ("node", "middle"),
    [(Uniform(0.1, 0.5), 0.3), (Log(1e-4, 1.0), 1e-2), (OneMinusLog(1e-3, 0.1), 1e-2), (Int(2, 8), 5)],
)
def test_a_number_has_its_place_between_the_bounds_on_the_scale_of_the_verb(node, middle):
    assert [node.share(it) for it in (node.low, middle, node.high)] == pytest.approx([0, 0.5, 1])


def test_a_range_of_one_number_has_one_place():
    assert Log(0.1, 0.1).share(0.1) == 0


def test_a_prior_of_one_minus_log_is_a_value():
    draws = _draws(OneMinusLog(0.01, 0.5, prior=0.9))
    assert 1 - median(draws) == pytest.approx(0.9, abs=0.01)


def test_options_are_drawn_by_weight():
    shares = Counter(_draws(Choice((None, 1, 5), {None: 3.0, 1: 1.0})))
    assert shares[None] / 4000 == pytest.approx(0.8 * 0.75 + 0.2 / 3, abs=0.03)
    assert shares[5] / 4000 == pytest.approx(0.2 / 3, abs=0.015)


@given(spaces(), rngs())
def test_draws_stay_within_bounds(space, rng):
    by_name = {parameter.name: parameter.node for parameter in space.parameters}
    for name, value in space.draw(rng).items():
        node = by_name[name]
        if isinstance(node, Choice | OneOf):
            assert value in node.options
        else:
            assert node.low <= value <= node.high


def test_equal_seeds_draw_alike():
    assert TREE.draw(random.Random(7)) == TREE.draw(random.Random(7))


def _draws(node):
    rng = random.Random(0)
    return [node.draw(rng) for _ in range(4000)]


def test_groups_are_what_is_always_there_together():
    names = [[it.name for it in group] for group in TREE.groups]
    assert names[0] == ["optimizer", "schedule.step.gamma", "clip_norm", "batch_size"]
    assert names[1:] == [["optimizer.sgd.lr", "optimizer.sgd.one_minus_momentum"], ["optimizer.adam.lr"]]
