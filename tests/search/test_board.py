"""What searches tell each other on a Ray of our own; one that says nothing any more is forgotten."""

import pytest

from hpo import cluster
from hpo.cluster.board import Board
from hpo.cluster.fairness import Stake

ALL = 10**6


class Clock:
    def __init__(self):
        self.now = 0.0

    def __call__(self):
        return self.now


@pytest.fixture(scope="module")
def ray():
    """A Ray with room for four, or for as many as there are CPUs."""
    with cluster.local(4):
        yield


@pytest.fixture
def clock(ray):
    return Clock()


@pytest.fixture
def boards(clock):
    """Those of two searches, of which the first came first."""
    made = [Board(clock), Board(clock)]
    yield made
    for board in made:
        board.leave()


def wanting(weight=1.0, held=0, wanted=ALL):
    return Stake(weight, held, wanted, 1.0)


def test_a_search_that_is_alone_is_not_bounded(boards):
    assert boards[0].share(wanting()) is None


def test_two_share_and_who_leaves_gives_way(boards):
    first, second = boards
    first.share(wanting())
    assert second.share(wanting()) == first.share(wanting())
    second.leave()
    assert first.share(wanting()) is None


def test_what_one_does_not_want_is_the_other_s(boards):
    first, second = boards
    first.share(wanting(held=1, wanted=1))
    assert second.share(wanting()) == sum(second._room([])[:1]) - 1


def test_who_is_silent_for_long_is_forgotten_until_it_is_heard_of_again(boards, clock):
    first, second = boards
    for _ in range(3):
        first.share(wanting())
        clock.now += 6  # so both are heard of
        assert second.share(wanting()) is not None
    clock.now += 11
    assert second.share(wanting()) is None
    first.share(wanting())
    assert second.share(wanting()) is not None
