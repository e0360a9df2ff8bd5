import inspect
import pkgutil

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from hpo.config import Config
from hpo.training.loop.muon import MuonAdamW
from hpo.training.words import VOCABULARY
from hpo.training.words.calls import Call
from hpo.training.words.optimizers import OPTIMIZERS, optimizer_call
from hpo.training.words.values import parameters_call

ADAM = {"lr": 0.1, "beta1": 0.8, "beta2": 0.9, "eps": 1e-6}


class Both:
    """Two optimizers, each with its own parameters."""

    def __init__(self, *parts):
        self.parts = parts

    def step(self, closure):
        closure()
        for part in self.parts:
            part.step()


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
        lambda p: torch.optim.Adam(p, 0.1, (0.8, 0.9), 1e-6, 0.01, fused=True),
    ),
    "adamw": (
        {"lr": 0.1, "beta1": 0.8, "beta2": 0.9, "eps": 1e-6, "weight_decay": 0.1},
        lambda p: torch.optim.AdamW(p, 0.1, (0.8, 0.9), 1e-6, 0.1, fused=True),
    ),
    "adadelta": (
        {"lr": 0.5, "rho": 0.8, "eps": 1e-4, "weight_decay": 0.01},
        lambda p: torch.optim.Adadelta(p, 0.5, 0.8, 1e-4, 0.01),
    ),
    "nadam": (
        {**ADAM, "weight_decay": 0.01, "momentum_decay": 0.1, "decoupled_weight_decay": True},
        lambda p: torch.optim.NAdam(p, 0.1, (0.8, 0.9), 1e-6, 0.01, 0.1, True),
    ),
    "radam": (
        {**ADAM, "weight_decay": 0.01, "decoupled_weight_decay": True},
        lambda p: torch.optim.RAdam(p, 0.1, (0.8, 0.9), 1e-6, 0.01, True),
    ),
    "adamax": (
        {**ADAM, "weight_decay": 0.01},
        lambda p: torch.optim.Adamax(p, 0.1, (0.8, 0.9), 1e-6, 0.01),
    ),
    "adafactor": (
        {"lr": 0.1, "beta2_decay": -0.5, "eps1": 1e-20, "eps2": 0.1, "d": 2.0, "weight_decay": 0.01},
        lambda p: torch.optim.Adafactor(p, 0.1, -0.5, (1e-20, 0.1), 2.0, 0.01),
    ),
    "muon": (
        {
            "lr": 0.1,
            "weight_decay": 0.01,
            "momentum": 0.8,
            "nesterov": False,
            "eps": 1e-6,
            "ns_steps": 3,
            "adjust_lr_fn": "match_rms_adamw",
            **{f"adamw_{name}": value for name, value in ADAM.items()},
            "adamw_weight_decay": 0.2,
        },
        lambda p: Both(
            torch.optim.Muon(
                p[:1],
                0.1,
                0.01,
                0.8,
                nesterov=False,
                eps=1e-6,
                ns_steps=3,
                adjust_lr_fn="match_rms_adamw",
            ),
            torch.optim.AdamW(p[1:], 0.1, (0.8, 0.9), 1e-6, 0.2),
        ),
    ),
    "lbfgs": (
        {
            "lr": 0.5,
            "max_iter": 3,
            "tolerance_grad": 1e-3,
            "tolerance_change": 1e-5,
            "history_size": 2,
            "line_search_fn": "strong_wolfe",
        },
        lambda p: torch.optim.LBFGS(p, 0.5, 3, None, 1e-3, 1e-5, 2, "strong_wolfe"),
    ),
}


def descend(make_optimizer, steps=5):
    """Take steps down a slanted bowl and return where they lead."""
    model = torch.nn.Linear(3, 2)
    with torch.no_grad():
        model.weight.copy_(torch.tensor([[1.0, -2.0, 0.5], [0.3, 0.0, -1.0]]))
        model.bias.copy_(torch.tensor([0.5, -0.5]))
    optimizer = make_optimizer(model)

    def look():
        model.zero_grad()
        value = (model.weight**2 * torch.tensor([1.0, 0.1, 3.0])).sum() + (model.bias**4).sum()
        value = value + model.weight.sum() + model.bias.sum()
        value.backward()
        return value

    for _ in range(steps):
        optimizer.step(look)
    return torch.cat([item.detach().flatten() for item in model.parameters()])


def of_parameters(make_optimizer):
    return lambda model: make_optimizer(list(model.parameters()))


def test_every_word_has_a_row():
    assert ROWS.keys() == OPTIMIZERS.keys()


@pytest.mark.parametrize("name", OPTIMIZERS)
def test_steps_are_those_of_torch(name):
    hyperparameters, expected = ROWS[name]
    assert hyperparameters.keys() == set(OPTIMIZERS[name].names)
    ours = OPTIMIZERS[name].call(hyperparameters).build
    assert torch.equal(descend(of_parameters(ours)), descend(of_parameters(expected)))


@pytest.mark.parametrize("word", OPTIMIZERS.values(), ids=OPTIMIZERS)
def test_defaults_are_those_of_torch(word):
    signature = inspect.signature(pkgutil.resolve_name(word.target))
    own = {name: value for name, value in word.call({}).arguments.items() if name != "fused"}
    assert own == {name: signature.parameters[name].default for name in own}


def values_of(item):
    if item.kind is bool:
        return st.booleans()
    if item.choices:
        return st.sampled_from([*item.choices, None])
    if item.kind is int:
        return st.integers(int(item.low), int(min(item.high, 1e6)))
    low, high = max(item.low, -1e6), min(item.high, 1e6)
    numbers = st.floats(low, high, exclude_min=item.open_low, exclude_max=item.open_high)
    return numbers | st.none() if item.optional else numbers


@pytest.mark.parametrize("word", OPTIMIZERS.values(), ids=OPTIMIZERS)
@given(data=st.data())
def test_what_is_printed_is_what_is_built(word, data):
    hyperparameters = {item.name: data.draw(values_of(item)) for item in word.hyperparameters}
    if word.broken_rules(hyperparameters):
        return
    parameters = [torch.nn.Parameter(torch.zeros(1))]
    call = word.call(hyperparameters)
    names = {"torch": torch, "parameters": parameters, "MuonAdamW": MuonAdamW}
    assert settings_of(eval(call.source("parameters"), names)) == settings_of(call.build(parameters))


def settings_of(optimizer):
    return [{**group, "params": None} for group in optimizer.param_groups]


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
        descend(of_parameters(OPTIMIZERS["sgd"].call(hyperparameters).build))


@pytest.mark.parametrize("prefix", ["", "adamw_"])
def test_defaults_of_both_of_muons_optimizers_are_those_of_torch(prefix):
    theirs = inspect.signature(torch.optim.AdamW if prefix else torch.optim.Muon).parameters
    ours = inspect.signature(MuonAdamW).parameters
    names = [name for name in ours if name.startswith("adamw_") == bool(prefix) and name != "params"]
    assert len(names) == (4 if prefix else 7)
    assert all(ours[name].default == theirs[name.removeprefix(prefix)].default for name in names)


@pytest.mark.parametrize("name", sorted(OPTIMIZERS.keys() - {"lbfgs"}))
def test_weight_decay_can_leave_out_biases_and_norms(name):
    def make(on, weight_decay):
        values = {item: weight_decay for item in OPTIMIZERS[name].names if item.endswith("weight_decay")}
        values = {f"optimizer.{item}": value for item, value in values.items() if "decoupled" not in item}
        config = VOCABULARY.defaults(Config({"optimizer": name, "weight_decay_on": on, **values}))
        assert VOCABULARY.check(config, "") == []
        return lambda model: optimizer_call(config).build(parameters_call(config).build(model))

    none, everything, matrices = (
        descend(make(on, decay)) for on, decay in [("all", 0.0), ("all", 0.3), ("matrices", 0.3)]
    )
    assert torch.equal(matrices[:6], everything[:6])
    assert torch.equal(matrices[6:], none[6:])
    assert not torch.equal(everything[:6], none[:6])
    assert not torch.equal(everything[6:], none[6:])


@pytest.mark.parametrize("word", OPTIMIZERS.values(), ids=OPTIMIZERS)
def test_every_word_says_what_it_does_and_who_says_so(word):
    assert word.formula
    assert word.reference


@pytest.mark.parametrize("name", sorted(OPTIMIZERS.keys() - {"lbfgs"}))
def test_an_optimizer_goes_on_from_a_saved_state(name):
    """Four steps at once lead where two steps and, after loading, two more lead."""
    hyperparameters, _ = ROWS[name]

    def interrupted(model):
        first = OPTIMIZERS[name].call(hyperparameters).build(list(model.parameters()))
        second = OPTIMIZERS[name].call({}).build(list(model.parameters()))
        return Relay(first, second, handover=2)

    make = of_parameters(OPTIMIZERS[name].call(hyperparameters).build)
    assert torch.equal(descend(interrupted, steps=4), descend(make, steps=4))


class Relay:
    """Steps with one optimizer, then hands its state on to another and steps with that."""

    def __init__(self, first, second, handover):
        self.first, self.second, self.left = first, second, handover

    def step(self, closure):
        if self.left == 0:
            self.second.load_state_dict(self.first.state_dict())
        self.left -= 1
        (self.first if self.left >= 0 else self.second).step(closure)
