import pytest
import torch

from hpo.training.loop.clipping import Clipping, gradient_moments


def parameters(*gradients):
    made = [torch.nn.Parameter(torch.zeros(len(gradient))) for gradient in gradients]
    for parameter, gradient in zip(made, gradients, strict=True):
        parameter.grad = torch.tensor(gradient)
    return made


def norm_of(clipped):
    return torch.cat([parameter.grad for parameter in clipped]).norm().item()


@pytest.mark.parametrize("clip_norm", [0.1, 1.0, 4.9, 5.1, 100.0])
def test_gradients_are_clipped_as_torch_does(clip_norm):
    ours, torchs = parameters([3.0], [0.0, 4.0]), parameters([3.0], [0.0, 4.0])
    before, after = Clipping(clip_norm)(ours)
    assert before == torch.nn.utils.clip_grad_norm_(torchs, clip_norm).item() == 5.0
    assert all(torch.equal(one.grad, other.grad) for one, other in zip(ours, torchs, strict=True))
    assert after == pytest.approx(norm_of(ours))
    assert after <= clip_norm


def test_null_only_measures():
    found = parameters([3.0], [0.0, 4.0])
    assert Clipping()(iter(found)) == (5.0, 5.0)
    assert norm_of(found) == 5.0


def test_parameters_without_gradient_are_passed_over():
    assert Clipping(1.0)([*parameters([3.0, 4.0]), torch.nn.Parameter(torch.ones(2))])[0] == 5.0


@pytest.mark.parametrize("clip_value", [0.1, 3.5, 4.5])
def test_entries_are_clipped_as_torch_does(clip_value):
    ours, torchs = parameters([3.0], [0.0, -4.0]), parameters([3.0], [0.0, -4.0])
    before, after = Clipping(value=clip_value)(ours)
    torch.nn.utils.clip_grad_value_(torchs, clip_value)
    assert before == 5.0
    assert all(torch.equal(one.grad, other.grad) for one, other in zip(ours, torchs, strict=True))
    assert after == norm_of(ours)


def test_moments_are_those_of_all_entries():
    found = [*parameters([3.0, -1.0], [0.0, 4.0]), torch.nn.Parameter(torch.ones(2))]
    entries = torch.tensor([3.0, -1.0, 0.0, 4.0])
    expected = (entries.mean().item(), entries.std(correction=0).item())
    assert gradient_moments(found) == pytest.approx(expected)
