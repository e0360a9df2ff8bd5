"""A contest of all against all: the quick way and asking each pair agree."""

import math
from itertools import combinations

from hypothesis import given
from hypothesis import strategies as st

from hpo.advice.contest import contest

costs = st.integers(0, 3).map(float) | st.just(math.inf)


def pair_by_pair(curves):
    won = dict.fromkeys(curves, 0.0)
    for one, other in combinations(curves, 2):
        share = beats(curves[one], curves[other])
        won[one] += share
        won[other] += 1 - share
    return won


def beats(one, other):
    common = min(len(one), len(other))
    if not common:
        return 0.5 if len(one) == len(other) else float(bool(one))
    left, right = one[common - 1], other[common - 1]
    return 0.5 if left == right else float(left < right)


@given(st.lists(st.lists(costs, max_size=4), max_size=12))
def test_each_beats_those_whom_it_beats_pair_by_pair(curves):
    numbered = dict(enumerate(curves))
    assert contest(numbered) == pair_by_pair(numbered)
