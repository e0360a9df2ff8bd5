"""How places are shared out: by weight, all of them as long as somebody wants them, and some for everyone."""

from dataclasses import replace

import pytest
from hypothesis import assume, given
from hypothesis import strategies as st

from hpo.cluster.fairness import Stake, share_places

WEIGHTS = st.floats(0.01, 100)
STAKES = st.lists(
    st.builds(
        Stake,
        weight=WEIGHTS,
        held=st.integers(0, 3),
        wanted=st.integers(0, 40),
        cpus=st.sampled_from([1.0, 2.0]),
        gpus=st.sampled_from([0.0, 0.25, 1.0]),
    ),
    max_size=6,
)
ALIKE = st.lists(
    st.builds(Stake, weight=WEIGHTS, held=st.just(0), wanted=st.integers(1, 40), cpus=st.just(1.0)),
    max_size=8,
)
PLACES = st.integers(0, 60)


def taken(stakes, given_):
    return (
        sum(each * it.cpus for it, each in zip(stakes, given_, strict=True)),
        sum(each * it.gpus for it, each in zip(stakes, given_, strict=True)),
    )


@given(PLACES, st.integers(0, 8), STAKES)
def test_nobody_gets_more_than_is_wanted_or_there(cpus, gpus, stakes):
    found = share_places(cpus, gpus, stakes)
    assert all(0 <= each <= it.wanted for it, each in zip(stakes, found, strict=True))
    used = taken(stakes, found)
    assert used[0] <= cpus + 1e-6
    assert used[1] <= gpus + 1e-6


@given(PLACES, st.integers(0, 8), STAKES)
def test_nothing_is_left_that_somebody_wants(cpus, gpus, stakes):
    found = share_places(cpus, gpus, stakes)
    left = [have - used for have, used in zip((cpus, gpus), taken(stakes, found), strict=True)]
    for it, each in zip(stakes, found, strict=True):
        assert each == it.wanted or it.cpus > left[0] + 1e-6 or it.gpus > left[1] + 1e-6


@given(PLACES, ALIKE)
def test_nobody_starves_as_long_as_there_is_a_place_for_each(places, stakes):
    found = share_places(places, 0, stakes)
    assert min(found, default=1) >= 1 or max(found) <= 1
    assert sum(found) == min(places, sum(it.wanted for it in stakes))


@given(PLACES, ALIKE, st.data())
def test_more_weight_never_brings_less(places, stakes, data):
    assume(stakes)
    which = data.draw(st.integers(0, len(stakes) - 1))
    heavier = replace(stakes[which], weight=stakes[which].weight * data.draw(st.floats(1, 10)))
    more = share_places(places, 0, [*stakes[:which], heavier, *stakes[which + 1 :]])
    assert more[which] >= share_places(places, 0, stakes)[which]


@given(PLACES, ALIKE)
def test_no_place_would_be_better_with_another(places, stakes):
    """Max-min: who has more for its weight than another has that only because the other wants no more."""
    found = share_places(places, 0, stakes)
    for one, has in zip(stakes, found, strict=True):
        for other, gets in zip(stakes, found, strict=True):
            if has > 1 and gets < other.wanted:
                assert (has - 1) / one.weight <= gets / other.weight * (1 + 1e-9)


@pytest.mark.parametrize(
    ("places", "weights", "found"),
    [
        (4, (1, 1), [2, 2]),
        (8, (3, 1), [6, 2]),
        (4, (3, 1), [3, 1]),
        (4, (100, 1), [3, 1]),
        (3, (1, 1), [2, 1]),
        (2, (1, 4, 1), [1, 1, 0]),
    ],
)
def test_places_go_by_weight(places, weights, found):
    wanting = [Stake(weight, 0, 10**6, 1.0) for weight in weights]
    assert share_places(places, 0, wanting) == found


def test_what_one_does_not_want_falls_to_the_others():
    assert share_places(8, 0, [Stake(3, 0, 1, 1.0), Stake(1, 0, 99, 1.0)]) == [1, 7]


def test_a_last_place_is_not_taken_from_one_who_has_it():
    assert share_places(2, 0, [Stake(1, 1, 9, 1.0), Stake(1, 1, 9, 1.0), Stake(9, 0, 9, 1.0)]) == [1, 1, 0]


def test_who_takes_gpus_and_who_takes_cpus_do_not_stand_in_each_other_s_way():
    assert share_places(8, 2, [Stake(1, 0, 99, 1.0, 1.0), Stake(1, 0, 99, 1.0)]) == [2, 6]
