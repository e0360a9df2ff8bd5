"""What is foretold is what is measured, for every optimizer."""

import pytest
import torch
from torch import nn

from hpo.config import Config
from hpo.training.memory import Memory, available, fence, measure, most, predict
from hpo.training.words import VOCABULARY
from hpo.training.words.optimizers import OPTIMIZERS, optimizer_call
from hpo.training.words.values import average_calls, parameters_call

VARIANTS = [
    *({"optimizer": name} for name in OPTIMIZERS if name != "lbfgs"),
    {"optimizer": "lbfgs", "optimizer.history_size": 3, "batch_size": "full"},
    {"optimizer": "sgd", "optimizer.momentum": 0.9},
    {"optimizer": "rmsprop", "optimizer.momentum": 0.9},
    {"optimizer": "rmsprop", "optimizer.centered": True},
    {"optimizer": "adamw", "weight_decay_on": "matrices"},
    {"optimizer": "adamw", "ema": 0.9},
]


def network(dtype=torch.float32, device=None):
    """Parameters of one, two, three and four dimensions."""
    torch.manual_seed(0)
    return nn.Sequential(
        nn.Conv2d(1, 3, 3), nn.GroupNorm(3, 3), nn.Flatten(), nn.Linear(12, 5), nn.Tanh(), nn.Linear(5, 2)
    ).to(dtype=dtype, device=device)


def after_steps(config, model, steps=2):
    optimizer = optimizer_call(config).build(parameters_call(config).build(model))
    averages = [call.build(model, optimizer) for call in average_calls(config)]
    inputs = torch.randn(8, 1, 4, 4, dtype=next(model.parameters()).dtype)

    def look():
        optimizer.zero_grad()
        value = (model(inputs) - 1).square().mean()
        value.backward()
        return value

    for _ in range(steps):
        optimizer.step(look)
    return measure(optimizer, model, *averages)


def complete(values):
    config = VOCABULARY.defaults(Config(values))
    assert VOCABULARY.check(config, "") == []
    return config


@pytest.mark.parametrize("values", VARIANTS, ids=str)
@pytest.mark.parametrize("dtype", [torch.float32, torch.float64], ids=str)
def test_what_is_foretold_is_measured(values, dtype):
    config, model = complete(values), network(dtype)
    found = predict(config, model)
    assert found == after_steps(config, model)
    assert found == predict(config, network(dtype, device="meta"))


def test_every_optimizer_is_among_the_variants():
    assert {variant["optimizer"] for variant in VARIANTS} == OPTIMIZERS.keys()


@pytest.mark.parametrize(
    ("values", "copies"),
    [
        ({"optimizer": "sgd"}, 0),
        ({"optimizer": "sgd", "optimizer.momentum": 0.9}, 1),
        ({"optimizer": "adamw"}, 2),
        ({"optimizer": "muon"}, 1),
        ({"optimizer": "adafactor"}, 2 / 1000),
    ],
    ids=str,
)
def test_state_is_so_many_copies_of_a_matrix(values, copies):
    model = nn.Linear(1000, 1000, bias=False, device="meta")
    found = predict(complete(values), model)
    assert found.parameters == found.gradients == 4_000_000
    assert found.state == pytest.approx(copies * 4_000_000, abs=8)
    assert found.total == found.parameters + found.gradients + found.state


def test_an_average_copies_buffers_too():
    model = nn.Sequential(nn.Linear(3, 4), nn.BatchNorm1d(4))
    numbers, counters = 16 + 8 + 8, 2  # weights, the norm's statistics; steps of the norm and the average
    assert predict(complete({"optimizer": "sgd", "ema": 0.9}), model).average == 4 * numbers + 8 * counters


def test_frozen_parameters_need_no_gradient_and_no_state():
    model = nn.Sequential(nn.Linear(3, 4), nn.Linear(4, 1))
    model[0].requires_grad_(False)
    assert predict(complete({"optimizer": "adagrad"}), model) == Memory(84, 20, 28)


def test_what_is_available_is_a_share_of_the_machine():
    assert 2**20 < available("cpu", 0.5) < 2**50


def test_a_gpu_has_what_nobody_uses_and_what_this_process_has_put_by(make_gpu):
    make_gpu(50, 100, reserved=30, allocated=10)
    assert available("cuda", 1.0) == 50 + 20


GIB = 2**30


def test_who_shares_a_gpu_cannot_take_memory_of_the_others(make_gpu):
    """Which is left, with half a GiB for each one's CUDA, though most of the GPU is free."""
    fractions = make_gpu(60 * GIB, 80 * GIB, reserved=5 * GIB, allocated=4 * GIB)
    fence("cuda", 0.25)
    assert fractions == {0: 19.5 / 80}
    assert available("cuda", 0.25) == 15.5 * GIB
    assert most("cuda", 0.25) == 19.5 * GIB


@pytest.mark.parametrize(("device", "share"), [("cuda", 1.0), ("cpu", 0.25)])
def test_who_has_a_gpu_alone_or_none_is_not_fenced(device, share, make_gpu):
    fractions = make_gpu(60 * GIB, 80 * GIB)
    fence(device, share)
    assert fractions == {}


def test_of_a_small_gpu_half_of_a_share_is_left_for_tensors(make_gpu):
    make_gpu(3 * GIB, 4 * GIB)
    assert most("cuda", 0.125) == GIB / 4
