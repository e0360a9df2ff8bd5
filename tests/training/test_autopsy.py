"""Where in a model a divergence began."""

import gc
import weakref
from dataclasses import replace
from functools import partial

import pytest
import torch

from hpo.config import Config
from hpo.training import fused, plain
from hpo.training.autopsy import _Watch, examine, first_bad_layer
from hpo.trial import Divergence, Point

MODEL = """
import torch
from torch import nn
from torch.utils.data import TensorDataset

class Broken(nn.Module):
    # Gives, or has as its gradient, what is not finite from its third training step on.
    def __init__(self, way):
        super().__init__()
        self.line, self.way, self.steps = nn.Linear(4, 4), way, 0

    def forward(self, inputs):
        self.steps += self.training
        bad = self.steps >= 3
        if self.way == "forth" and bad:
            return self.line(inputs) * torch.inf
        if self.way == "back" and bad:  # the root of 0 is finite, its slope is not
            return self.line(inputs) + (self.line(inputs) * 0).abs().sqrt()
        return self.line(inputs)

def model(way="none"):
    return nn.Sequential(nn.Linear(4, 4), nn.Tanh(), Broken(way), nn.Linear(4, 1))

def data():
    rows = torch.randn(32, 4, generator=torch.Generator().manual_seed(0))
    split = TensorDataset(rows, rows.sum(dim=1, keepdim=True))
    return {"train": split, "validation": split}

def loss(outputs, targets):
    return ((outputs - targets) ** 2).mean()
"""


@pytest.fixture
def broken(make_task, make_member):
    """A task whose model breaks, and a trial of it."""

    def make(way, lr=1e-3):
        task = make_task(MODEL, epochs=4)
        values = {"optimizer": "sgd", "optimizer.lr": lr, "batch_size": 8}
        trial = make_member(1, **values)
        others = {key: it for key, it in trial.config.items() if not key.startswith(("model.", "loss."))}
        return task, replace(trial, config=Config({**others, "model.way": way}))

    return make


def first_report(task, trial, train=plain.train):
    progress = train(task, [trial])
    reports = next(progress)
    while isinstance(reports[0], Point):
        reports = progress.send(None)
    return reports


def test_the_first_layer_whose_output_is_not_finite_is_named(broken):
    task, trial = broken("forth")
    assert first_bad_layer(task, trial, 4) == "first not finite: the output of 2 (Broken)"


def test_the_first_gradient_that_is_not_finite_is_named(broken):
    task, trial = broken("back")
    assert first_bad_layer(task, trial, 4).startswith("first not finite: the gradient of 2.line (Linear)")


def test_what_is_finite_and_too_large_is_where_the_gain_has_grown(broken):
    task, trial = broken("none", lr=1e3)
    (found,) = examine(task, [trial], first_report(task, trial), most=50)
    assert found.where.endswith("times as much as at first")
    assert found.where in found.reason
    assert found.notes["where"] == found.where


def test_nothing_is_said_of_what_is_sound(broken):
    task, trial = broken("none")
    assert first_bad_layer(task, trial, 8) == ""


@pytest.mark.parametrize("train", [plain.train, partial(fused.train, least=1)])
def test_engines_agree_on_it(broken, train):
    task, trial = broken("none", lr=1e3)
    (found,) = examine(task, [trial], first_report(task, trial, train), most=50)
    assert found.where == first_bad_layer(task, trial, 50)


def test_it_is_not_looked_for_where_that_takes_long(broken):
    task, trial = broken("forth")
    late = Divergence(1, epoch=3, step=1, loss=float("nan"), grad_norm=1.0)
    assert repr(examine(task, [trial], [late], most=9)) == repr([late])
    (found,) = examine(task, [trial], [late], most=10)
    assert found.where


def test_neither_a_snapshot_nor_what_takes_them_is_touched(broken):
    task, trial = broken("forth")
    task = replace(task, snapshots={})
    first_bad_layer(task, trial, 4)
    assert task.snapshots == {}


def test_a_model_for_which_there_is_no_room_a_second_time_keeps_its_report(broken, monkeypatch):
    task, trial = broken("forth")
    reports = first_report(task, trial)

    def full(*_):
        raise torch.OutOfMemoryError

    monkeypatch.setattr("hpo.training.autopsy.rehearse", full)
    assert repr(examine(task, [trial], reports, most=50)) == repr(reports)


def test_the_model_that_was_watched_is_gone_at_once(broken, monkeypatch):
    task, trial = broken("forth")
    make, made = task.recipe.model, []

    def noted(**values):
        model = make(**values)
        made.append(weakref.ref(model))
        return model

    monkeypatch.setattr(task.recipe, "model", noted)
    gc.disable()
    try:
        assert first_bad_layer(task, trial, 4)
        assert [model() for model in made] == [None]
    finally:
        gc.enable()


def test_what_was_not_finite_and_did_no_harm_is_forgotten():
    model = torch.nn.Linear(1, 1)
    watch = _Watch(model)
    model(torch.tensor([[torch.inf]]))
    assert watch.broken == "first not finite: the output of model (Linear)"
    watch.forget()
    assert watch.broken
    model(torch.ones(1, 1))
    watch.forget()
    assert watch.broken == ""
