"""A budget is planned, held to, planned anew as costs become known, and not spent in vain."""

import contextlib
import json
import time
from dataclasses import replace
from statistics import fmean

import pytest
import simulation
from hypothesis import given
from hypothesis import strategies as st
from simulation import Workers, history_of, in_peril, of, referee, run, run_in_sessions, started, told

from hpo.audit import ledger as account
from hpo.budget import CPU_HOURS, GPU_HOURS, SECONDS, TRAININGS, Budget
from hpo.conductor import conductor
from hpo.errors import InputError
from hpo.history import History, State
from hpo.ledger import Ledger
from hpo.planning.contradictions import of_other_devices
from hpo.planning.ordering import order
from hpo.planning.plan import Plan
from hpo.planning.rungs import Rungs, rungs
from hpo.progress import outlook
from hpo.progress.prospect import Prospect
from hpo.progress.spending import ALL, GAIN, MONEY, Spending
from hpo.recipe import Objective
from hpo.replay import replay
from hpo.settings import ReplaySettings, ResumeSettings, SearchSettings
from hpo.trial import BUDGET, COSTS, Attempt, Ending, Outcome, Point, Proposal
from hpo.wish import Wish

EPOCHS = 6


def ordered(*words):
    return Plan.of(order(SearchSettings.from_words(["recipe=cnn", f"epochs={EPOCHS}", *words])))


def planned(*words):
    plan = ordered(*words)
    return Spending(plan, History(plan.search.objective)).forecast()


# What is typed.

seconds = st.integers(1, 10**7).map(lambda number: Budget(number, SECONDS))
halves = st.integers(1, 10**5).map(lambda number: number / 4)
hours = st.builds(Budget, halves, st.sampled_from([CPU_HOURS, GPU_HOURS]))
trainings = st.integers(1, 10**6).map(lambda number: Budget(number, TRAININGS))


@given(st.one_of(seconds, hours, trainings))
def test_what_a_budget_is_told_as_is_read_again(budget):
    assert Budget.parse(str(budget)) == budget


@given(st.text(alphabet="0123456789.hms- gpu-trainings", max_size=14))
def test_any_text_is_a_budget_or_refused(text):
    with contextlib.suppress(ValueError):
        assert Budget.parse(text).amount > 0


@pytest.mark.parametrize(
    ("text", "amount", "unit"),
    [
        ("20m", 1200, SECONDS),
        ("1h30m", 5400, SECONDS),
        ("90s", 90, SECONDS),
        ("1.5h", 5400, SECONDS),
        ("4gpu-h", 4, GPU_HOURS),
        ("0.5cpu-h", 0.5, CPU_HOURS),
        ("30trainings", 30, TRAININGS),
        ("1training", 1, TRAININGS),
    ],
)
def test_forms(text, amount, unit):
    assert Budget.parse(text) == Budget(amount, unit)


@pytest.mark.parametrize(
    ("text", "hint"),
    [
        ("30trainigs", "Did you mean 30trainings?"),
        ("4gpuh", "Did you mean 4gpu-h?"),
        ("2hours", "Did you mean 2h?"),
        ("30trials", "So many configurations are trials=30."),
        ("20", "got '20'."),
        ("0m", "got '0m'."),
        ("1.5trainings", "got '1.5trainings'."),
        ("30m1h", "got '30m1h'."),
    ],
)
def test_what_is_none_is_refused_with_what_it_may_have_meant(text, hint):
    with pytest.raises(InputError) as refused:
        SearchSettings.from_words(["recipe=cnn", f"budget={text}"])
    assert str(refused.value).endswith(hint)


def test_what_does_not_go_together_is_refused_at_once():
    words = ["budget=20m", "timeout=1h", "deterministic=true", "recipe.widht=3"]
    with pytest.raises(InputError) as refused:
        ordered(*words)
    where = [problem.where for problem in refused.value.problems]
    assert sorted(where) == ["budget=20m", "recipe.widht=3", "timeout=3600", "timeout=3600"]
    assert ordered("budget=20trainings", "deterministic=true").budget


def test_hours_are_those_of_the_devices_that_train():
    assert of_other_devices("4gpu-h", on_gpus=True) == []
    assert of_other_devices("20m", on_gpus=True) == []
    (problem,) = of_other_devices("4gpu-h", on_gpus=False)
    assert "write 4cpu-h" in problem.message


# The plan.


@pytest.mark.parametrize(
    ("words", "confirm", "seeds"),
    [
        (["budget=60trainings"], 3, 5),
        (["budget=30trainings"], 3, 3),
        (["budget=18trainings"], 3, 2),
        (["budget=16trainings"], 2, 2),
        (["budget=10trainings"], 1, 2),
        (["budget=9trainings"], 0, 0),
        (["budget=1training"], 0, 0),
        (["budget=60trainings", "confirm_seeds=2"], 3, 2),
        (["budget=60trainings", "confirm=0"], 0, 0),
    ],
)
def test_a_small_budget_has_fewer_seeds_then_fewer_candidates_then_none(words, confirm, seeds):
    found = planned(*words)
    assert (found.confirm, found.seeds) == (confirm, seeds)


def test_trials_are_as_many_as_the_rungs_let_the_rest_pay_for():
    assert rungs("none", 9).further(9) == 9
    assert rungs("ladder", 9).further(9) == 2 + 2 / 3 + 5 / 9
    assert Rungs((2, 4), 1 / 2).further(8) == 2 + 2 / 2 + 4 / 4
    assert Rungs((2, 4), 1 / 2).further(8, trained=3) == 1 + 4 / 2
    assert planned("budget=30trainings", "pruner=none").trials == 30 - 13
    assert planned("budget=30trainings").trials > 2 * 17
    assert planned("budget=30trainings", "trials=5").trials == 5
    assert planned("budget=20m").trials is None


def test_the_plan_is_said_in_plain_lines():
    lines = outlook.opening(
        ordered("budget=30trainings", "pruner=halving"), History(Objective("minimize", "loss"))
    )
    assert lines[0].startswith("budget=30trainings: about ")
    assert "the best half goes on after epochs 1, 2 and 4" in lines[0]
    assert "the best 3 and the baseline again with 3 fresh seeds" in lines[1]
    assert outlook.opening(ordered(), History(Objective("minimize", "loss"))) == []


# A search is held to it.


def spent(history):
    return history.epochs / EPOCHS


def searched(url, *words, workers=2, size=1, lag=0):
    name = started(url, f"epochs={EPOCHS}", "seed=5", *words, lag=lag)
    run(url, name, Workers(workers, EPOCHS, size))
    return name, history_of(url, name)


def is_sound(url, name):
    found = account.read(url, name)
    assert [check.faults for check in found.checks if not check.passed] == []
    assert replay(ReplaySettings(name=name, store=url)).differences == ()


@pytest.mark.parametrize(("pruner", "workers", "size"), [("ladder", 1, 1), ("ladder", 2, 4), ("none", 3, 1)])
def test_trainings_are_held_to_exactly_and_used(url, pruner, workers, size):
    name, history = searched(url, "budget=16trainings", f"pruner={pruner}", workers=workers, size=size)
    assert 13 < spent(history) <= 16
    assert {trial.outcome for trial in history.confirmations} == {Outcome.FINISHED}
    assert len(history.standings[0].again) >= 2
    assert history.proof.outcome is Outcome.FINISHED
    assert history.forecast.over == MONEY
    is_sound(url, name)


@pytest.mark.parametrize(("seed", "trainings", "workers"), [(1, 20, 1), (13, 12, 1), (5, 12, 2)])
def test_no_trial_begins_that_could_not_be_trained_to_its_end(url, seed, trainings, workers):
    name = started(url, "epochs=6", f"seed={seed}", f"budget={trainings}trainings")
    run(url, name, Workers(workers, 6, 1))
    history = history_of(url, name)
    assert history.forecast.over == MONEY
    assert BUDGET not in {trial.ending.reason for trial in history.searched}


def test_what_is_stopped_by_the_budget_says_so(url):
    name = started(url, f"epochs={EPOCHS}", "budget=9trainings", "pruner=median", "confirm=0")
    judge = referee(url, name)
    trials = judge.ask("c", 12)  # as if half of them were to be stopped, and none is
    for epoch in range(1, EPOCHS + 1):
        trials = [it for it in trials if it.number in judge.report([of(it, epoch)]).on]
    judge.flush()
    endings = [trial.ending for trial in history_of(url, name).searched]
    pruned = [ending.reason for ending in endings if ending.outcome is Outcome.PRUNED]
    assert set(pruned) == {BUDGET}
    assert Outcome.FINISHED not in {ending.outcome for ending in endings}


def test_too_little_for_fresh_seeds_confirms_nothing(url):
    name, history = searched(url, "budget=4trainings")
    assert not history.confirmations
    assert spent(history) <= 4
    is_sound(url, name)


def test_trials_that_cost_nothing_come_to_an_end_too(url):
    judge = referee(url, started(url, "epochs=2", "budget=6trainings", "deterministic=true", lag=1))
    for number in range(99):
        trials = judge.ask(f"c{number}", 1)
        judge.tell([Ending(trial.number, Outcome.FAILED, f"reason {number}") for trial in trials])
    assert judge.exhausted
    assert len(judge._history.searched) == 12


def test_one_training_is_the_baseline(url):
    _, history = searched(url, "budget=1training", "fuse=off", workers=3)
    assert [trial.outcome for trial in history.trials.values()] == [Outcome.FINISHED]


def test_as_many_trials_as_asked_for_leave_the_rest_to_fresh_seeds(url):
    _, history = searched(url, "budget=40trainings", "trials=6")
    assert len(history.searched) == 6
    assert len(history.standings[0].again) == 5


def test_interrupted_in_the_middle_it_goes_on_where_it_was(url):
    whole, _ = searched(url, "budget=12trainings", workers=1)
    broken = started(url, f"epochs={EPOCHS}", "seed=5", "budget=12trainings")
    assert run_in_sessions(url, broken, EPOCHS, turns=31) > 2
    assert told(url, broken) == told(url, whole)
    is_sound(url, broken)


@pytest.mark.parametrize("seed", [0, pytest.param(1, marks=pytest.mark.slow)])
def test_by_rule_the_end_is_the_same_whoever_is_faster_and_whatever_dies(url, seed):
    words = (
        f"epochs={EPOCHS}",
        "space=sgd",
        "seed=5",
        "budget=11trainings",
        "deterministic=true",
        "confirm_seeds=2",
    )
    ends = []
    for dice, deaths in ((0, 0), (seed + 1, 8)):
        name = started(url, *words, lag=3)
        assert in_peril(url, name, EPOCHS, dice, deaths, size=1).run(workers=3, turns=10**5)
        assert spent(history_of(url, name)) <= 11
        is_sound(url, name)
        ends.append(told(url, name))
    assert ends[0] == ends[1]


@pytest.mark.parametrize("seed", [0, *(pytest.param(it, marks=pytest.mark.slow) for it in range(1, 6))])
def test_whoever_dies_the_budget_is_held_to(url, seed):
    name = started(url, f"epochs={EPOCHS}", "budget=15trainings")
    assert in_peril(url, name, EPOCHS, seed, deaths=10).run(workers=3, turns=10**5)
    history = history_of(url, name)
    assert spent(history) <= 15
    assert history.best is not None
    is_sound(url, name)


def test_with_more_budget_it_goes_on(url):
    name, history = searched(url, "budget=10trainings")
    before = len(history.searched)
    ledger = Ledger(url)
    ledger.note_settings(ledger.search(name), {"budget": "25trainings"})
    ledger.close()
    again = Workers(2, EPOCHS)
    again.cohorts = 1000
    run(url, name, again)
    history = history_of(url, name)
    assert len(history.searched) > before
    assert 10 < spent(history) <= 25
    is_sound(url, name)


def test_a_stop_is_planned_and_replayed_as_if_so_few_had_been_ordered(url):
    name = started(url, f"epochs={EPOCHS}", "budget=60trainings", "pruner=none")
    judge, workers = referee(url, name), Workers(2, EPOCHS)
    run(url, name, workers, judge=judge, turns=30)
    judge.heed(Wish(trials=1))
    begun = len(judge._history.searched)
    run(url, name, workers, judge=judge)
    history = history_of(url, name)
    assert len(history.searched) == begun
    assert (history.forecast.over, f"trials={begun}" in history.forecast.terms) == (ALL, True)
    is_sound(url, name)


@pytest.mark.parametrize(
    ("words", "less", "said"),
    [
        (["trials=7"], "trials=3", "7 trials have begun. With trials=7 no more of them do."),
        (["budget=10trainings"], "budget=2trainings", "Give a larger budget."),
        (["budget=10trainings"], "trials=1", "trials have begun."),
    ],
)
def test_less_than_was_done_is_refused_and_nothing_noted(url, words, less, said):
    name, _ = searched(url, *words)
    ledger = Ledger(url)
    ledger.close_session(ledger.search(name).session, State.INTERRUPTED)
    ledger.close()
    with pytest.raises(InputError, match=said) as refused:
        conductor.resume(ResumeSettings.from_words([name, f"store={url}", less]), lambda _: None)
    assert str(refused.value).startswith(less)
    is_sound(url, name)


@pytest.mark.parametrize(
    ("words", "more"),
    [
        (["trials=4"], ["trials=8"]),
        (["budget=4trainings"], ["budget=8trainings"]),
        (["budget=9trainings", "trials=2", "confirm=0"], ["trials=4"]),
        (["budget=2trainings", "trials=1", "confirm=0"], ["trials=2", "budget=4trainings"]),
    ],
)
def test_a_search_that_has_ended_says_what_it_needs_more_of_and_goes_on_with_that(url, words, more):
    name, _ = searched(url, *words)
    ledger = Ledger(url)
    ledger.close_session(ledger.search(name).session, State.FINISHED)
    ledger.close()
    with pytest.raises(InputError, match="This search is finished") as refused:
        conductor.resume(ResumeSettings.from_words([name, f"store={url}"]), lambda _: None)
    assert str(refused.value).endswith(" ".join(["hpo resume", name, *more, f"store={url}"]))
    with pytest.raises(GoingOnError):
        conductor.resume(ResumeSettings.from_words([name, f"store={url}", *more]), going_on)


class GoingOnError(Exception):
    """The search begins to train."""


def going_on(_):
    raise GoingOnError


# By the clock.


def begun(url, workers, *words):
    """A search on so many workers with a CPU each."""
    name = started(url, f"epochs={EPOCHS}", *words)
    ledger = Ledger(url)
    ledger.note_settings(ledger.search(name), {"at_work": workers, "held": workers})
    ledger.close()
    return name


class Hands:
    """A clock that only moves when an epoch is trained."""

    def __init__(self, monkeypatch):
        self.now = 1e6
        monkeypatch.setattr(time, "monotonic", lambda: self.now)
        monkeypatch.setattr(time, "time", lambda: self.now)
        monkeypatch.setattr(simulation, "of", self.of)

    def of(self, trial, epoch):
        report = of(trial, epoch)
        whole = (EPOCHS + 1) / EPOCHS  # taking a trial up takes as long as an epoch
        return replace(report, seconds=whole) if isinstance(report, Point) else report

    def search(self, url, name, workers, seconds=1.0, rounds=10**6, session=0):
        """Train with so many workers, each epoch taking so long; return the clock's time of it."""
        judge, crew = referee(url, name), Workers(workers, EPOCHS)
        judge.requeue()
        crew.cohorts = 10**4 * session
        began = self.now
        for _ in range(rounds):
            self.now += seconds
            busy = [crew.turn(judge, hand) for hand in range(workers)]
            judge.heed(judge.wished())
            judge.flush()
            if not any(busy):
                break
        return self.now - began


@pytest.fixture
def hands(monkeypatch):
    return Hands(monkeypatch)


def test_a_clock_is_held_to_within_an_epoch(url, hands):
    name = begun(url, 2, "budget=2m", "pruner=none")
    took = hands.search(url, name, workers=2)
    assert 90 < took <= 120 + 2
    history = history_of(url, name)
    assert len(history.standings[0].again) >= 2
    assert history.proof.outcome is Outcome.FINISHED
    is_sound(url, name)


def test_the_plan_changes_as_costs_become_known_and_is_kept(url, hands):
    name = begun(url, 2, "budget=2m")
    hands.search(url, name, workers=2)
    first, *rest = history_of(url, name).forecasts
    assert first.trials is None
    assert first.seq == 1
    assert rest[0].trials > 1
    assert rest[-1].over
    assert outlook.changed(ordered("budget=2m"), rest[0]).startswith("now about ")


def test_what_was_used_before_an_interruption_counts_and_the_break_does_not(url, hands):
    name = begun(url, 2, "budget=2m", "pruner=none")
    took = hands.search(url, name, workers=2, rounds=50)
    hands.now += 3600
    took += hands.search(url, name, workers=2, session=1)
    assert 90 < took <= 120 + 10  # it is noted every five seconds what the clock shows
    assert history_of(url, name).best is not None


@pytest.mark.parametrize("limit", [{"budget": "2m"}, {"timeout": 120.0}])
def test_what_was_used_before_a_clock_was_set_counts(url, hands, limit):
    name = begun(url, 2, "trials=500", "pruner=none")
    took = hands.search(url, name, workers=2, rounds=60)
    ledger = Ledger(url)
    ledger.note_settings(ledger.search(name), limit)
    ledger.close()
    took += hands.search(url, name, workers=2, session=1)
    assert 80 < took <= 120 + 10
    assert max(it.trials or 0 for it in history_of(url, name).forecasts) < 100
    is_sound(url, name)


def test_a_night_before_the_first_trial_changes_no_plan(url, hands):
    """Interrupted while its workers start, and resumed at once or the next day."""
    plans = []
    for night in (0, 36_000):
        name = begun(url, 2, "budget=2m")
        judge = referee(url, name)
        hands.now += 10
        judge.heed(judge.wished())
        hands.now += night
        hands.search(url, name, workers=2)
        is_sound(url, name)
        plans.append([replace(it, at=0) for it in history_of(url, name).forecasts])
    at_once, rested = plans
    assert at_once[1].trials > 1
    assert rested == at_once


def test_each_device_counts(url, hands):
    name = begun(url, 3, "budget=0.1cpu-h", "pruner=none")
    assert 60 < hands.search(url, name, workers=3) <= 120 + 2


@pytest.mark.parametrize(
    ("first", "then", "said"),
    [
        ("2m", "0.1cpu-h", "used: 0.0383 of 0.1 cpu-h"),
        ("0.1cpu-h", "2m", "used: 46s of 2m"),
        ("60trainings", "2m", "used: 46s of 2m"),
    ],
)
def test_what_was_used_counts_in_the_unit_of_the_budget_that_is_set_now(url, hands, first, then, said):
    name = begun(url, 3, f"budget={first}", "pruner=none")
    took = hands.search(url, name, workers=3, rounds=46)
    ledger = Ledger(url)
    ledger.note_settings(ledger.search(name), {"budget": then})
    plan = Plan.of(ledger.search(name))
    assert outlook.opening(plan, ledger.history(plan.search))[0] == said
    ledger.close()
    took += hands.search(url, name, workers=3, session=1)
    assert 90 < took <= 120 + 10
    is_sound(url, name)


# Not in vain.


ONE_GOAL, TWO_GOALS = Objective("minimize", "loss"), Objective("minimize", "loss", ("parameters",))


def ended(number, outcome, *scores, costs=None):
    history = History(ONE_GOAL)
    history.add(Proposal(number, {}, "near"))
    history.add(Attempt(number, "host/1", notes={COSTS: costs or {}}))
    for epoch, score in enumerate(scores, start=1):
        history.add(Point(number, epoch, score, score, score, 0.1, 1.0, 1.0, 1.0))
    history.add(Ending(number, outcome, score=scores[-1] if scores else None))
    return history.trials[number]


def prospect(*finals, wobble=0.0):
    found = Prospect(ONE_GOAL)
    for number, final in enumerate(finals):
        curve = [1.0 + wobble * (-1) ** epoch for epoch in range(8)]
        found.take(ended(number, Outcome.FINISHED, *curve, final))
    return found


def test_the_gain_is_that_of_the_formula():
    costs = [0.1 * number for number in range(20)]
    assert prospect(*costs).gain(1) == prospect(*costs).gain(5)
    for more in (5, 20, 60):
        stays = 20 / (20 + more)
        weights = [stays * (1 - stays) ** place for place in range(20)]
        weights[-1] += (1 - stays) ** 20
        expected = sum(weight * cost for weight, cost in zip(weights, costs, strict=True))
        assert prospect(*costs).gain(more) == pytest.approx(expected)
    assert prospect(*costs[:19]).gain(5) is None  # too early
    assert prospect(*costs).noise is not None


def test_it_is_what_the_last_trials_brought_on_average_over_all_orders():
    import random

    dice = random.Random(0)
    costs = [dice.random() for _ in range(40)]
    halves = [min(dice.sample(costs, 20)) - min(costs) for _ in range(4000)]
    assert prospect(*costs).gain(40) == pytest.approx(sum(halves) / len(halves), rel=0.15)


def paid(trials, objective=TWO_GOALS):
    """A prospect that knows trials of these scores and costs."""
    found = Prospect(objective)
    for number, (score, cost) in enumerate(trials):
        found.take(ended(number, Outcome.FINISHED, score, costs={"parameters": cost}))
    return found


def test_with_more_goals_it_is_the_mean_of_that_under_each_limit_of_the_costs():
    import random

    dice, worst = random.Random(0), 2.0
    trials = [(dice.random() + 10 / cost, cost) for cost in (10, 20, 40, 80) for _ in range(15)]
    trials[7] = (worst, 10)

    def best(known, limit):
        return min((score for score, cost in known if cost <= limit), default=worst)

    def gained(part):
        return fmean(best(part, limit) - best(trials, limit) for limit in (10, 20, 40, 80))

    halves = [gained(dice.sample(trials, 30)) for _ in range(4000)]
    assert paid(trials).gain(60) == pytest.approx(fmean(halves), rel=0.1)
    assert paid([(score, 10 * cost) for score, cost in trials]).gain(60) == paid(trials).gain(60)
    assert paid(trials, ONE_GOAL).gain(60) < paid(trials).gain(60)


def test_many_costs_are_looked_at_in_part_and_the_dearest_is_among_them():
    trials = [(1.0, cost) for cost in range(1000, 3000, 50)]
    assert paid(trials).gain(41) == 0
    assert paid([*trials, (0.0, 10**6)]).gain(41) == pytest.approx(0.5 / 7)


def test_who_was_stopped_counts_as_the_middle_one_of_those_that_finished():
    found = prospect(0.1, 0.2, 0.3, 0.3, 0.3, 0.3, 0.4, 0.5, 0.5, 0.6, 0.6, 9.0)
    assert found.gain(28) is None
    for number in range(16):
        found.take(ended(30 + number, Outcome.PRUNED, 1.0, 1.0))
        found.take(ended(60 + number, Outcome.FAILED))
    assert found.gain(28) == pytest.approx(
        0.1 / 4 + 0.2 * (1 / 8 + 1 / 16 + 1 / 32 + 1 / 64) + 0.3 / 64, rel=1e-3
    )


def test_a_search_that_gains_no_more_than_noise_stops_and_says_so(url):
    """Only the noise of the made-up curves is left to gain: the space is a point, nearly."""
    words = [
        "space.optimizer={one_of: {sgd: {lr: {log: [0.0199, 0.0201]}}}}",
        "pruner=none",
        "sampler=random",
    ]
    name, history = searched(url, "budget=200trainings", *words)
    assert history.forecast.over == GAIN
    assert spent(history) < 150
    assert len(history.standings[0].again) == 5
    is_sound(url, name)
    plan = ordered("budget=200trainings", *words)
    said = outlook.ended(plan, history)
    assert said.startswith(f"stopped after {len(history.searched)} of about ")
    assert "more are expected to better loss by " in said


def test_without_a_budget_all_trials_are_tried(url):
    words = [
        "space.optimizer={one_of: {sgd: {lr: {log: [0.0199, 0.0201]}}}}",
        "pruner=none",
        "sampler=random",
    ]
    _, history = searched(url, "trials=60", "confirm=0", *words)
    assert len(history.searched) == 60
    assert history.forecasts == []


def test_an_altered_plan_is_found_by_replay(url, tmp_path):
    import sqlite3

    name, _ = searched(url, "budget=12trainings")
    with sqlite3.connect(tmp_path / "hpo.db") as database:
        database.execute("UPDATE forecasts SET confirm = confirm + 1 WHERE seq = 1")
    database.close()
    assert [it.what for it in replay(ReplaySettings(name=name, store=url)).differences] == ["plan"]


def test_it_is_told_to_programs(url):
    from hpo.results.summary import describe

    name, history = searched(url, "budget=12trainings")
    ledger = Ledger(url)
    told_ = json.loads(json.dumps(describe(ledger.search(name), history)))
    ledger.close()
    assert told_["budget"]["limit"] == "12trainings"
    assert told_["budget"]["over"] == MONEY


@pytest.mark.slow
@pytest.mark.timeout(400)
def test_a_search_as_a_user_does_it(folder):
    done = folder.run("search", "recipe=linear", "epochs=4", "budget=9trainings", "workers=1", "--json")
    assert done.returncode == 0, done.stderr
    assert "budget=9trainings: about " in done.stderr
    found = json.loads(done.stdout)
    assert sum(trial["epochs"] for trial in found["trials"]) <= 9 * 4
    assert found["budget"]["over"] in (MONEY, GAIN)
    assert found["reason"] in folder.run("show", found["name"]).stdout.replace("\n", " ")
    assert folder.run("replay", found["name"]).returncode == 0


@pytest.mark.slow
@pytest.mark.timeout(400)
def test_a_clock_that_is_over_before_the_baseline_is_says_so(folder):
    done = folder.run("search", "recipe=linear", "budget=1s", "workers=1")
    assert done.returncode == 1
    assert "budget=1s was over first" in done.stderr
    later = folder.run("resume", "linear-1", "budget=10m", "trials=2")
    assert later.returncode == 0, later.stderr
