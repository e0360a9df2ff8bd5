"""The contract of recipes: one suite, a row for each recipe that ships."""

from dataclasses import replace

import pytest
import torch

from hpo import recipe
from hpo.training.loop.batches import load
from hpo.training.words import vocabulary_of

RECIPES = ("cnn", "finetune", "linear", "mlp", "rnn", "transformer")
HOLDS_NOTHING_BACK = {"linear"}

every_recipe = pytest.mark.parametrize("name", RECIPES)


def rows(split):
    """Return each sample as something that can be looked up."""
    return {
        (tuple(inputs.flatten().tolist()), tuple(targets.flatten().tolist())) for inputs, targets in split
    }


def start(module):
    """Return the first batch, and the outputs of a new model for it."""
    torch.manual_seed(0)
    network = module.model()
    inputs, targets = next(iter(load(module.data()["train"], 8, seed=0)))
    return network, network(inputs), targets


def test_all_that_ship_are_tested():
    assert set(RECIPES) == set(recipe.names())


@every_recipe
def test_it_says_what_it_is_in_a_line(name):
    assert 40 < len(recipe.find(name).summary) < 105


@every_recipe
def test_the_baseline_can_be_trained(name):
    found = recipe.find(name)
    assert vocabulary_of(found).check(found.baseline, name) == []
    assert {"optimizer", "optimizer.lr", "schedule", "batch_size"} <= found.baseline.keys()


@every_recipe
def test_a_batch_gives_a_finite_loss_with_a_gradient_for_each_parameter(name, run):
    module = run(name)
    network, outputs, targets = start(module)
    value = module.loss(outputs, targets)
    value.backward()
    assert value.shape == ()
    assert value.isfinite()
    assert all(parameter.grad.isfinite().all() for parameter in network.parameters())


@every_recipe
def test_metrics_are_finite_means_over_the_batch(name, run):
    module = run(name)
    _, outputs, targets = start(module)
    for measure in getattr(module, "metrics", {}).values():
        halves = [measure(outputs[half], targets[half]).item() for half in (slice(4), slice(4, None))]
        assert measure(outputs, targets).item() == pytest.approx(sum(halves) / 2)


@every_recipe
def test_the_options_that_model_and_data_share_have_one_default(name):
    found = recipe.find(name)
    assert all(found.model[option] == found.data[option] for option in found.model.keys() & found.data.keys())


@every_recipe
def test_a_sample_is_in_one_part_only(name, run):
    parts = run(name).data()
    assert list(parts) == ["train", "validation", "test"]
    train, validation, test = map(rows, parts.values())
    if name not in HOLDS_NOTHING_BACK:
        assert len(train | validation | test) == len(train) + len(validation) + len(test)


@every_recipe
def test_data_and_start_are_the_same_each_time(name, run):
    first, second = run(name), run(name)
    for one, other in zip(first.data().values(), second.data().values(), strict=True):
        assert all(torch.equal(a, b) for a, b in zip(one.tensors, other.tensors, strict=True))
    before, after = (start(module)[1] for module in (first, second))
    assert torch.equal(before, after)


@every_recipe
def test_two_epochs_learn_and_repeat_exactly(name, train, run):
    parts = {part: torch.utils.data.TensorDataset(*split[:256]) for part, split in run(name).data().items()}
    first, second = ([replace(point, seconds=0.0) for point in train(name, 2, parts)] for _ in range(2))
    assert first == second
    assert first[1].train_loss < first[0].train_loss
