"""What passes through a gradient comes out as the formula says."""

import copy

import pytest
import torch
from torch import nn

from hpo.training.loop.averaging import average
from hpo.training.loop.clipping import Clipping
from hpo.training.loop.gradients import Accumulated, Autocast, Gradient, Penalized, Scaled
from hpo.training.loop.groups import decay_matrices
from hpo.training.loop.loop import evaluate, take_step, train_epoch
from hpo.training.loop.scheduler import Scheduler
from hpo.training.words.schedules import ConstantSchedule

INPUTS, TARGETS = torch.randn(13, 5, generator=torch.Generator().manual_seed(1)), torch.arange(13) % 3

NO_LIMIT = Clipping()


def network():
    torch.manual_seed(0)
    return nn.Sequential(nn.Linear(5, 8), nn.Tanh(), nn.Linear(8, 3))


def step(gradient, model, parameters=None, clipping=NO_LIMIT, lr=1.0):
    optimizer = torch.optim.SGD(parameters or model.parameters(), lr=lr)
    found = take_step(model, nn.functional.cross_entropy, optimizer, gradient, clipping, (INPUTS, TARGETS))
    return found, list(model.parameters())


@pytest.mark.parametrize("steps", [2, 3, 5, 13, 100])
def test_micro_batches_add_up_to_the_batch(steps):
    whole, weights = step(Gradient(), network())
    parts, others = step(Accumulated(Gradient(), steps), network())
    assert parts == pytest.approx(whole, abs=1e-6)
    assert all(torch.allclose(one, other, atol=1e-6) for one, other in zip(weights, others, strict=True))


@pytest.mark.parametrize(("samples", "steps", "sizes"), [(13, 4, [4, 3, 3, 3]), (3, 4, [3]), (1, 4, [1])])
def test_no_micro_batch_is_a_single_sample_if_there_are_more(samples, steps, sizes):
    model, seen = network(), []
    model.register_forward_hook(lambda _, inputs, __: seen.append(len(inputs[0])))
    optimizer = torch.optim.SGD(model.parameters())
    batch = INPUTS[:samples], TARGETS[:samples]
    Accumulated(Gradient(), steps)(optimizer, model, nn.functional.cross_entropy, batch)
    assert seen == sizes


def test_the_penalty_is_that_of_the_sum_of_absolute_weights():
    model = network()
    value = nn.functional.cross_entropy(model(INPUTS), TARGETS)
    (value + 0.1 * sum(item.abs().sum() for item in model.parameters())).backward()
    wanted = [item.grad for item in model.parameters()]
    found, weights = step(Penalized(Gradient(), 0.1), network())
    assert found.loss == value.item()
    assert all(torch.allclose(item.grad, one) for item, one in zip(weights, wanted, strict=True))


def test_where_weights_do_not_decay_there_is_no_penalty():
    _, plain = step(Gradient(), network())
    model = network()
    _, penalized = step(Penalized(Gradient(), 0.1), model, decay_matrices(model))
    assert [torch.equal(a, b) for a, b in zip(plain, penalized, strict=True)] == [False, True, False, True]


def test_autocast_runs_in_half_precision_and_keeps_the_weights():
    model, seen = network(), []
    model.register_forward_hook(lambda _, __, outputs: seen.append(outputs.dtype))
    whole, _ = step(Gradient(), network())
    half, weights = step(Autocast(Gradient(), "cpu", "bfloat16"), model)
    assert seen == [torch.bfloat16]
    assert {item.dtype for item in weights} == {item.grad.dtype for item in weights} == {torch.float32}
    assert half.loss == pytest.approx(whole.loss, rel=1e-2)
    assert half.loss != whole.loss


@pytest.mark.parametrize(("device_type", "dtype"), [("cpu", "float64"), ("meta", "bfloat16")])
def test_a_precision_that_cannot_be_had_is_refused_at_once(device_type, dtype):
    with pytest.raises(ValueError, match=f"Precision {dtype} cannot be had on {device_type}: "):
        Autocast(Gradient(), device_type, dtype)


def test_a_scaled_loss_gives_the_same_step_and_is_clipped_by_its_true_norm():
    clipping = Clipping(0.1)
    whole, weights = step(Gradient(), network(), clipping=clipping)
    found, others = step(Scaled(Accumulated(Gradient(), 2), "cpu"), network(), clipping=clipping)
    assert found == pytest.approx(whole, abs=1e-6)
    assert all(torch.allclose(one, other, atol=1e-6) for one, other in zip(weights, others, strict=True))


def test_a_step_that_overflows_is_left_out_and_halves_the_scale():
    model = network()
    before = [item.clone() for item in model.parameters()]
    scaled = Scaled(Gradient(), "cpu")
    optimizer = torch.optim.SGD(model.parameters(), lr=1.0)
    model[0].weight.register_hook(lambda gradient: gradient * float("inf"))
    averaged = average(model, optimizer, 0.5)
    found = take_step(model, nn.functional.cross_entropy, optimizer, scaled, Clipping(1.0), (INPUTS, TARGETS))
    assert all(map(torch.equal, before, model.parameters()))
    assert (found.grad_norm, found.clipped_norm) == (0.0, 0.0)
    assert scaled.scaler.get_scale() == 2.0**15
    assert averaged.n_averaged == 0


@pytest.mark.parametrize("decay", [0.0, 0.9])
def test_the_average_follows_its_formula_and_copies_buffers(decay):
    model = nn.Sequential(nn.Linear(5, 4), nn.BatchNorm1d(4), nn.Linear(4, 3))
    optimizer = torch.optim.SGD(model.parameters(), lr=0.5)
    averaged = average(model, optimizer, decay)
    wanted = None
    for _ in range(3):
        batch = (INPUTS, TARGETS)
        take_step(model, nn.functional.cross_entropy, optimizer, Gradient(), Clipping(), batch)
        now = [item.detach().clone() for item in model.parameters()]
        pairs = zip(wanted or now, now, strict=True)
        wanted = [decay * mean + (1 - decay) * item for mean, item in pairs]
    assert all(map(torch.allclose, averaged.parameters(), wanted))
    assert torch.equal(averaged.module[1].running_mean, model[1].running_mean)
    assert averaged.module[1].num_batches_tracked == 3


def test_batch_norm_learns_its_statistics_in_training_and_uses_them_in_evaluation():
    norm = nn.BatchNorm1d(5)
    model = nn.Sequential(norm, nn.Linear(5, 3))
    optimizer = torch.optim.SGD(model.parameters(), lr=0.1)
    scheduler = Scheduler(optimizer, ConstantSchedule(), steps=1)
    cross_entropy, batches = nn.functional.cross_entropy, [(INPUTS, TARGETS)]
    model.eval()
    list(train_epoch(model, cross_entropy, optimizer, scheduler, Gradient(), NO_LIMIT, batches))
    assert norm.training
    assert torch.allclose(norm.running_mean, 0.1 * INPUTS.mean(0))
    assert torch.allclose(norm.running_var, 0.9 + 0.1 * INPUTS.var(0))
    before = copy.deepcopy(norm.state_dict())
    seen = []
    norm.register_forward_hook(lambda _, __, outputs: seen.append(outputs))
    evaluate(model, {"loss": cross_entropy}, batches)
    assert not norm.training
    scale = (norm.running_var + norm.eps).sqrt()
    wanted = (INPUTS - norm.running_mean) / scale * norm.weight + norm.bias
    assert torch.allclose(seen[0], wanted, atol=1e-6)
    assert all(torch.equal(before[name], value) for name, value in norm.state_dict().items())
