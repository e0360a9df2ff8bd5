"""Starting from a checkpoint: what is filled, what is kept, what is frozen, and what learns slowly."""

import re

import pytest
import torch
from torch import nn

from hpo.config import Config
from hpo.training import fused
from hpo.training.checkpoint import CheckpointError, write_checkpoint
from hpo.training.engine import Member
from hpo.training.loop.clipping import Clipping
from hpo.training.loop.gradients import Gradient
from hpo.training.loop.loop import train_epoch
from hpo.training.loop.scheduler import Scheduler
from hpo.training.plain import train
from hpo.training.transfer import freeze, slow, start
from hpo.training.words import VOCABULARY, vocabulary_of
from hpo.training.words.optimizers import OPTIMIZERS, optimizer_call
from hpo.training.words.schedules import ConstantSchedule
from hpo.training.words.values import parameters_call, slow_calls
from hpo.trial import ALONE


def network(classes=3):
    return nn.Sequential(
        nn.Linear(5, 4), nn.BatchNorm1d(4), nn.BatchNorm1d(4, affine=False), nn.Linear(4, classes)
    )


def path_of(model, folder):
    path = folder / "w.safetensors"
    write_checkpoint(path, model.state_dict(), {})
    return path


def test_what_fits_is_filled_and_the_rest_is_kept(tmp_path):
    old, new = network(classes=7), network()
    old(torch.randn(9, 5))
    before = {name: item.clone() for name, item in new.state_dict().items()}
    found = start(new, path_of(old, tmp_path))
    assert found.kept == ["3.weight", "3.bias"]
    assert str(found) == "10 of 12 tensors filled; as initialized: 3.weight, 3.bias"
    for name, item in new.state_dict().items():
        source = before if name in found.kept else old.state_dict()
        assert torch.equal(item, source[name])


def test_a_checkpoint_of_something_else_names_both_sides(tmp_path):
    path = path_of(nn.Sequential(nn.Conv2d(1, 2, 3), nn.BatchNorm2d(2)), tmp_path)
    with pytest.raises(CheckpointError) as caught:
        start(network(), path)
    assert (
        "w.safetensors: no parameter fits. The file has 0.bias [2], 0.weight [2, 1, 3, 3], 1.bias [2], "
        in str(caught.value)
    )
    assert "the model 0.bias [4], 0.weight [4, 5], 1.bias [4], " in str(caught.value)


def after_steps(model, steps=3):
    parameters = slow(model.parameters(), model, (), 1.0)
    optimizer = torch.optim.AdamW(parameters, 0.1)
    for _ in range(steps):
        optimizer.zero_grad()
        model.train()
        model(torch.randn(16, 5)).square().mean().backward()
        optimizer.step()
    return model.state_dict()


@pytest.mark.parametrize(
    ("names", "still"),
    [
        ("[0-2].*", ("0.", "1.", "2.")),
        ("0.*, 3.bias", ("0.", "3.bias")),
        ("1.weight", ("1.weight",)),  # the layer's bias learns, so its statistics move
        ("1.*", ("1.",)),
    ],
)
def test_what_is_frozen_stays_and_all_else_moves(names, still):
    model = network()
    model(torch.randn(9, 5))
    before = {name: item.clone() for name, item in model.state_dict().items()}
    freeze(model, names)
    after = after_steps(model)
    moved = {name for name in before if not torch.equal(before[name], after[name])}
    assert moved == {name for name in before if not name.startswith(still)}


@pytest.mark.parametrize(
    ("names", "message"),
    [
        ("0.*, 1.wieght", "freeze: no parameter is called '1.wieght'. The nearest are 1.weight, "),
        ("body.*", "freeze: no parameter is called 'body.*'. The nearest are "),
        ("*", "freeze: '*' leaves nothing to learn"),
    ],
)
def test_patterns_that_make_no_sense_are_refused(names, message):
    with pytest.raises(ValueError, match=f"^{re.escape(message)}"):
        freeze(network(), names)


@pytest.mark.parametrize("on", ["all", "matrices"])
@pytest.mark.parametrize("name", sorted(OPTIMIZERS.keys() - {"lbfgs"}))
def test_every_optimizer_slows_what_was_filled_and_decays_as_before(name, on):
    values = {"optimizer": name, "start": "w.safetensors", "body_lr": 0.25, "weight_decay_on": on}
    config = VOCABULARY.defaults(Config(values))
    assert VOCABULARY.check(config, "") == []
    model = network()
    [call] = slow_calls(config)
    groups = call.build(parameters_call(config).build(model), model, ["0.weight", "0.bias"])
    body = {id(model[0].weight), id(model[0].bias)}
    optimizer = optimizer_call(config).build(groups)
    found = {id(item): group for group in optimizer.param_groups for item in group["params"]}
    assert found.keys() == {id(item) for item in model.parameters()}
    assert {key for key, group in found.items() if group.get("lr_factor") == 0.25} == body
    spared = [id(item) for item in model.parameters() if item.ndim < 2] if on == "matrices" else []
    assert all(found[key]["weight_decay"] == 0 for key in spared)
    assert "lr_factor" not in optimizer.param_groups[0]


def test_a_slowed_step_is_a_share_of_the_whole_one():
    moved = []
    for factor in (1.0, 0.25):
        torch.manual_seed(0)
        model = nn.Sequential(nn.Linear(5, 4), nn.Linear(4, 3))
        before = [item.detach().clone() for item in model.parameters()]
        groups = slow(model.parameters(), model, ["0.weight", "0.bias"], factor)
        batches, mse_loss = [(torch.randn(9, 5), torch.randn(9, 3))], nn.functional.mse_loss
        optimizer = torch.optim.SGD(groups, 0.1)
        scheduler = Scheduler(optimizer, ConstantSchedule(), steps=1)
        [step] = train_epoch(model, mse_loss, optimizer, scheduler, Gradient(), Clipping(), batches)
        assert step.lr == 0.1
        moved.append([new.detach() - old for new, old in zip(model.parameters(), before, strict=True)])
    for position, (whole, slowed) in enumerate(zip(*moved, strict=True)):
        assert torch.allclose(slowed, whole * (0.25 if position < 2 else 1.0), atol=1e-7)
        assert whole.abs().max() > 0


def run(recipe, make_task, epochs=3, **values):
    config = vocabulary_of(recipe).defaults(
        Config({name.replace("__", "."): it for name, it in values.items()})
    )
    assert vocabulary_of(recipe).check(config, "") == []
    return [points[0] for points in train(make_task(recipe.source, epochs=epochs), [Member(0, config)])]


def test_a_search_starts_from_a_recipes_own_checkpoint_or_from_a_file(own, make_task):
    still = {"optimizer__lr": 1e-12, "batch_size": "full"}
    fresh, named = run(own, make_task, **still), run(own, make_task, start="elsewhere", **still)
    path = own.source.partition('return "')[2].partition('"')[0]
    filed = run(own, make_task, start=path, **still)
    assert [point.train_loss for point in named] == [point.train_loss for point in filed]
    assert fresh[0].train_loss != named[0].train_loss
    note = "7 of 9 tensors filled; as initialized: 4.weight, 4.bias"
    assert [point.notes["start"] for point in named] == [note] * 3
    assert "start" not in fresh[0].notes


def test_in_company_a_checkpoint_and_own_schedules_train_fused_and_own_optimizers_plainly(own, make_task):
    given = [
        {"schedule": "sawtooth"},
        {"schedule": "linear", "then": "sawtooth", "then_2": "step"},
        {"start": "elsewhere", "body_lr": 0.1},
        {"freeze": "[01].*"},
        {"optimizer": "Sign"},
    ]
    vocabulary = vocabulary_of(own)
    members = [Member(at, vocabulary.defaults(Config(values))) for at, values in enumerate(given)]
    together = list(fused.train(make_task(own.source), members))[-1]
    apart = [points[-1] for points in (list(train(make_task(own.source), [it]))[-1] for it in members)]
    assert [ALONE in point.notes for point in together] == [False, False, False, True, True]
    for one, other in zip(together, apart, strict=True):
        assert one.loss == pytest.approx(other.loss, rel=1e-5)
        assert one.lr == pytest.approx(other.lr)


def test_slower_and_frozen_bodies_train_otherwise(own, make_task):
    values = {"start": "elsewhere", "optimizer": "adam", "optimizer__lr": 0.05, "model__dropout": 0.0}
    whole, slower, crawling, frozen = (
        run(own, make_task, **values, **other)
        for other in ({}, {"body_lr": 0.1}, {"body_lr": 1e-12}, {"freeze": "[01].*"})
    )
    assert len({points[-1].loss for points in (whole, slower, crawling, frozen)}) == 4
    assert whole[0].lr == slower[0].lr == frozen[0].lr == 0.05
    assert run(own, make_task, **values, body_lr=1.0)[-1].loss == whole[-1].loss


def test_without_a_checkpoint_there_is_no_body(own, make_task):
    slowed = run(own, make_task, body_lr=0.1)
    assert [point.loss for point in slowed] == [point.loss for point in run(own, make_task)]


def test_an_averaged_model_keeps_frozen_statistics(own, make_task):
    values = {"start": "elsewhere", "freeze": "[01].*", "ema": 0.5}
    assert len(run(own, make_task, **values)) == 3
