"""Who is beaten by nobody, who stands behind them, and where the knee is."""

import math

import hypothesis.strategies as st
import pytest
from hypothesis import given

from hpo.history.front import Levels, crowding, dominates, front, knee

numbers = st.integers(0, 4).map(float) | st.just(math.inf)
goals = st.integers(1, 3).flatmap(lambda size: st.lists(st.tuples(*[numbers] * size), max_size=20))


def beaten(one, others):
    return any(all(a <= b for a, b in zip(it, one, strict=True)) and it != one for it in others)


@given(goals)
def test_the_front_is_who_nobody_beats_in_every_goal(found):
    kept = front(found)
    assert {found[place] for place in kept} == {it for it in found if not beaten(it, found)}
    assert [found.index(found[place]) for place in kept] == kept == sorted(set(kept))


def read_in_between(found):
    levels = Levels()
    for number, it in enumerate(found):
        levels.add(number, it)
        assert sorted(levels.ranking) == list(range(number + 1))
    return levels.ranking


@given(goals)
def test_levels_are_the_fronts_that_are_left_when_those_before_are_taken_away(found):
    levels = Levels()
    for number, it in enumerate(found):
        levels.add(number, it)
    left, ranking = dict(enumerate(found)), iter(levels.ranking)
    assert read_in_between(found) == levels.ranking
    while left:
        level = {number for number, it in left.items() if not beaten(it, left.values())}
        assert {next(ranking) for _ in level} == level
        left = {number: it for number, it in left.items() if number not in level}
    assert next(ranking, None) is None


@given(goals)
def test_the_knee_is_on_the_front(found):
    finite = [it for it in found if all(map(math.isfinite, it))]
    place = knee(finite)
    assert (place is None) == (not finite)
    assert place is None or not beaten(finite[place], finite)


@pytest.mark.parametrize(
    ("found", "place"),
    [
        ([(0.0, 10.0), (1.0, 1.0), (10.0, 0.0)], 1),
        ([(0.0, 100.0), (9.0, 90.0), (10.0, 0.0)], 0),
        ([(3.0, 3.0)], 0),
    ],
)
def test_the_knee_is_nearest_to_the_best_of_all(found, place):
    assert knee(found) == place


def test_who_is_at_an_end_or_alone_comes_first():
    level = {0: (0.0, 9.0), 1: (1.0, 8.0), 2: (2.0, 7.0), 3: (8.0, 1.0), 4: (9.0, 0.0)}
    distances = crowding(level)
    assert sorted(level, key=lambda number: -distances[number]) == [0, 4, 2, 3, 1]
    assert distances[1] == pytest.approx(2 / 9 + 2 / 9)


def test_equals_do_not_beat_each_other():
    assert not dominates((1.0, 2.0), (1.0, 2.0))
    assert front([(1.0, 2.0), (1.0, 2.0)]) == [0]
