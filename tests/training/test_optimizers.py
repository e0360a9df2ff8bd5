import inspect
import pkgutil

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from hpo.training.optimizers import OPTIMIZERS, Call

ROWS = {
    "sgd": (
        {"lr": 0.1, "momentum": 0.9, "nesterov": True, "weight_decay": 0.01},
        lambda p: torch.optim.SGD(p, lr=0.1, momentum=0.9, nesterov=True, weight_decay=0.01),
    ),
    "adagrad": (
        {"lr": 0.1, "lr_decay": 0.1, "weight_decay": 0.01, "initial_accumulator_value": 0.5, "eps": 1e-6},
        lambda p: torch.optim.Adagrad(p, 0.1, 0.1, 0.01, 0.5, 1e-6),
    ),
    "rmsprop": (
        {"lr": 0.1, "alpha": 0.9, "eps": 1e-6, "weight_decay": 0.01, "momentum": 0.5, "centered": True},
        lambda p: torch.optim.RMSprop(p, 0.1, 0.9, 1e-6, 0.01, 0.5, centered=True),
    ),
    "adam": (
        {"lr": 0.1, "beta1": 0.8, "beta2": 0.9, "eps": 1e-6, "weight_decay": 0.01},
        lambda p: torch.optim.Adam(p, 0.1, (0.8, 0.9), 1e-6, 0.01),
    ),
    "adamw": (
        {"lr": 0.1, "beta1": 0.8, "beta2": 0.9, "eps": 1e-6, "weight_decay": 0.1},
        lambda p: torch.optim.AdamW(p, 0.1, (0.8, 0.9), 1e-6, 0.1),
    ),
}


def descend(make_optimizer, steps=5):
    """Take steps down a slanted bowl and return where they lead."""
    place = torch.nn.Parameter(torch.tensor([1.0, -2.0, 0.5]))
    optimizer = make_optimizer([place])
    for _ in range(steps):
        optimizer.zero_grad()
        (place**2 * torch.tensor([1.0, 0.1, 3.0]) + place).sum().backward()
        optimizer.step()
    return place.detach()


def test_every_word_has_a_row():
    assert ROWS.keys() == OPTIMIZERS.keys()


@pytest.mark.parametrize("name", OPTIMIZERS)
def test_steps_are_those_of_torch(name):
    hyperparameters, expected = ROWS[name]
    assert hyperparameters.keys() == set(OPTIMIZERS[name].names)
    assert torch.equal(descend(OPTIMIZERS[name].call(hyperparameters).build), descend(expected))


@pytest.mark.parametrize("word", OPTIMIZERS.values(), ids=OPTIMIZERS)
def test_defaults_are_those_of_torch(word):
    signature = inspect.signature(pkgutil.resolve_name(word.target))
    call = word.call({})
    assert call.arguments == {name: signature.parameters[name].default for name in call.arguments}


def values_of(item):
    if item.kind is bool:
        return st.booleans()
    return st.floats(item.low, min(item.high, 1e6), exclude_min=item.open_low, exclude_max=item.open_high)


@pytest.mark.parametrize("word", OPTIMIZERS.values(), ids=OPTIMIZERS)
@given(data=st.data())
def test_what_is_printed_is_what_is_built(word, data):
    hyperparameters = {item.name: data.draw(values_of(item)) for item in word.hyperparameters}
    if word.broken_rules(hyperparameters):
        return
    parameters = [torch.nn.Parameter(torch.zeros(1))]
    call = word.call(hyperparameters)
    printed = eval(call.source("parameters"), {"torch": torch, "parameters": parameters})
    assert printed.defaults == call.build(parameters).defaults


def test_a_short_call_is_printed_in_one_line():
    call = OPTIMIZERS["sgd"].call({"lr": 0.05, "momentum": 0.9})
    expected = "torch.optim.SGD(p, lr=0.05, momentum=0.9, nesterov=False, weight_decay=0.0)"
    assert call.source("p") == expected


def test_a_long_call_is_printed_with_one_argument_in_each_line():
    call = Call("torch.optim.SGD", {"lr": 0.05, "note": "x" * 90})
    assert call.source("p") == f'torch.optim.SGD(\n    p,\n    lr=0.05,\n    note="{"x" * 90}",\n)'


def test_contradictions_are_what_torch_refuses():
    hyperparameters = {"nesterov": True, "momentum": 0.0}
    assert OPTIMIZERS["sgd"].broken_rules(hyperparameters) == ["nesterov needs a momentum above 0"]
    with pytest.raises(ValueError, match="Nesterov"):
        descend(OPTIMIZERS["sgd"].call(hyperparameters).build)
