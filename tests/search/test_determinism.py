"""A deterministic search ends with the same trials, curves and winner, whoever dies or is faster."""

import random

import pytest
from simulation import Perils, started, told

from hpo.settings import PrunerName, SamplerName

EPOCHS, TRIALS, WORKERS = 9, 16, 3

COMBINATIONS = [
    *((sampler, "halving") for sampler in SamplerName.__args__),
    *(("tpe", pruner) for pruner in PrunerName.__args__ if pruner != "halving"),
]


@pytest.fixture
def url(tmp_path):
    return f"sqlite:///{tmp_path}/hpo.db"


def searched(url, *words, seed, stops=0, deaths=0, workers=WORKERS):
    """Search with a timing that follows from the seed and the driver killed so often; return what it told."""
    fixed = ("deterministic=true", f"epochs={EPOCHS}", f"trials={TRIALS}", "seed=5")
    name = started(url, *fixed, *words, lag=WORKERS)
    dice = random.Random(seed)
    for session in range(stops + 1):
        perils = Perils(url, name, EPOCHS, dice.random(), deaths, size=1)
        if session:
            perils.judge.requeue()
        if perils.run(workers, dice.randint(1, 150) if session < stops else 10**5):
            return told(url, name)
    raise AssertionError(f"search with seed {seed} did not come to its end")


@pytest.mark.parametrize(("sampler", "pruner"), COMBINATIONS)
def test_whoever_is_faster_and_whatever_dies_the_search_is_the_same(url, sampler, pruner):
    words = (f"sampler={sampler}", f"pruner={pruner}")
    whole = searched(url, *words, seed=0)
    assert len(whole) == TRIALS
    assert searched(url, *words, seed=1) == whole
    assert searched(url, *words, seed=2, stops=4, deaths=2) == whole
