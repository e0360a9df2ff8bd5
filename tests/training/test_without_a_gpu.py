"""What a stack does on a GPU, as far as that can be told without one.

Torch's device `meta` stands for it: tensors there have shapes and types, and no numbers. What mixes devices
is an error there, too, but for an index.
"""

from dataclasses import replace

import pytest
import torch
from test_fused import RECIPES, small, varied
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils._pytree import tree_leaves

from hpo.training.beginning import start_model
from hpo.training.fused.engine import _Training
from hpo.training.fused.grouping import Group
from hpo.training.fused.measures import Measure
from hpo.training.fused.rules import RULES
from hpo.training.fused.updates import family
from hpo.training.loop.batches import load, place

AWAY = "meta"


class Generator(torch.Generator):
    """A generator of a device for which this torch has none."""

    def __new__(cls, _device="cpu"):
        return super().__new__(cls)


@pytest.fixture
def away(monkeypatch):
    """Lay a stack of six trials of a shipped recipe there."""
    monkeypatch.setattr(torch, "Generator", Generator)

    def make(name, **values):
        task, baseline = small(name)
        splits = {name: place(split, AWAY) for name, split in task.splits.items()}
        task = replace(task, splits=splits, device=AWAY)
        members = sorted(varied(baseline, 6, **values), key=lambda member: family(member.config))
        models, starts = zip(*(start_model(task, member.config) for member in members), strict=True)
        return _Training(task, Group(members, [*models], [*starts]))

    return make


class Crossings(TorchDispatchMode):
    """Takes down each operation that has to do with more than one device."""

    def __init__(self):
        super().__init__()
        self.found = []

    def __torch_dispatch__(self, func, types, args=(), kwargs=None):
        made = func(*args, **(kwargs or {}))
        parts = [it for it in tree_leaves((args, kwargs, made)) if isinstance(it, torch.Tensor)]
        if len({part.device for part in parts}) > 1:
            self.found.append((str(func), parts[0].shape))
        return made


def take_a_step(training):
    training.updates.plan(training._factors(1))
    training.stack.train()
    return look_and_step(training, next(iter(load(training.splits["train"], training.batch_size, 0))))


def look_and_step(training, batch):
    losses = training._look(batch)
    training.shaping(training.stack.weights, training.gradients)
    training.updates.step(training.stack.weights, training.gradients)
    training.average.follow(training.stack.weights)
    return losses


@pytest.mark.parametrize("optimizer", RULES)
def test_who_goes_on_is_picked_from_what_lies_there_and_what_lies_here(away, optimizer):
    training = away("mlp", optimizer=optimizer)
    take_a_step(training)
    training.keep([member.number for member in training.members[1:4]])
    losses = take_a_step(training)
    assert (losses.device.type, len(losses)) == (AWAY, 3)


@pytest.mark.parametrize(
    ("name", "values"), [*RECIPES, ("mlp", {"optimizer": "nadam"}), ("mlp", {"optimizer": "muon"})], ids=str
)
def test_a_step_waits_for_nothing_from_the_cpu(away, name, values):
    """A copy from there is awaited, and with it all that the GPU was told before."""
    training = away(name, **values)
    training.updates.plan(training._factors(1))
    training.stack.train()
    batches = iter(load(training.splits["train"], training.batch_size, 0))
    look_and_step(training, next(batches))
    with Crossings() as crossings:
        look_and_step(training, next(batches))
    assert crossings.found == []


@pytest.mark.parametrize("cell", ["lstm", "gru", "rnn"])
def test_recurrent_layers_of_a_stack_are_not_laid_out_for_cudnn(away, cell, monkeypatch):
    """Which torch does on a GPU where weights have changed, and cannot do with those of several trials."""
    training = away("rnn", model__cell=cell)

    def lay_out(_):
        raise RuntimeError("Cannot access data pointer of Tensor that doesn't have storage")

    monkeypatch.setattr(torch.nn.RNNBase, "flatten_parameters", lay_out)
    assert len(take_a_step(training)) == 6


def test_what_is_measured_of_a_batch_stays_there():
    outputs, targets = torch.empty(3, 8, 4, device=AWAY), torch.empty(8, dtype=torch.int64, device=AWAY)
    values = Measure(torch.nn.functional.cross_entropy)(outputs, targets, 3)
    assert (values.device.type, values.dtype, values.shape) == (AWAY, torch.float64, (3,))
