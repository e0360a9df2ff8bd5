"""What a training costs is what can be counted by hand."""

from dataclasses import replace
from itertools import pairwise

import pytest
import torch
from torch.utils.data import DataLoader, TensorDataset

from hpo.training import costs, plain
from hpo.training.costs import foretell, measure, peak

LINEAR = """
from torch import nn
def model(width=8, dropout=0.1): return nn.Linear(300, 200, bias=False)
def loss(outputs, targets, label_smoothing=0.0): return (outputs - targets).square().mean()
"""
WEIGHTS = 4 * 300 * 200
COUNTER = 4  # in which Adam counts its steps
ROWS = 8 * 256  # the order of an epoch


@pytest.fixture
def linear(make_task):
    """A layer without biases, 300 to 200, on 256 samples."""
    chance = torch.Generator().manual_seed(0)
    data = TensorDataset(*(torch.randn(256, size, generator=chance) for size in (300, 200)))
    return make_task(LINEAR, {"train": data, "validation": data})


def batches(samples):
    """The bytes of a batch, and of the one before it, which is let go a moment later."""
    return 2 * 4 * samples * (300 + 200)


def test_adam_holds_the_weights_four_times(linear, make_member):
    """Weights, gradients and two averages, while the next batch comes in."""
    found = peak(linear, make_member(batch_size=2, optimizer="adam").config)
    assert found == 4 * WEIGHTS + COUNTER + ROWS + batches(2)


def test_plain_descent_holds_them_twice(linear, make_member):
    found = peak(linear, make_member(batch_size=2, optimizer="sgd", optimizer__momentum=0.0).config)
    assert found == 2 * WEIGHTS + ROWS + batches(2)


def test_a_larger_batch_takes_its_activations_more(linear, make_member):
    sizes = [peak(linear, make_member(batch_size=size, optimizer="sgd").config) for size in (16, 32, 64)]
    grown = [after - before for before, after in pairwise(sizes)]
    assert grown[1] == pytest.approx(2 * grown[0], rel=0.01)
    assert grown[0] >= batches(16)


def test_memory_is_the_same_each_time(make_task, make_member):
    task, config = make_task(), make_member(batch_size=32, optimizer="adamw").config
    assert peak(task, config) == peak(task, config)


def test_small_batches_foretell_a_large_one(linear, make_member):
    """At least what is alive on the way forward, and no more than the peak."""
    config = make_member(batch_size=64, optimizer="sgd").config
    assert 0.6 * peak(linear, config) < foretell(linear, config) <= peak(linear, config)


class Whole(DataLoader):
    def __iter__(self):
        yield from super().__iter__()


@pytest.mark.parametrize(("kind", "foretold"), [(DataLoader, True), (Whole, False)])
def test_of_a_loader_only_batches_that_can_be_cut_foretell(linear, make_member, kind, foretold):
    data = linear.splits["train"]
    task = replace(linear, splits={"train": kind(data, 32), "validation": data})
    assert bool(foretell(task, make_member(batch_size=None, optimizer="sgd").config)) == foretold


def test_data_that_must_first_be_copied_to_a_gpu_do_not_count(linear, make_member, monkeypatch):
    """They are copied here, as they would be there, unless they are there already."""
    config, there = make_member(batch_size=64, optimizer="sgd").config, set()

    def place(split, _device):
        if split in there:
            return split
        copied = TensorDataset(*(tensor.clone() for tensor in split.tensors))
        there.add(copied)
        return copied

    found = foretell(linear, config), peak(linear, config)
    for module in (costs, plain):
        monkeypatch.setattr(module, "place", place)
    assert (foretell(linear, config), peak(linear, config)) == found


def test_a_history_that_is_not_full_yet_counts_as_full(linear, make_member):
    """LBFGS keeps two copies for each step that it looks back."""
    short, long = (
        peak(linear, make_member(batch_size="full", optimizer="lbfgs", optimizer__history_size=it).config)
        for it in (50, 100)
    )
    assert long - short == pytest.approx(100 * WEIGHTS, rel=0.05)


def test_all_costs_are_measured_that_are_asked_for(make_task, make_member):
    task, config = make_task(), make_member().config
    found = measure(task, config, ("memory", "seconds"))
    assert found["memory"] == peak(task, config)
    assert 0 < found["seconds"] < 1
    assert list(found) == ["memory", "seconds"]


def test_measuring_leaves_no_trace_in_a_training(make_task, make_member):
    def curve():
        (points,) = zip(*plain.train(make_task(epochs=2), [make_member(batch_size=16)]), strict=True)
        return [point.score for point in points]

    before = curve()
    measure(make_task(), make_member().config, ("memory", "seconds"))
    assert curve() == before


@pytest.mark.gpu
@pytest.mark.skipif(not torch.cuda.is_available(), reason="there is no GPU")
def test_a_gpu_gives_out_what_is_counted_without_one(linear, make_member):
    config = make_member(batch_size=2, optimizer="adam").config
    assert peak(replace(linear, device="cuda"), config) == pytest.approx(peak(linear, config), rel=0.05)
