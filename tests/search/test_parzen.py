"""Which candidate the Parzen estimator takes, and that its densities are what they are said to be."""

import math
import random

import pytest

from hpo.space import KEPT, SPREAD, read
from hpo.study.parzen import Parzen
from hpo.training.words import VOCABULARY

SPACE = read(
    """
    optimizer:
      one_of:
        sgd: {lr: {log: [1e-4, 1]}, momentum: {one_minus_log: [0.01, 0.3]}}
        adamw: {lr: {log: [1e-5, 1]}}
    batch_size: {choice: [16, 32, 64]}
    warmup: {uniform: [0, 0.5]}
    """,
    "space",
    VOCABULARY,
)
LR = "optimizer.sgd.lr"


def drawn(number):
    return SPACE.draw(random.Random(number))


def of(*trials):
    parzen = Parzen(SPACE)
    for number, params in enumerate(trials):
        parzen.proposed(number, params)
    return parzen


def sgd(lr=0.1, momentum=0.1, batch_size=32, warmup=0.1):
    own = {"optimizer": "sgd", LR: lr, "optimizer.sgd.one_minus_momentum": momentum}
    return own | {"batch_size": batch_size, "warmup": warmup}


def adamw(lr=1e-3):
    return {"optimizer": "adamw", "optimizer.adamw.lr": lr, "batch_size": 32, "warmup": 0.1}


def kernel(params, around):
    """The product of what each parameter says, by its definition."""
    product = 1.0
    for parameter in SPACE.parameters:
        name, node = parameter.name, parameter.node
        both = name in params and name in around
        if hasattr(node, "low"):
            away = node.share(params[name]) - node.share(around[name]) if both else None
            bell = math.exp(-((away or 0) ** 2) / (2 * SPREAD**2)) / (SPREAD * math.sqrt(2 * math.pi))
            product *= bell if both else 1.0
        else:
            share = (1 - KEPT) / len(node.options) + (KEPT if params.get(name) == around.get(name) else 0)
            product *= share if both else 1 / len(node.options)
    return product


def odds(params, good, others):
    anywhere = math.prod(1 / len(it.node.options) for it in SPACE.parameters if not hasattr(it.node, "low"))
    high, low = (
        (sum(kernel(params, it) for it in group) + anywhere) / (len(group) + 1) for group in (good, others)
    )
    return high / low


@pytest.mark.parametrize("seed", range(20))
def test_it_takes_the_candidate_of_the_best_odds(seed):
    trials, candidates = (
        [drawn(100 * seed + it) for it in range(12)],
        [drawn(-100 * seed - it - 1) for it in range(6)],
    )
    taken = of(*trials).best_of(candidates, range(4), range(4, 12))
    assert odds(taken, trials[:4], trials[4:]) == pytest.approx(
        max(odds(it, trials[:4], trials[4:]) for it in candidates)
    )


@pytest.mark.parametrize(
    ("good", "bad"),
    [
        (sgd(lr=0.5), sgd(lr=1e-3)),
        (sgd(momentum=0.02), sgd(momentum=0.3)),
        (sgd(warmup=0.0), sgd(warmup=0.5)),
        (sgd(batch_size=64), sgd(batch_size=16)),
        (sgd(), adamw()),
    ],
)
def test_it_prefers_what_is_like_the_good_to_what_is_like_the_others(good, bad):
    for order in ([good, bad], [bad, good]):
        assert of(good, bad).best_of(order, [0], [1]) == good


def test_of_two_like_the_good_ones_it_takes_the_one_less_like_the_others():
    trials = [sgd(lr=0.1), sgd(lr=0.03)]
    assert of(*trials).best_of([sgd(lr=0.05), sgd(lr=0.3)], [0], [1]) == sgd(lr=0.3)


def test_a_space_of_which_nothing_is_searched_has_one_candidate_as_good_as_any():
    parzen = Parzen(read("batch_size: 32", "space", VOCABULARY))
    parzen.proposed(0, {})
    parzen.proposed(1, {})
    assert parzen.best_of([{}, {}], [0], [1]) == {}
