"""Who waits at a rung: until there are rivals enough, no longer than is worth it, and as if it had not."""

import time
from dataclasses import replace
from pathlib import Path

import pytest
from simulation import Workers, history_of, reclaim, run, started, told
from simulation import referee as new_referee

from hpo.ledger import Ledger
from hpo.planning.ordering import order
from hpo.planning.plan import Plan
from hpo.referee import Referee
from hpo.settings import SearchSettings
from hpo.trial import TIMEOUT, UNDECIDED, Ending, Outcome, Point
from hpo.worker import cohort, keeper
from hpo.worker.job import Job
from hpo.worker.line import Line
from hpo.worker.shelf import Shelf

TINY = Path(__file__).parent.parent / "training" / "tiny.py"
EPOCHS = 9
RUNG = 2
NEXT = 4


class Search:
    """A search whose trials measure what a test says, one after the other; a third passes at a rung."""

    def __init__(self, url, *words, at_work=1):
        self.url = url
        words = (f"epochs={EPOCHS}", "sampler=random", "confirm=0", *words)
        self.name = started(url, *words, at_work=at_work)
        self.judge = new_referee(url, self.name)
        self.cohorts = 0

    def ask(self):
        self.cohorts += 1
        cohort = f"cohort {self.cohorts}"
        trials = [trial.number for trial in self.judge.ask(cohort, 1)]
        self.judge.attempt(cohort, trials, "host/1", {})
        return trials[0] if trials else None

    def train(self, cost, until=EPOCHS):
        """Train what is handed out; return its number and how far it came."""
        number = self.ask()
        for epoch in range(1, until + 1):
            answer = self.judge.report([Point(number, epoch, cost, cost, cost, 0.1, 1.0, 1.0, 0.01)])
            if number not in answer.on:
                self.judge.saved(answer.undecided)
                return number, epoch, number in answer.undecided
        if until == EPOCHS:
            self.judge.tell([Ending(number, Outcome.FINISHED)])
        return number, until, False

    @property
    def history(self):
        self.judge.flush()
        return history_of(self.url, self.name)


SPACE = """
optimizer:
  one_of:
    adam:
      lr: {log: [1e-4, 1e-1]}
schedule: constant
"""


@pytest.fixture
def space(tmp_path):
    """A space of which no expert has said anything."""
    path = tmp_path / "plain.yaml"
    path.write_text(SPACE, encoding="utf-8")
    return f"space={path}"


@pytest.fixture
def search(url, space):
    return lambda *words: Search(url, space, *(words or ("trials=30",)))


def test_the_best_of_two_waits_for_a_third_and_goes_on_if_that_is_worse(search):
    it = search()
    assert it.train(5.0) == (0, EPOCHS, False)  # the baseline, which is never judged
    assert it.train(4.0) == (1, RUNG, True)
    assert it.history.trials[1].undecided == EPOCHS + RUNG
    assert it.train(6.0) == (2, RUNG, False)
    assert it.ask() == 1
    assert it.history.trials[1].undecided is None


def test_who_is_beaten_while_it_waits_is_stopped(search):
    it = search()
    it.train(5.0)
    it.train(4.0)
    assert it.train(3.0, until=RUNG) == (2, RUNG, False)
    assert it.ask() == 3
    assert it.history.trials[1].outcome is Outcome.PRUNED
    assert it.history.trials[1].epochs == RUNG


def test_nobody_waits_longer_than_it_is_worth(search):
    """Rivals that never get to the rung do not hold it up: so many epochs, twice those to its next rung."""
    it = search()
    it.train(5.0)
    assert it.train(4.0) == (1, RUNG, True)
    for number in range(2, 2 + 2 * (NEXT - RUNG)):
        assert it.train(1.0, until=1) == (number, 1, False)
    assert it.ask() == 1


def test_when_no_rivals_will_come_who_is_not_beaten_goes_on(search):
    it = search("trials=3")
    it.train(5.0)
    assert it.train(4.0) == (1, RUNG, True)
    assert it.ask() == 2
    it.judge.tell([Ending(2, Outcome.FAILED, "out of luck")])
    assert it.judge.ready
    assert it.train(4.0) == (1, EPOCHS, False)
    assert it.judge.exhausted
    assert it.history.trials[1].outcome is Outcome.FINISHED


def test_where_an_expert_has_spoken_who_beats_the_baseline_need_not_wait(url):
    it = Search(url, "trials=30", "space=adam", "space.schedule=constant")
    it.train(5.0)
    assert it.train(4.0) == (1, EPOCHS, False)


def test_the_last_one_need_not_wait(search):
    it = search("trials=2")
    it.train(5.0)
    assert it.train(4.0) == (1, EPOCHS, False)


def test_who_waits_is_not_lost_with_the_worker_it_has_left(search):
    it = search()
    it.train(5.0)
    it.train(4.0)
    reclaim(it.judge, [])
    assert it.ask() == 2
    assert it.history.trials[1].tries == 1


def test_a_referee_made_again_lets_it_wait_on_whatever_its_last_worker_still_notes(search):
    it = search()
    it.train(5.0)
    it.train(4.0)
    it.judge.flush()
    it.judge.requeue()
    it.judge.attempt("cohort 2", [1], "host/1", {"warning": "The disk is full."})
    assert it.history.trials[1].undecided == EPOCHS + RUNG
    it.judge = new_referee(it.url, it.name)
    it.judge.requeue()
    assert it.train(6.0)[0] == 2
    assert it.ask() == 1


def test_who_waits_when_the_budget_is_spent_ends_by_that(search):
    it = search("timeout=2s")
    it.train(5.0)
    assert it.train(4.0) == (1, RUNG, True)
    time.sleep(2)
    assert it.judge.ready
    assert it.ask() is None
    assert it.judge.exhausted
    ending = it.history.trials[1].ending
    assert (ending.outcome, ending.reason) == (Outcome.PRUNED, TIMEOUT)


def test_no_more_is_trained_than_a_budget_pays_for(search):
    it = search("budget=6trainings", "fuse=off")
    it.train(5.0)
    while it.judge.ready:
        it.train(4.0 - 0.1 * it.cohorts)  # each is the best so far
    assert it.judge.exhausted
    assert any(UNDECIDED in point.notes for trial in it.history.searched for point in trial.points)
    assert 5 * EPOCHS <= it.history.epochs <= 6 * EPOCHS


@pytest.mark.parametrize("words", [(), ("deterministic=true",), ("objective=minimize loss, parameters",)])
def test_where_rivals_may_never_come_or_must_not_be_known_nobody_waits(url, words):
    name = started(url, f"epochs={EPOCHS}", "trials=40", "sampler=random", *words, lag=len(words) and 1)
    run(url, name, Workers(1, EPOCHS))
    waited = [it for it in told(url, name) if UNDECIDED in str(it)]
    assert bool(waited) == (not words)


class Stacked(Search):
    """A search whose workers would train eight at once; so far it knows the baseline and six that are bad."""

    SIZE = 8

    def __init__(self, url, *words, at_work=1):
        super().__init__(url, *words, at_work=at_work)
        self.train(5.0)
        for number in range(6):
            self.train(9.0 + number)

    def take_up(self, size=SIZE):
        self.cohorts += 1
        hand = self.judge.take_up(f"cohort {self.cohorts}", size, "host/1", "")
        return [trial.number for trial in hand.trials]

    def rung(self, trials, good, epochs=(1, RUNG), seconds=0.01):
        """Train these to a rung, where so many of them are the best; return the last answer."""
        for epoch in epochs:
            costs = {number: 1.0 if place < good else 20.0 for place, number in enumerate(trials)}
            points = [Point(it, epoch, cost, cost, cost, 0.1, 1, 1, seconds) for it, cost in costs.items()]
            answer = self.judge.report(points)
        return answer

    def thinned(self, good):
        """Train another stack to its first rung, and save those who are left of it."""
        trials = self.take_up()
        answer = self.rung(trials, good)
        self.judge.saved(answer.undecided)
        return [*answer.on], [*answer.undecided]


class TestStacks:
    """Who is left of a thin stack trains on with others that have come as far."""

    @pytest.fixture
    def stacks(self, url, space):
        return lambda *words: Stacked(url, space, *(words or ("trials=100",)))

    def test_who_is_left_of_a_thin_stack_waits_until_there_are_enough_for_another(self, stacks):
        it = stacks()
        on, first = it.thinned(2)
        assert (on, len(first)) == ([], 2)
        on, second = it.thinned(2)
        assert (on, len(second)) == ([], 2)
        assert it.take_up() == first + second
        assert it.history.trials[first[0]].undecided is None
        assert len(it.take_up()) == it.SIZE

    def test_where_it_takes_longer_to_save_them_than_to_train_they_go_on(self, stacks):
        it = stacks()
        trials = it.take_up()
        assert len(it.rung(trials, 2, seconds=0.0001).on) == 2

    def test_half_of_a_stack_goes_on(self, stacks):
        on, undecided = stacks().thinned(4)
        assert (len(on), undecided) == (4, [])

    def test_who_trains_one_at_a_time_goes_on(self, stacks):
        it = stacks()
        trials = it.take_up(1)
        assert it.rung(trials, 1).on == trials

    def test_those_of_different_epochs_do_not_train_together(self, stacks):
        it = stacks()
        _, first = it.thinned(2)
        _, second = it.thinned(3)
        assert it.take_up() == first + second
        answer = it.rung(first + second, 3, range(RUNG + 1, NEXT + 1))
        it.judge.saved(answer.undecided)
        assert answer.undecided == (first + second)[:3]
        _, third = it.thinned(3)
        assert len(it.take_up()) == it.SIZE
        _, fourth = it.thinned(3)
        assert it.take_up() == third + fourth

    def test_nobody_is_handed_on_who_is_not_saved_yet(self, stacks):
        it = stacks()
        trials = [it.take_up(), it.take_up()]
        waiting = [it.rung(own, 2).undecided for own in trials]
        assert len(it.take_up()) == it.SIZE
        it.judge.saved(waiting[0])
        assert len(it.take_up()) == it.SIZE
        it.judge.saved(waiting[1])
        assert it.take_up() == waiting[0] + waiting[1]

    def test_if_its_worker_dies_before_it_is_saved_it_is_handed_on_all_the_same(self, stacks):
        it = stacks()
        first = it.rung(it.take_up(), 4 - 1).undecided
        cohort = it.history.trials[first[0]].cohort
        it.judge.lost(cohort, "it was killed")
        _, second = it.thinned(2)
        assert it.take_up() == first + second
        assert it.history.trials[first[0]].outcome is None

    def test_they_are_judged_again_by_whoever_came_meanwhile(self, stacks):
        it = stacks()
        _, first = it.thinned(3)
        better = it.take_up()
        for epoch in (1, RUNG):
            answer = it.judge.report([Point(n, epoch, 0.1, 0.1, 0.1, 0.1, 1.0, 1.0, 0.01) for n in better])
        assert answer.on
        it.take_up()
        assert {it.history.trials[number].outcome for number in first} == {Outcome.PRUNED}

    def test_they_wait_no_longer_than_a_whole_stack_would_train_twice(self, stacks):
        it = stacks()
        _, first = it.thinned(2)
        until = it.history.trials[first[0]].undecided + 2 * (NEXT - RUNG) * it.SIZE
        while it.history.epochs < until:
            trials = it.take_up()
            assert not {*trials} & {*first}
            it.rung(trials, 0)
        assert it.take_up() == first

    @pytest.mark.parametrize(("workers", "last", "shares"), [(1, 2, [3]), (2, 0, [2, 1]), (2, 2, [3])])
    def test_when_no_others_will_come_each_worker_has_its_share(self, url, space, workers, last, shares):
        it = Stacked(url, space, "trials=23", at_work=workers)
        it.thinned(3)
        trials = it.take_up()
        assert len(trials) == it.SIZE
        assert len(it.rung(trials, last).on) == last  # for whom no others will come, either
        assert [len(it.take_up()) for _ in shares] == shares

    def test_a_referee_made_again_knows_who_waits_and_how_many_would_train_at_once(self, stacks):
        it = stacks()
        _, first = it.thinned(2)
        second = it.take_up()
        it.judge.flush()
        it.judge = new_referee(it.url, it.name)
        answer = it.rung(second, 2)
        it.judge.saved(answer.undecided)
        assert answer.on == []
        assert it.take_up() == [*first, *answer.undecided]

    def test_who_has_gone_on_since_is_not_made_to_wait(self, stacks):
        """A referee that died may have known of fewer rivals, or of none that trained beside it."""
        it = stacks()
        trials = it.take_up()
        points = [
            Point(number, epoch, cost, cost, cost, 0.1, 1.0, 1.0, 0.01)
            for epoch in (1, RUNG, RUNG + 1)
            for number, cost in zip(trials, [1.0, 1.0, *[20.0] * 6], strict=True)
            if epoch <= RUNG or cost < 2
        ]
        assert it.judge.report(points).on == trials[:2]
        assert it.judge.ready
        assert not {*it.take_up()} & {*trials}


def search_of(folder, *words):
    settings = SearchSettings.from_words(
        [f"recipe={TINY}", f"store=sqlite:///{folder}/hpo.db", "sampler=random", *words]
    )
    ledger = Ledger(settings.store)
    ordered = order(settings)
    found = ledger.create_search(
        replace(ordered, settings={**ordered.settings, "threads": 1, "device": "cpu"})
    )
    return ledger, found


def trained(folder, at_once, *words):
    """Train a search's trials cohort by cohort, as one worker does; return its history."""
    folder.mkdir()
    ledger, found = search_of(folder, f"epochs={EPOCHS}", f"trials={8 * at_once}", "confirm=0", *words)
    plan = Plan.of(found)
    judge = Referee(ledger.url, found.name, ledger.open_session(found))
    job = replace(Job.of(plan, Shelf.of(plan, ledger.url)), at_once=at_once)
    cohorts = 0
    while judge.ready:
        cohorts += 1
        cohort.train(job, f"cohort {cohorts}", Line(lambda name, *its: getattr(judge, name)(*its)))
    judge.flush()
    history = ledger.history(found)
    ledger.close()
    return history


def curve(trial):
    return [replace(point, at=0, seq=0, seconds=0, notes={}) for point in trial.points]


@pytest.mark.parametrize("at_once", [1, 2, 4])
def test_it_goes_on_from_where_it_was_saved_as_if_it_had_not_waited(tmp_path, monkeypatch, at_once):
    # A bias before batch normalization has no gradient but rounding, of which Adam makes whole steps.
    (tmp_path / "plain.yaml").write_text(
        SPACE.replace("adam:", "sgd:").replace("1e-4, 1e-1", "1e-2, 5"), encoding="utf-8"
    )
    space = f"space={tmp_path / 'plain.yaml'}"
    monkeypatch.setattr(keeper, "_SHARE", float("inf"))
    whole = trained(tmp_path / "whole", at_once, space, "pruner=none")
    found = trained(tmp_path / "found", at_once, space)
    waited = [trial for trial in found.searched for point in trial.points if UNDECIDED in point.notes]
    went_on = [trial for trial in waited if len({it.cohort for it in trial.attempts}) > 1]
    assert went_on
    for trial in went_on:
        assert trial.attempts[-1].notes["from"][str(trial.number)] in (RUNG, NEXT)
    for trial in found.searched:
        expected = curve(whole.trials[trial.number])[: trial.epochs]
        assert [it.loss for it in curve(trial)] == pytest.approx([it.loss for it in expected], rel=1e-4)
