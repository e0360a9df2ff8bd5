"""Two workers train a trial together as one does alone: real processes, started once for all cases."""

from dataclasses import astuple, replace

import pytest
import torch
from together import Case, train

from hpo.training.distributed import Team
from hpo.training.words.optimizers import OPTIMIZERS
from hpo.trial import Divergence, Point

pytestmark = [
    pytest.mark.slow,
    pytest.mark.xdist_group("together"),
    pytest.mark.filterwarnings("ignore:Batch normalization trains on"),
]

EXACT, SINGLE, HALF = 1e-7, 1e-4, 0.1  # how near, relative: in double, single and half precision

DOUBLE = (
    ("torch.randn(samples, 5,", "torch.randn(samples, 5, dtype=torch.float64,"),
    (" 3),\n    )", " 3),\n    ).double()"),
    (".float().mean()", ".double().mean()"),
)
# A bias before batch normalization has no gradient but rounding errors, which some optimizers blow up.
PLAIN = (("        nn.BatchNorm1d(width),\n", ""),)
ROWS_AS_IMAGES = (  # batch normalization can train on one at a time
    ("nn.Linear(5, width),", "nn.Unflatten(1, (1, 5)),\n        nn.Conv1d(1, width, 2),"),
    ("nn.Linear(width, 3),", "nn.Flatten(),\n        nn.Linear(4 * width, 3),"),
    *DOUBLE,
)
LOADERS = (
    ("data import TensorDataset", "data import DataLoader, TensorDataset"),
    (
        "{name: TensorDataset(features[rows], labels[rows])",
        "{name: loader(features[rows], labels[rows], name)",
    ),
    (
        "def loss(",
        "def loader(x, y, part):\n    return DataLoader(TensorDataset(x, y), 9, part == 'train')\ndef loss(",
    ),
    *DOUBLE,
)
IDLE = (
    (
        "def model(",
        "class Idle(nn.Linear):\n    def forward(self, inputs):\n        return inputs\n\n\ndef model(",
    ),
    ("nn.ReLU(),", "nn.ReLU(),\n        Idle(3, 3),"),
    *DOUBLE,
)


def tiny(parallel, swap=DOUBLE, /, **values):
    named = {name.replace("__", "."): value for name, value in values.items()}
    return Case("tiny", parallel, {"model.dropout": 0.0, "batch_size": 13, **named}, swap=swap)


def shipped(name, parallel, data=None, **options):
    return Case(name, parallel, {f"model.{key}": value for key, value in options.items()}, data=data or {})


def rows(parallel):
    """What every way of working together can do."""
    return [
        (tiny(parallel, accumulate=3, l1=1e-3, clip_norm=0.5, weight_decay_on="matrices"), EXACT),
        (tiny(parallel, ROWS_AS_IMAGES, batch_size=1, init="orthogonal"), EXACT),
        (tiny(parallel, LOADERS, schedule="plateau", schedule__patience=0), EXACT),
        (tiny(parallel, PLAIN, precision="bf16"), HALF),
        (tiny(parallel, PLAIN, precision="fp16", optimizer="adam", clip_value=0.1), HALF),
        (tiny(parallel, optimizer__lr=1e5), EXACT),
        (shipped("mlp", parallel, dropout=0.0), SINGLE),
        (shipped("cnn", parallel, dropout=0.0, width=4), SINGLE),
        (shipped("rnn", parallel, {"samples": 256, "length": 8}), SINGLE),
        (shipped("transformer", parallel, {"context": 16, "windows": 64}, context=16), SINGLE),
    ]


CASES = [
    *rows("ddp"),
    *rows("fsdp"),
    (tiny("ddp", IDLE), EXACT),
    (tiny("ddp", ema=0.9), EXACT),
    (tiny("ddp", optimizer="lbfgs", batch_size="full"), EXACT),
    (tiny("ddp", PLAIN + DOUBLE, optimizer="adafactor"), EXACT),
    (tiny("ddp", PLAIN + DOUBLE, optimizer="muon"), SINGLE),  # it iterates in bfloat16
    *(
        (tiny("fsdp", PLAIN + DOUBLE, optimizer=name), EXACT)
        for name, it in OPTIMIZERS.items()
        if it.entrywise
    ),
]

WHOLE = replace(tiny("ddp", model__dropout=0.5, optimizer="adamw"), epochs=4)
BROKEN = replace(WHOLE, broken_after=2)


@pytest.fixture(scope="module")
def both(tmp_path_factory):
    """The two workers' curves of each case, and what one of them noticed of another that hung."""
    cases = [case for case, _ in CASES]
    return train([*cases, WHOLE, BROKEN], tmp_path_factory.mktemp("together"))


@pytest.fixture(scope="module")
def found(both):
    return both[0][: len(CASES)]


def numbers(result):
    if isinstance(result, Divergence):
        return [result.epoch, result.step]  # its loss is whatever it blew up to
    return [value for value in astuple(result) if isinstance(value, float)] + list(result.metrics.values())


@pytest.mark.parametrize("number", range(len(CASES)), ids=[str(case) for case, _ in CASES])
def test_the_curve_is_that_of_one_worker(found, number):
    case, tolerance = CASES[number]
    alone = case.curve()
    assert [type(result) for result in found[number][0]] == [type(result) for result in alone]
    for mine, theirs in zip(alone, found[number][0], strict=True):
        assert numbers(theirs) == pytest.approx(numbers(mine), rel=tolerance, abs=tolerance)


def test_all_workers_measure_the_same_to_the_last_digit(found):
    for first, second in found:
        assert first == second


def test_a_training_together_goes_on_to_the_last_digit_dropout_included(both):
    whole, broken = both[0][len(CASES) :]
    assert whole == broken
    assert len(whole[0]) == WHOLE.epochs


def test_the_cases_end_in_both_ways(found):
    assert {type(curve[-1]) for curve, _ in found} == {Point, Divergence}


def test_nobody_waits_for_ever(both):
    seconds, error = both[1]
    assert 1 < seconds < 10
    assert "Timed out" in error


@pytest.mark.gpu
@pytest.mark.skipif(torch.cuda.device_count() < 2, reason="needs two GPUs")
@pytest.mark.parametrize("parallel", ["ddp", "fsdp"])
def test_the_curve_of_two_gpus_is_that_of_one(parallel, tmp_path):
    case = shipped("mlp", parallel, dropout=0.0)
    ((first, second),), _ = train([case], tmp_path, "cuda")
    assert first == second
    for mine, theirs in zip(case.curve(device="cuda:0"), first, strict=True):
        assert numbers(theirs) == pytest.approx(numbers(mine), rel=SINGLE, abs=SINGLE)


def member(rank):
    return Team(rank, 2, "ddp", "cpu", torch.distributed.HashStore())


def test_each_worker_draws_from_a_stream_of_its_own():
    def draw(seed, rank):
        torch.manual_seed(seed)
        with member(rank).own_chance():
            return torch.rand(3).tolist()

    draws = [draw(seed, rank) for seed in (1, 2) for rank in (0, 1)]
    assert len({tuple(numbers) for numbers in draws}) == 4
    assert draws == [draw(seed, rank) for seed in (1, 2) for rank in (0, 1)]


def test_the_common_stream_is_left_alone():
    torch.manual_seed(1)
    expected = torch.rand(3).tolist()
    torch.manual_seed(1)
    with member(1).own_chance():
        torch.rand(5)
    assert torch.rand(3).tolist() == expected


@pytest.mark.parametrize("samples", [1, 2, 5])
def test_each_sample_of_a_batch_is_somebody_s_and_who_has_none_borrows_one(samples):
    batch = torch.arange(samples).reshape(-1, 1), torch.arange(samples)
    shares = [member(rank).part(batch) for rank in (0, 1)]
    assert sum(count for _, count in shares) == samples
    assert sorted(row for own, count in shares for row in own[1][:count].tolist()) == list(range(samples))
    assert all(len(own[0]) == len(own[1]) == max(count, 1) for own, count in shares)
