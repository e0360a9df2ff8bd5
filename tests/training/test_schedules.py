import math

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from torch.optim import lr_scheduler as torchs

from hpo.config import Config
from hpo.training.schedules import (
    SCHEDULES,
    constant_factor,
    cosine_factor,
    exponential_factor,
    learning_rates,
    rates,
    step_factor,
)
from hpo.training.words import VOCABULARY

STEPS = 40

ROWS = {
    "constant": ({}, lambda step: 1.0, lambda opt: torchs.ConstantLR(opt, 1.0)),
    "step": (
        {"step_size": 0.25, "gamma": 0.5},
        lambda step: 0.5 ** (step // 10),
        lambda opt: torchs.StepLR(opt, step_size=10, gamma=0.5),
    ),
    "exponential": (
        {"end_factor": 0.01},
        lambda step: math.exp(math.log(0.01) * step / STEPS),
        lambda opt: torchs.ExponentialLR(opt, gamma=0.01 ** (1 / STEPS)),
    ),
    "cosine": (
        {"end_factor": 0.1},
        lambda step: 0.55 + 0.45 * math.cos(math.pi * step / STEPS),
        lambda opt: torchs.CosineAnnealingLR(opt, T_max=STEPS, eta_min=0.1),
    ),
}


def rates_of_torch(make_scheduler, steps=STEPS):
    """Return the learning rates that a torch scheduler sets, from 1."""
    optimizer = torch.optim.SGD([torch.nn.Parameter(torch.zeros(1))], lr=1.0)
    scheduler = make_scheduler(optimizer)
    found = []
    for _ in range(steps):
        found.append(optimizer.param_groups[0]["lr"])
        optimizer.step()
        scheduler.step()
    return found


def test_every_word_has_a_row():
    assert ROWS.keys() == SCHEDULES.keys()


@pytest.mark.parametrize("name", SCHEDULES)
def test_factors_follow_the_formula(name):
    hyperparameters, formula, _ = ROWS[name]
    found = [SCHEDULES[name].factor(step, STEPS, **hyperparameters) for step in range(STEPS)]
    assert found == pytest.approx([formula(step) for step in range(STEPS)])


@pytest.mark.parametrize("name", SCHEDULES)
def test_factors_are_those_of_torch(name):
    hyperparameters, _, scheduler = ROWS[name]
    found = [SCHEDULES[name].factor(step, STEPS, **hyperparameters) for step in range(STEPS)]
    assert found == pytest.approx(rates_of_torch(scheduler))


def test_the_rise_is_that_of_torch():
    found = learning_rates(20, 1.0, 0.5, constant_factor)
    expected = rates_of_torch(lambda opt: torchs.LinearLR(opt, start_factor=1 / 11, total_iters=10), steps=20)
    assert found == pytest.approx(expected)


def test_the_schedule_covers_what_the_rise_leaves():
    found = learning_rates(20, 2.0, 0.25, cosine_factor, end_factor=0.0)
    assert found[5:] == learning_rates(15, 2.0, 0.0, cosine_factor, end_factor=0.0)


@given(
    steps=st.integers(1, 300),
    warmup=st.floats(0, 0.5),
    schedule=st.sampled_from(
        [
            (constant_factor, {}),
            (step_factor, {"step_size": 0.01, "gamma": 0.1}),
            (exponential_factor, {"end_factor": 1e-3}),
            (cosine_factor, {"end_factor": 0.0}),
        ]
    ),
)
def test_rates_rise_once_to_the_full_rate_and_then_never_again(steps, warmup, schedule):
    factor, hyperparameters = schedule
    found = learning_rates(steps, 0.5, warmup, factor, **hyperparameters)
    top = found.index(max(found))
    assert len(found) == steps
    assert found[top] == 0.5
    assert min(found) > 0
    assert found[: top + 1] == sorted(found[: top + 1])
    assert found[top:] == sorted(found[top:], reverse=True)


def test_a_configuration_says_all_that_the_rates_need():
    config = VOCABULARY.defaults(Config({"schedule": "step", "optimizer.lr": 0.5, "warmup": 0.1}))
    assert rates(config, 50) == learning_rates(50, 0.5, 0.1, step_factor, step_size=0.3, gamma=0.1)
