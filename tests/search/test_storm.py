"""Whatever dies, and whenever: driver, referee, worker, database. `make faults` sends thousands through."""

import pytest
from storm import Fate, blow_all, strike_all


@pytest.mark.parametrize("first", range(0, 120, 30))
def test_a_search_weathers_every_storm(first):
    blow_all(first, 30)


@pytest.mark.parametrize("fate", Fate)
def test_a_search_that_is_struck_at_any_commit_ends_the_same(fate):
    assert strike_all(fate, commits=True) > 8
