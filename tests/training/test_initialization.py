"""Weights are drawn as the papers say, where they say it, and nowhere else."""

import pytest
import torch
from torch import nn

from hpo.config import Config
from hpo.training.engine import Member
from hpo.training.loop.initialization import initialize
from hpo.training.plain import train
from hpo.training.words import VOCABULARY
from hpo.training.words.values import INIT, initialize_calls

VARIANCES = {"xavier": lambda n, m: 2 / (n + m), "kaiming": lambda n, _: 2 / n}


@pytest.mark.parametrize("scheme", ["xavier_uniform", "xavier_normal", "kaiming_uniform", "kaiming_normal"])
@pytest.mark.parametrize(
    ("make", "fans"),
    [(lambda: nn.Linear(300, 100), (300, 100)), (lambda: nn.Conv2d(20, 50, 3), (180, 450))],
    ids=["linear", "conv"],
)
def test_the_variance_is_that_of_the_paper(scheme, make, fans):
    torch.manual_seed(0)
    layer = initialize(make(), scheme)
    family, kind = scheme.split("_")
    variance = VARIANCES[family](*fans)
    assert layer.weight.var().item() == pytest.approx(variance, rel=0.05)
    if kind == "uniform":
        assert layer.weight.abs().max() <= (3 * variance) ** 0.5
    assert not layer.bias.any()


@pytest.mark.parametrize("shape", [(8, 5), (5, 8), (6, 6)])
def test_orthogonal_rows_or_columns(shape):
    weight = initialize(nn.Linear(*shape), "orthogonal").weight.detach()
    small = weight if weight.shape[0] <= weight.shape[1] else weight.T
    assert torch.allclose(small @ small.T, torch.eye(len(small)), atol=1e-5)


@pytest.mark.parametrize("kind", [nn.RNN, nn.GRU, nn.LSTM, nn.LSTMCell])
def test_each_gate_of_a_recurrent_layer_is_a_matrix_of_its_own(kind):
    layer = initialize(kind(4, 6), "orthogonal")
    weights = dict(layer.named_parameters())
    recurrent = next(weight for name, weight in weights.items() if name.startswith("weight_hh"))
    for gate in recurrent.detach().split(6):
        assert torch.allclose(gate @ gate.T, torch.eye(6), atol=1e-5)
    assert not any(weight.any() for name, weight in weights.items() if name.startswith("bias"))


def test_norms_and_embeddings_stay():
    model = nn.ModuleList([nn.Embedding(4, 3), nn.LayerNorm(3), nn.BatchNorm1d(3)])
    before = [item.clone() for item in model.parameters()]
    assert initialize(model, "xavier_normal") is model
    assert all(map(torch.equal, before, model.parameters()))


def test_the_default_makes_no_call():
    assert initialize_calls(VOCABULARY.defaults(Config({}))) == []


@pytest.mark.parametrize("scheme", INIT.choices[1:])
def test_trials_share_their_start_if_they_share_the_scheme(scheme, make_task, make_member):
    def first(**values):
        member = make_member(**values, optimizer__lr=1e-9, batch_size="full", model__dropout=0.0)
        return next(train(make_task(), [Member(0, member.config)]))[0].train_loss

    assert first(init=scheme) == first(init=scheme, optimizer="adam") != first()
