"""The referee: what it proposes, whom it stops, and that its state is a pure function of the ledger."""

import math
import time
from collections import Counter
from dataclasses import replace
from statistics import fmean

import pytest
from simulation import Workers, history_of, in_peril, measured, reclaim, run, run_in_sessions, started, told
from simulation import referee as new_referee
from sqlalchemy import func, select

from hpo.errors import HpoError
from hpo.ledger import Ledger
from hpo.ledger.schema import sessions
from hpo.protocol import MissingEpochError
from hpo.referee import Referee
from hpo.referee.custody import ATTEMPTS
from hpo.settings import PrunerName, SamplerName
from hpo.trial import Divergence, Ending, Outcome, Point

EPOCHS = 9


def latest_session(url, name):
    """The session that `make` opened, for a referee that is made again within it."""
    ledger = Ledger(url)
    with ledger.engine.connect() as connection:
        session = connection.scalar(select(func.max(sessions.c.id)))
    ledger.close()
    return session


def make(url, *words):
    name = started(url, f"epochs={EPOCHS}", *words)
    return name, new_referee(url, name)


COMBINATIONS = [
    *((sampler, "halving") for sampler in SamplerName.__args__),
    ("blend", "ladder"),
    *(("tpe", pruner) for pruner in PrunerName.__args__ if pruner != "halving"),
]


@pytest.mark.parametrize(("sampler", "pruner"), COMBINATIONS)
class TestRebuilding:
    """Killed and made again, a referee proposes and prunes what it would have."""

    TRIALS = 16

    def words(self, sampler, pruner):
        return (
            f"epochs={EPOCHS}",
            f"trials={self.TRIALS}",
            f"sampler={sampler}",
            f"pruner={pruner}",
            "seed=5",
        )

    def test_a_referee_that_dies_at_any_time_changes_nothing(self, url, sampler, pruner):
        whole = started(url, *self.words(sampler, pruner))
        run(url, whole, Workers(3, EPOCHS))
        broken = started(url, *self.words(sampler, pruner))
        workers = Workers(3, EPOCHS)
        while run(url, broken, workers, turns=7):
            pass
        assert told(url, broken) == told(url, whole)
        assert len(told(url, whole)) == self.TRIALS

    def test_a_search_that_is_killed_and_resumed_ends_the_same(self, url, sampler, pruner):
        whole = started(url, *self.words(sampler, pruner))
        run(url, whole, Workers(1, EPOCHS))
        broken = started(url, *self.words(sampler, pruner))
        run_in_sessions(url, broken, EPOCHS, turns=23)
        assert told(url, broken) == told(url, whole)


class TestCompany:
    """Trials that are trained several at once."""

    WORDS = (f"epochs={EPOCHS}", "trials=17", "seed=5")

    def history(self, url, size, workers=2):
        name = started(url, *self.WORDS)
        run(url, name, Workers(workers, EPOCHS, size))
        return history_of(url, name)

    def test_the_winner_is_trained_once_more_alone(self, url):
        history = self.history(url, size=4)
        assert len(history.searched) == 17
        assert len(history.trials) == 18
        assert history.proof.number == 17
        assert history.proof.outcome is Outcome.FINISHED
        assert history.proof.proposal.config == history.best.proposal.config
        assert not history.best.proposal.proves
        assert sum(history.counts.values()) == 17

    def test_a_winner_that_was_trained_alone_needs_no_proof(self, url):
        assert self.history(url, size=1).proof is None

    def test_a_referee_that_dies_at_any_time_changes_nothing(self, url):
        whole, broken = started(url, *self.WORDS), started(url, *self.WORDS)
        run(url, whole, Workers(2, EPOCHS, 4))
        workers = Workers(2, EPOCHS, 4)
        while run(url, broken, workers, turns=3):
            pass
        assert told(url, broken) == told(url, whole)

    def test_an_interrupted_proof_is_made_good_on_resuming(self, url):
        name = started(url, *self.WORDS)
        workers = Workers(2, EPOCHS, 4)
        while not any(trial.proposal.proves for trial in history_of(url, name).trials.values()):
            run(url, name, workers, turns=1)
        judge = new_referee(url, name)
        judge.requeue()
        again = Workers(2, EPOCHS, 4)
        again.cohorts = 1000
        run(url, name, again, judge=judge)
        assert history_of(url, name).proof.outcome is Outcome.FINISHED
        assert len(history_of(url, name).trials) == 18


def test_the_baseline_is_trial_0_as_it_stands(url):
    _, referee = make(url)
    (trial,) = referee.ask("c", 1)
    assert (trial.number, trial.origin) == (0, "baseline")
    assert trial.config["optimizer.lr"] == 0.05
    assert trial.config["optimizer.momentum"] == 0.9
    assert trial.params["optimizer.sgd.one_minus_momentum"] == pytest.approx(0.1)


def stopped(url, objective, sign):
    """Who is stopped at the first rung of a ladder, where scores have nothing to do with configurations."""
    _, referee = make(url, "trials=12", "sampler=random", f"objective={objective}")
    found = set()
    for number in range(12):
        referee.ask(f"cohort-{number}", 1)
        cost = float(7 * number % 12)
        for epoch in (1, 2):
            kept = referee.report([Point(number, epoch, sign * cost, cost, cost, 0.1, 1.0, 1.0, 0.01)])
        found |= {number} - {*kept.on, *kept.undecided}
    return found


def test_what_is_maximized_is_stopped_where_it_is_low(url):
    low = stopped(url, "maximize accuracy", -1)
    assert low == stopped(url, "minimize loss", 1)
    assert 3 in low  # the worst so far
    assert 7 not in low  # the second best


@pytest.mark.parametrize("pruner", PrunerName.__args__)
def test_nothing_is_decided_of_a_trial_before_it_is_due(url, pruner):
    _, judge = make(url, "trials=40", f"pruner={pruner}", "sampler=random")
    left, dues = 0, set()
    for cohort in range(10):
        trials, due = judge.take_up(f"c{cohort}", 4, "host/1", "")
        live = {trial.number: trial.config for trial in trials}
        for epoch in range(1, EPOCHS + 1):
            reports = [measured(number, config, epoch) for number, config in live.items()]
            sound = {it.trial for it in reports if isinstance(it, Point)}
            answer = judge.report(reports)
            assert all(due[number] == epoch for number in sound - {*answer.on})
            left, due = left + len(sound - {*answer.on}), due | answer.due
            dues |= {*answer.due.values()}
            live = {number: live[number] for number in answer.on}
    assert (left > 0) == (pruner != "none")
    assert min(dues) == {"ladder": 2, "halving": 2, "hyperband": 3, "median": 2, "none": EPOCHS + 1}[pruner]
    assert max(dues) == EPOCHS + 1  # at its end nothing is decided, either


@pytest.mark.parametrize(
    ("words", "due"),
    [
        (("budget=40trainings",), [1, 2, 3, 4]),  # each may be the last that it pays for
        (("timeout=10m",), [1, 2, 4, 4]),  # how long an epoch takes is known after the first
        (("timeout=1s",), [1, 2, 3, 4]),
        ((), [2, 2, 4, 4]),
    ],
)
def test_what_a_budget_may_end_is_due_after_each_epoch(url, words, due):
    _, judge = make(url, "trials=40", "confirm=0", *words)
    (trial,), first = judge.take_up("c", 1, "host/1", "")
    found = [first[0]]
    for epoch in (1, 2, 3):
        point = replace(measured(0, trial.config, epoch), seconds=1.0)
        found.append(judge.report([point]).due.get(0, epoch + 1))
    assert found == due


def test_the_baseline_is_never_pruned(url):
    name, referee = make(url, "trials=30", "pruner=halving")
    workers = Workers(1, EPOCHS)
    run(url, name, workers, judge=referee)
    trials = history_of(url, name).trials
    assert trials[0].outcome is Outcome.FINISHED
    assert Outcome.PRUNED in {trial.outcome for trial in trials.values()}


def test_proposals_are_complete_configurations(url):
    _, referee = make(url, "trials=20", "pruner=none")
    for trial in referee.ask("c", 20):
        assert {"optimizer", "optimizer.lr", "schedule", "warmup", "clip_norm", "batch_size"} <= set(
            trial.config
        )
        assert {"model.width", "model.dropout"} <= set(trial.config)


def test_asking_twice_gives_the_same_trials(url):
    _, referee = make(url)
    assert referee.ask("c", 2) == referee.ask("c", 2)


def test_who_takes_trials_up_is_noted_with_them_and_once(url):
    name, referee = make(url)
    taken = referee.take_up("c", 2, "host/1", "2 at a time, as asked for").trials
    assert referee.take_up("c", 2, "host/1", "2 at a time, as asked for").trials == taken
    referee.flush()
    for trial in history_of(url, name).trials.values():
        (attempt,) = trial.attempts
        assert (attempt.worker, attempt.cohort) == ("host/1", "c")
        assert attempt.notes == {"at once": 2, "at most": 2, "because": "2 at a time, as asked for"}


def test_a_trial_that_is_taken_up_again_is_no_longer_the_other_cohorts(url):
    """A referee that is made again right then must not hand it out twice."""
    name, referee = make(url, "trials=1")
    referee.take_up("first", 1, "host/1", "")
    referee.lost("first", "killed")
    (trial,) = referee.take_up("second", 1, "host/2", "").trials
    referee.flush()
    again = Referee(url, name, latest_session(url, name))
    reclaim(again, {"second"})
    assert not again.ready
    assert again.ask("second", 1) == [trial]


def test_no_more_trials_than_ordered(url):
    _, referee = make(url, "trials=3")
    assert len(referee.ask("c", 5)) == 3
    assert referee.ask("d", 1) == []
    assert not referee.exhausted
    referee.tell([Ending(number, Outcome.FAILED, f"reason {number}") for number in range(3)])
    assert referee.exhausted


def test_an_epoch_reported_twice_counts_once(url):
    name, referee = make(url)
    (trial,) = referee.ask("c", 1)
    for _ in range(2):
        assert referee.report([measured(0, trial.config, 1)]).on == [0]
    referee.flush()
    assert [point.epoch for point in history_of(url, name).trials[0].points] == [1]


def test_an_epoch_is_not_taken_in_before_the_one_before_it(url):
    name, referee = make(url)
    (trial,) = referee.ask("c", 1)
    with pytest.raises(MissingEpochError, match="trial 0 has 0 epochs of 1"):
        referee.report([measured(0, trial.config, 2)])
    with pytest.raises(MissingEpochError, match=f"trial 0 has 0 epochs of {EPOCHS}"):
        referee.tell([Ending(0, Outcome.FINISHED)])
    referee.flush()
    assert history_of(url, name).trials[0].points == []


def test_a_trial_ends_once(url):
    name, referee = make(url)
    referee.ask("c", 1)
    referee.tell([Ending(0, Outcome.FAILED, "first")])
    referee.tell([Ending(0, Outcome.FINISHED)])
    referee.flush()
    assert history_of(url, name).trials[0].ending.reason == "first"


def test_a_pruned_trial_keeps_its_curve(url):
    name, _ = make(url, "trials=30")
    run(url, name, Workers(1, EPOCHS))
    pruned = [trial for trial in history_of(url, name).trials.values() if trial.outcome is Outcome.PRUNED]
    assert pruned
    assert all(0 < trial.epochs < EPOCHS for trial in pruned)


def test_what_an_engine_knows_of_a_trial_is_in_its_ending_however_it_ends(url):
    name, referee = make(url, "trials=2")
    referee.ask("c", 2)
    first = measured(0, referee.ask("c", 2)[0].config, 1)
    referee.report([replace(first, notes={"memory": {"measured": {"total": epoch}}}) for epoch in (1, 2)])
    referee.report([Divergence(0, 2, 3, math.nan, 5.0)])
    referee.flush()
    trial = history_of(url, name).trials[0]
    assert trial.memory == {"measured": {"total": 2}}
    assert trial.ending.notes["step"] == 3
    assert "memory" not in trial.points[0].notes


def test_a_diverged_trial_ends_where_it_diverged(url):
    name, referee = make(url)
    referee.ask("c", 1)
    assert referee.report([Divergence(0, 1, 3, math.nan, 5.0)]).on == []
    referee.flush()
    ending = history_of(url, name).trials[0].ending
    assert ending.outcome is Outcome.DIVERGED
    assert (ending.notes["epoch"], ending.notes["step"]) == (1, 3)


@pytest.mark.parametrize(("sampler", "trials"), [("tpe", 60), ("cmaes", 60), ("gp", 30)])
def test_the_sampler_avoids_where_trials_diverge(url, sampler, trials):
    """Everything over lr 0.04 diverges; a model-based sampler goes there less often than the prior does."""
    name = started(url, "space=sgd", f"trials={trials}", f"sampler={sampler}", "pruner=none", "epochs=1")
    referee = new_referee(url, name)
    diverged = {"prior": [], sampler: [], "baseline": []}
    for number in range(trials):
        (trial,) = referee.ask(f"c{number}", 1)
        lr = trial.config["optimizer.lr"]
        loss = abs(math.log10(lr / 0.01))
        report = Point(number, 1, loss, loss, loss, lr, 1.0, 1.0, 0.1)
        if referee.report([report if lr < 0.04 else Divergence(number, 1, 0, math.inf, 1.0)]).on:
            referee.tell([Ending(number, Outcome.FINISHED)])
        diverged[trial.origin].append(lr >= 0.04)
    assert fmean(diverged[sampler]) < fmean(diverged["prior"])


def test_a_lost_worker_s_trial_is_handed_out_again_and_then_given_up(url):
    name, referee = make(url, "trials=1")
    for attempt in range(ATTEMPTS):
        assert [trial.number for trial in referee.ask(f"c{attempt}", 1)] == [0]
        referee.attempt(f"c{attempt}", [0], "host/1", {})
        referee.lost(f"c{attempt}", "killed")
    assert referee.exhausted
    referee.flush()
    assert history_of(url, name).trials[0].outcome is Outcome.LOST


def test_a_trial_handed_out_again_is_known_by_its_new_cohort_after_the_referee_died_too(url):
    name, referee = make(url, "trials=1")
    session = latest_session(url, name)
    (trial,) = referee.ask("first", 1)
    referee.attempt("first", [trial.number], "host/1", {})
    referee.lost("first", "killed")
    assert referee.ask("second", 1) == [trial]
    referee.attempt("second", [trial.number], "host/2", {})
    referee.flush()
    again = Referee(url, name, session)
    assert again.ask("second", 1) == [trial]
    assert again.lost("second", "killed")
    assert again.ask("third", 1) == [trial]


def test_a_trial_that_waited_when_the_referee_died_is_handed_out_again(url):
    name, referee = make(url, "trials=2")
    session = latest_session(url, name)
    (lost,), (kept,) = referee.ask("first", 1), referee.ask("second", 1)
    referee.lost("first", "killed")
    referee.flush()
    again = Referee(url, name, session)
    assert not again.ready
    reclaim(again, {"second"})
    assert again.ask("third", 1) == [lost]
    assert again.ask("second", 1) == [kept]


def test_on_its_last_try_a_trial_is_alone_so_that_others_are_not_lost_with_it(url):
    name, referee = make(url, "trials=3")
    for cohort in ("first", "second"):
        trials = [trial.number for trial in referee.ask(cohort, 3)]
        assert trials == [0, 1, 2]
        referee.attempt(cohort, trials, "host/1", {"at once": 3})
        referee.lost(cohort, "crashed")
    for number in range(3):
        assert [trial.number for trial in referee.ask(f"alone {number}", 3)] == [number]
        referee.attempt(f"alone {number}", [number], "host/1", {})
    referee.lost("alone 1", "crashed")
    referee.tell([Ending(number, Outcome.FAILED) for number in (0, 2)])
    referee.flush()
    trials = history_of(url, name).trials
    assert trials[1].outcome is Outcome.LOST
    assert trials[0].attempts[-1].notes["after"] == "crashed"
    assert referee.exhausted


def test_a_trial_that_gets_further_each_time_is_not_given_up(url):
    _, referee = make(url, "trials=1")
    for epoch in range(1, EPOCHS):
        (trial,) = referee.ask(f"c{epoch}", 1)
        referee.attempt(f"c{epoch}", [0], "host/1", {})
        assert referee.report([measured(0, trial.config, epoch)]).on == [0]
        referee.lost(f"c{epoch}", "killed")
    assert referee.ready


def test_three_trials_lost_for_the_same_reason_end_a_search(url):
    name, referee = make(url, "trials=30")
    for number in range(3 * ATTEMPTS):
        trials = [trial.number for trial in referee.ask(f"c{number}", 1)]
        referee.attempt(f"c{number}", trials, "host/1", {})
        referee.lost(f"c{number}", "its worker crashed: Segmentation fault (mine.py:3)")
    assert referee.exhausted
    referee.flush()
    history = history_of(url, name)
    assert history.hopeless == "its worker crashed: Segmentation fault (mine.py:3)"
    assert len(history.ended) == 3


def test_halving_a_cohort_is_no_new_try(url):
    _, referee = make(url, "trials=4")
    trials = [trial.number for trial in referee.ask("first", 4)]
    for size in (4, 2, 1):
        referee.attempt("first", trials[:size], "host/1", {"at once": size})
    referee.lost("first", "killed")
    assert len(referee.ask("second", 4)) == 4


@pytest.mark.parametrize("seed", range(12))
def test_whoever_dies_the_search_comes_to_its_end(url, seed):
    name = started(url, f"epochs={EPOCHS}", "trials=12", f"seed={seed}", "sampler=random")
    perils = in_peril(url, name, EPOCHS, seed, deaths=12)
    assert perils.run(workers=3, turns=3000)
    history = history_of(url, name)
    assert [trial.number for trial in history.searched] == list(range(12))
    assert not history.running
    for trial in history.trials.values():
        assert [point.epoch for point in trial.points] == list(range(1, trial.epochs + 1))
        assert trial.attempts or not trial.points


def test_three_equal_failures_end_a_search(url):
    _, referee = make(url, "trials=30")
    for number in range(3):
        referee.ask(f"c{number}", 1)
        referee.tell([Ending(number, Outcome.FAILED, "ImportError: no module named x")])
    assert referee.ask("c9", 1) == []
    assert referee.exhausted


def test_different_failures_do_not(url):
    _, referee = make(url, "trials=30")
    for number in range(3):
        referee.ask(f"c{number}", 1)
        referee.tell([Ending(number, Outcome.FAILED, f"reason {number}")])
    assert referee.ask("c9", 1)


def test_time_over_stops_what_runs_and_asks_for_nothing_more(url):
    _, referee = make(url, "timeout=0.5s")
    (trial,) = referee.ask("c", 1)
    assert referee.report([measured(trial.number, trial.config, 1)]).on == [0]
    time.sleep(0.6)
    assert referee.report([measured(trial.number, trial.config, 2)]).on == []
    assert referee.ask("d", 1) == []
    assert referee.exhausted


def test_a_trial_that_waits_when_time_is_over_still_comes_to_its_end(url):
    _, referee = make(url, "timeout=0.5s")
    (trial,) = referee.ask("c", 1)
    referee.lost("c", "killed")
    time.sleep(0.6)
    assert referee.ready
    assert [again.number for again in referee.ask("d", 1)] == [trial.number]
    assert referee.report([measured(trial.number, trial.config, 1)]).on == []
    assert referee.exhausted


def test_the_same_seed_proposes_the_same_and_another_does_not(url):
    first, second, other = (
        make(url, seed, "pruner=none")[1].ask("c", 12) for seed in ("seed=1", "seed=1", "seed=2")
    )
    assert [trial.params for trial in first] == [trial.params for trial in second]
    assert [trial.params for trial in first[1:]] != [trial.params for trial in other[1:]]


def test_sobol_points_spread_over_the_branches(url):
    _, referee = make(url, "sampler=qmc", "trials=65", "pruner=none")
    counts = Counter(trial.config["optimizer"] for trial in referee.ask("c", 65)[1:])
    assert set(counts.values()) <= {12, 13, 14}


def test_a_referee_whose_session_is_over_writes_nothing(url):
    name, old = make(url)
    old.ask("c", 1)
    new_referee(url, name)
    with pytest.raises(HpoError, match="has gone on in session"):
        old.flush()
    assert history_of(url, name).trials == {}
