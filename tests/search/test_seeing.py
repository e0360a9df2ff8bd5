"""A large search: samplers and pruners see a part of it, and it is still a pure function of the ledger."""

import itertools
import math
import random

import pytest
from simulation import Workers, in_peril, referee, run, started, told

from hpo.study import rivals, storage
from hpo.study.rivals import ENOUGH, Rivals
from hpo.study.storage import telling

EPOCHS = 9


@pytest.fixture
def little(monkeypatch):
    """What is seen of a search of 24 trials is then as small a part as it would be of thousands."""
    for module, name, count in (
        (storage, "BEST", 3),
        (storage, "LATEST", 4),
        (storage, "SPREAD", 3),
        (rivals, "MOST", 4),
        (rivals, "ENOUGH", 3),
    ):
        monkeypatch.setattr(module, name, count)


def words(sampler, pruner):
    return f"epochs={EPOCHS}", "trials=24", f"sampler={sampler}", f"pruner={pruner}", "seed=5"


COMBINATIONS = [("blend", "ladder"), ("tpe", "median"), ("tpe", "halving"), ("cmaes", "hyperband")]


@pytest.mark.parametrize(("sampler", "pruner"), COMBINATIONS)
@pytest.mark.usefixtures("little")
def test_killed_and_resumed_it_ends_the_same(url, sampler, pruner):
    whole = started(url, *words(sampler, pruner))
    run(url, whole, Workers(1, EPOCHS))
    broken = started(url, *words(sampler, pruner))
    for session in itertools.count():
        judge, workers = referee(url, broken), Workers(1, EPOCHS)
        judge.requeue()
        workers.cohorts = 1000 * session
        if not run(url, broken, workers, turns=29, judge=judge):
            break
    assert told(url, broken) == told(url, whole)


@pytest.mark.usefixtures("little")
def test_a_deterministic_one_is_the_same_whoever_is_faster(url):
    def searched(seed):
        name = started(url, "deterministic=true", *words("tpe", "ladder"), lag=3)
        perils = in_peril(url, name, EPOCHS, seed, deaths=0, size=1)
        assert perils.run(3, 10**5)
        return told(url, name)

    assert searched(1) == searched(2)


class TestTelling:
    def test_of_few_trials_a_sampler_sees_all(self):
        assert set(telling(160, [])) == set(range(160))

    @pytest.mark.parametrize("size", [161, 1_000, 100_000])
    def test_of_many_it_sees_the_best_the_latest_and_some_of_all_times(self, size):
        best = random.Random(0).sample(range(size), size // 2)
        seen = telling(size, best)
        assert seen >= {*best[:32], *range(size - 64, size)}
        assert 100 <= len(seen) <= 160
        assert max(later - earlier for earlier, later in itertools.pairwise(sorted(seen))) <= size / 30


class TestRivals:
    @pytest.fixture
    def field(self):
        found = Rivals()
        for trial in range(1000):
            found.measured(trial, 1, float(trial))
        for trial in range(0, 1000, 100):
            found.measured(trial, 2, -float(trial))
        for trial in (90, 990):
            found.diverged(trial, trial // 90)
        return found

    def test_they_are_the_latest_that_were_measured_after_the_same_epoch(self, field):
        assert field.of(999, 1, 1000) == set(range(500, 1000))
        assert field.of(999, 2, 1000) == {*range(0, 1000, 100), 90, 990, 999}

    def test_who_diverged_before_any_of_them_is_none(self, field):
        assert 90 not in field.of(999, 1, 1000)

    def test_who_is_not_known_by_rule_is_none(self, field):
        assert field.of(950, 1, 700) == {*range(200, 700), 950}
        assert field.of(950, 2, 201) == {0, 100, 200, 90, 950}

    def test_after_an_epoch_that_nobody_has_seen_who_diverged_is_all_there_is(self, field):
        assert field.of(3, 9, 1000) == {3, 90, 990}

    def test_a_place_is_among_the_latest_and_itself(self, field):
        assert field.place(999, 1, 0, 1000) == (499, 500)
        assert field.place(999, 1, 0, 700) == (500, 501)
        assert field.place(100, 1, 0, 1000) == (0, 501)

    def test_who_diverged_on_the_way_to_a_rung_was_worse(self, field):
        assert field.place(900, 2, 0, 1000) == (0, 11)  # 90 in the first epoch, 990 far above
        assert field.place(0, 2, 1, 1000) == (9, 10)

    @pytest.mark.parametrize(
        ("before", "after", "kept"),
        [
            ([1, 2, 3, 4], [5, 6, 7, 8], 1.0),
            ([1, 2, 3, 4], [8, 7, 6, 5], -1.0),
            ([1, 2, 4, 3], [5, 6, 7, 8], 1.0),  # both are worse than the median
            ([2, 1, 3, 4], [5, 6, 7, 8], 0.6),
            ([2, 1, 3, 4], [5, 5.01, 8, 9], 0.99),
            ([1, 1, 1, 1], [5, 6, 7, 8], 0.0),
        ],
    )
    def test_epochs_agree_as_far_as_the_order_stayed_by_what_a_mistake_costs(self, before, after, kept):
        found = Rivals()
        for trial, costs in enumerate(zip(before, after, strict=True)):
            for epoch, cost in enumerate(costs, start=1):
                found.measured(trial, epoch, cost)
        assert found.agreement(1, 2, 4) == (pytest.approx(kept, abs=0.01), 4)

    def test_epochs_agree_by_the_latest_that_were_measured_after_both(self, field):
        assert field.agreement(1, 2, 1000) == (-1.0, 10)
        assert field.agreement(1, 2, 500) == (-1.0, 5)
        assert field.agreement(1, 1, 1000) == (1.0, ENOUGH)

    def test_where_there_is_nothing_to_tell_apart_nobody_kept_an_order(self, field):
        field.measured(3, 4, 0.5)
        field.measured(3, 5, 0.5)
        assert field.agreement(4, 5, 1000) == (0.0, 0)
        field.measured(4, 4, 0.1)
        field.measured(4, 5, 0.5)
        assert field.agreement(4, 5, 1000) == (0.0, 0)
        field.measured(5, 4, 0.1)
        field.measured(5, 5, math.inf)
        assert field.agreement(4, 5, 1000) == (0.0, 0)

    def test_who_does_not_fit_has_no_place(self, field):
        assert field.place(900, 2, 0, 1000, lambda trial: trial % 200 == 100) == (0, 5)
