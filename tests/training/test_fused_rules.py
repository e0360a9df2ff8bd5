"""The contract of update rules: one suite, rows for each optimizer; torch.optim's steps are the oracle."""

import itertools

import pytest
import torch

from hpo.config import Config
from hpo.training.fused.rules import RULES, Layout
from hpo.training.words import VOCABULARY
from hpo.training.words.optimizers import OPTIMIZERS, optimizer_call
from hpo.training.words.values import parameters_call

# Matrices lie on both sides of a convolution's kernel; some are high, some wide; one vector has no dimension.
LAYOUT = Layout(
    ("wide", "kernel", "high", "bias", "scale"),
    ((3, 5), (4, 3, 2, 2), (7, 2), (5,), ()),
)
STEPS = 8

# What trials of one optimizer, which share kernels, may differ in.
ROWS = {
    "sgd": (
        {},
        {"momentum": 0.9, "weight_decay": 0.1},
        {"momentum": 0.5, "nesterov": True},
        {"weight_decay": 0.2, "lr": 0.3},
    ),
    "adagrad": (
        {},
        {"lr": 0.3, "lr_decay": 0.1, "weight_decay": 0.1},
        {"initial_accumulator_value": 0.5, "eps": 1e-3},
    ),
    "rmsprop": (
        {},
        {"momentum": 0.9, "weight_decay": 0.1},
        {"centered": True, "alpha": 0.8, "lr": 0.1},
        {"centered": True, "momentum": 0.5, "eps": 1e-3},
    ),
    "adam": ({}, {"lr": 0.1, "weight_decay": 0.1}, {"beta1": 0.5, "beta2": 0.9, "eps": 1e-3}),
    "adamw": ({}, {"lr": 0.1, "weight_decay": 0.0}, {"beta1": 0.5, "beta2": 0.9, "eps": 1e-3}),
    "adadelta": ({}, {"lr": 0.5, "weight_decay": 0.1}, {"rho": 0.5, "eps": 1e-3}),
    "nadam": (
        {},
        {"lr": 0.1, "weight_decay": 0.1, "momentum_decay": 0.1},
        {"beta1": 0.5, "beta2": 0.9, "eps": 1e-3, "weight_decay": 0.1, "decoupled_weight_decay": True},
    ),
    "radam": (
        {},
        {"lr": 0.1, "weight_decay": 0.1, "beta2": 0.5},
        {"beta1": 0.5, "beta2": 0.9, "eps": 1e-3, "weight_decay": 0.1, "decoupled_weight_decay": True},
    ),
    "adamax": ({}, {"lr": 0.1, "weight_decay": 0.1}, {"beta1": 0.5, "beta2": 0.9, "eps": 1e-3}),
    "adafactor": (
        {},
        {"lr": 0.9, "weight_decay": 0.1, "beta2_decay": -0.5, "eps1": 0.1},
        {"d": 2.0, "eps2": 1.5, "eps1": 1e-3},
    ),
    "muon": (
        {},
        {"nesterov": False, "momentum": 0.5, "weight_decay": 0.3, "eps": 50.0, "ns_steps": 3},
        {"lr": 0.1, "adjust_lr_fn": "match_rms_adamw", "adamw_lr": 0.1, "adamw_weight_decay": 0.2},
        {"adjust_lr_fn": "original", "adamw_beta1": 0.5, "adamw_beta2": 0.9, "adamw_eps": 1e-3},
    ),
}

each_optimizer = pytest.mark.parametrize("name", sorted(OPTIMIZERS.keys() - {"lbfgs"}))


def complete(name, on="all", /, **values):
    given = {f"optimizer.{key}": value for key, value in values.items()}
    config = VOCABULARY.defaults(Config({"optimizer": name, "weight_decay_on": on, **given}))
    assert VOCABULARY.check(config, "") == []
    return config


def configs_of(name, rows):
    """Cycle through the optimizer's rows, with each place of weight decay, lr falling from row to row."""
    combinations = list(itertools.product(ROWS[name], ("all", "matrices")))
    configs = []
    for row in range(rows):
        values, on = combinations[row % len(combinations)]
        lr = values.get("lr", OPTIMIZERS[name]["lr"].default) / (1 + row / 10)
        configs.append(complete(name, on, **{**values, "lr": lr}))
    return configs


class Problem:
    """Made-up weights, gradients and schedules for k trials."""

    def __init__(self, configs, dtype=torch.float64):
        chance = torch.Generator().manual_seed(len(configs))
        shape = (len(configs), LAYOUT.size)
        self.configs = configs
        self.weights = torch.randn(shape, generator=chance, dtype=torch.float64).to(dtype)
        self.gradients = torch.randn((STEPS, *shape), generator=chance, dtype=torch.float64).to(dtype)
        self.factors = torch.rand((STEPS, len(configs)), generator=chance, dtype=torch.float64)
        self.factors[2] = 0.0

    def plain(self, row):
        """Let torch's own optimizer take all steps of one trial."""
        model = torch.nn.Module()
        for name, shape, part in zip(LAYOUT.names, LAYOUT.shapes, LAYOUT.columns, strict=True):
            item = torch.nn.Parameter(self.weights[row, part].clone().reshape(shape))
            model.register_parameter(name, item)
        config = self.configs[row]
        optimizer = optimizer_call(config).build(parameters_call(config).build(model))
        for factor, gradients in zip(self.factors[:, row].tolist(), self.gradients[:, row], strict=True):
            for group in optimizer.param_groups:
                group["lr"] = group.setdefault("initial_lr", group["lr"]) * factor
            for item, shape, part in zip(model.parameters(), LAYOUT.shapes, LAYOUT.columns, strict=True):
                item.grad = gradients[part].clone().reshape(shape)
            optimizer.step()
        return torch.cat([item.detach().flatten() for item in model.parameters()])

    def fused(self, kept=None):
        """Let the rule take all steps, half of them by each of two plans, with fewer rows in the second."""
        weights, half = self.weights.clone(), STEPS // 2
        rule = RULES[self.configs[0]["optimizer"]](self.configs, LAYOUT, weights)
        self.advance(rule, weights, slice(half), torch.arange(len(weights)))
        rows = torch.arange(len(weights)) if kept is None else torch.tensor(kept)
        weights = weights[rows]
        if kept is not None:
            rule.keep(rows)
        self.advance(rule, weights, slice(half, None), rows)
        return weights

    def advance(self, rule, weights, steps, rows):
        rule.plan(self.factors[steps][:, rows])
        for gradients in self.gradients[steps][:, rows]:
            rule.step(weights, gradients)


def assert_equal(problem, fused, rows, tolerance=1e-12):
    plain = torch.stack([problem.plain(row) for row in rows])
    torch.testing.assert_close(fused, plain, rtol=tolerance, atol=tolerance)
    assert not torch.equal(fused, problem.weights[list(rows)])


@each_optimizer
@pytest.mark.parametrize("rows", [1, 3, 16])
def test_steps_are_those_of_torch(name, rows):
    problem = Problem(configs_of(name, rows))
    assert_equal(problem, problem.fused(), range(rows))


@pytest.mark.parametrize("on", ["all", "matrices"])
@pytest.mark.parametrize(
    ("name", "values"), [(name, values) for name, choices in ROWS.items() for values in choices]
)
def test_steps_are_those_of_torch_when_all_rows_agree(name, values, on):
    problem = Problem([complete(name, on, **values)] * 2)
    assert_equal(problem, problem.fused(), range(2))


@each_optimizer
def test_single_precision_differs_by_rounding_only(name):
    problem = Problem(configs_of(name, 8), torch.float32)
    assert_equal(problem, problem.fused(), range(8), tolerance=1e-5)


def test_rows_of_one_rule_may_have_different_optimizers():
    problem = Problem([complete("adam", weight_decay=0.1), complete("adamw", "matrices", weight_decay=0.1)])
    assert_equal(problem, problem.fused(), range(2))


@each_optimizer
def test_rows_that_are_kept_go_on_as_before(name):
    problem = Problem(configs_of(name, 8))
    assert_equal(problem, problem.fused(kept=[7, 5, 2]), [7, 5, 2])


@each_optimizer
@pytest.mark.parametrize("broken", [float("nan"), float("inf")])
def test_a_row_that_breaks_touches_no_other(name, broken):
    problem = Problem(configs_of(name, 4))
    problem.gradients[1, 2] = broken
    fused = problem.fused()
    others = [0, 1, 3]
    assert_equal(problem, fused[others], others)
    assert not fused[2].isfinite().all()


@each_optimizer
def test_every_hyperparameter_is_tried(name):
    tried = {key for values in ROWS[name] for key in values} | {"lr"}
    assert tried == set(OPTIMIZERS[name].names)


def test_only_lbfgs_has_no_rule():
    assert OPTIMIZERS.keys() - RULES.keys() == {"lbfgs"}
    assert RULES.keys() <= OPTIMIZERS.keys()


def test_what_no_row_needs_is_not_kept():
    configs = [complete("sgd"), complete("sgd", lr=0.1)]
    assert RULES["sgd"](configs, LAYOUT, torch.zeros(2, LAYOUT.size)).state == {}


def test_a_layout_knows_its_columns():
    assert LAYOUT.columns == (slice(0, 15), slice(15, 63), slice(63, 77), slice(77, 82), slice(82, 83))
    assert (LAYOUT.matrices, LAYOUT.size) == (77, 83)


def test_a_layout_has_its_vectors_last():
    with pytest.raises(ValueError, match="must come first"):
        Layout(("bias", "weight"), ((2,), (2, 2)))
