"""The best are trained again with fresh seeds, and these choose the winner."""

import math
from dataclasses import replace

import pytest
from simulation import Workers, history_of, in_peril, measured, referee, run, started, told

from hpo.audit import ledger as account
from hpo.errors import InputError
from hpo.ledger import Ledger
from hpo.planning.ordering import order
from hpo.planning.plan import Plan
from hpo.protocol import Answer
from hpo.replay import replay
from hpo.results.confirmation import interval
from hpo.settings import ReplaySettings, SearchSettings
from hpo.training import fused, plain
from hpo.training.engine import Member
from hpo.trial import CONFIRMATION, PROOF, SEED, TEST, Divergence, Ending, Outcome, Proposal
from hpo.worker import cohort, sizing
from hpo.worker.job import Job
from hpo.worker.preparation import prepare

EPOCHS = 4
WORDS = (f"epochs={EPOCHS}", "trials=12", "seed=5", "pruner=none", "confirm_seeds=3")


def begun(url, *words, rounds=1):
    """A search in which so many rounds have begun, and its name; who trained for it is gone."""
    name = started(url, *WORDS, *words)
    judge, workers = referee(url, name), Workers(1, EPOCHS)
    while True:
        run(url, name, workers, turns=1, judge=judge)
        history = history_of(url, name)
        if len(history.confirmations) > (rounds - 1) * len(history.candidates(3)):
            break
    judge = referee(url, name)
    judge.requeue()
    return name, judge


def confirmed(url, *words, size=1, workers=2):
    name = started(url, *WORDS, *words)
    run(url, name, Workers(workers, EPOCHS, size))
    return history_of(url, name)


@pytest.mark.parametrize("size", [1, 2, 16])
def test_the_best_three_and_the_baseline_train_with_each_fresh_seed(url, size):
    history = confirmed(url, size=size)
    best = {trial.proposal.config for trial in [*history.ranking[:3], history.trials[0]]}
    pairs = [(trial.proposal.config, trial.proposal.seed) for trial in history.confirmations]
    assert sorted(pairs, key=str) == sorted(((it, seed) for it in best for seed in (6, 7, 8)), key=str)
    assert {trial.outcome for trial in history.confirmations} == {Outcome.FINISHED}
    assert len(history.searched) == 12


def test_fresh_seeds_choose_the_winner(url):
    history = confirmed(url)
    standings = history.standings
    assert [it.median for it in standings] == sorted(it.median for it in standings)
    assert history.best is standings[0].trial
    assert history.proof.proposal.config == history.best.proposal.config
    assert account.read(url, "cnn-1").winner == history.best.number


def test_a_lucky_trial_does_not_win(url):
    """Noise makes the winner of the search; with other noise another one is better."""
    words = [word for word in WORDS if not word.startswith("seed=")]
    names = [started(url, *words, f"seed={seed}") for seed in range(4)]
    for name in names:
        run(url, name, Workers(2, EPOCHS))
    histories = [history_of(url, name) for name in names]
    assert any(it.best is not it.ranking[0] for it in histories)


def test_who_trains_together_has_one_seed(url):
    name = started(url, *WORDS)
    judge = referee(url, name)
    searched = judge.ask("all", 99)
    for epoch in range(1, EPOCHS + 1):
        kept = judge.report([measured(it.number, it.config, epoch) for it in searched]).on
        searched = [it for it in searched if it.number in kept]
    judge.tell([Ending(it.number, Outcome.FINISHED) for it in searched])
    for name, seed in (("a", 6), ("b", 7), ("c", 8)):
        assert {trial.seed for trial in judge.ask(name, 99)} == {seed}
    assert judge.ask("d", 99) == []


def test_a_referee_that_dies_while_confirming_changes_nothing(url):
    whole, broken = started(url, *WORDS), started(url, *WORDS)
    run(url, whole, Workers(2, EPOCHS, 3))
    workers = Workers(2, EPOCHS, 3)
    while run(url, broken, workers, turns=3):
        pass
    assert told(url, broken) == told(url, whole)


@pytest.mark.parametrize("seed", range(3))
def test_whoever_dies_confirming_comes_to_its_end(url, seed):
    name = started(url, *WORDS)
    assert in_peril(url, name, EPOCHS, seed, deaths=12).run(workers=3, turns=3000)
    history = history_of(url, name)
    assert len(history.confirmations) == len(
        {(t.proposal.config, t.proposal.seed) for t in history.confirmations}
    )
    assert not history.running
    found = account.read(url, name)
    assert [check.faults for check in found.checks if not check.passed] == []


def test_what_does_not_end_with_every_seed_stands_behind(url):
    name, judge = begun(url)
    first = history_of(url, name).candidates(3)[0].proposal.config
    for number in range(99):
        for trial in judge.ask(f"again {number}", 1):
            if trial.config == first and trial.seed == 7:
                judge.report([Divergence(trial.number, 1, 0, math.inf, 1.0)])
                continue
            for epoch in range(1, EPOCHS + 1):
                judge.report([measured(trial.number, trial.config, epoch, trial.seed or "")])
            judge.tell([Ending(trial.number, Outcome.FINISHED)])
    judge.flush()
    last = history_of(url, name).standings[-1]
    assert last.trial.proposal.config == first
    assert not last.sound
    assert math.isnan(last.scores[7])
    assert account.read(url, name).winner == history_of(url, name).best.number


def test_with_more_trials_a_new_best_is_confirmed_beside_the_old(url):
    name = started(url, *WORDS, "sampler=random")
    run(url, name, Workers(2, EPOCHS))
    ledger = Ledger(url)
    before = {it.proposal.config for it in ledger.history(ledger.search(name)).confirmations}
    ledger.note_settings(ledger.search(name), {"trials": 60})
    ledger.close()
    again = Workers(2, EPOCHS)
    again.cohorts = 1000
    run(url, name, again)
    history = history_of(url, name)
    assert len(history.searched) == 60
    now = {it.proposal.config for it in history.confirmations}
    assert before < now
    assert {it.trial.proposal.config for it in history.standings} == now
    assert account.read(url, name).winner == history.best.number


def test_a_deterministic_search_goes_on_after_it_was_confirmed(url):
    words = [word for word in WORDS if not word.startswith("trials")]
    name = started(url, *words, "trials=6", "deterministic=true", lag=2)
    run(url, name, Workers(2, EPOCHS))
    ledger = Ledger(url)
    ledger.note_settings(ledger.search(name), {"trials": 9})
    ledger.close()
    again = Workers(2, EPOCHS)
    again.cohorts = 1000
    run(url, name, again)
    assert len(history_of(url, name).searched) == 9
    settings = ReplaySettings.from_words([name, f"store={url}"])
    assert replay(settings).differences == ()


def test_when_the_time_is_over_only_whole_rounds_count(url):
    name, judge = begun(url, "timeout=1h", rounds=2)
    judge._records.meter.clock.put(3601)
    for number in range(9):
        for trial in judge.ask(f"late {number}", 1):
            judge.report([measured(trial.number, trial.config, 1, trial.seed or "")])
    judge.flush()
    history = history_of(url, name)
    assert not history.running
    assert [list(it.again) for it in history.standings] == [[6]] * len(history.candidates(3))
    assert account.read(url, name).winner == history.best.number


def test_a_part_of_the_time_is_kept_for_confirming(url):
    name = started(url, *WORDS, "timeout=10s")
    judge = referee(url, name)
    (trial,) = judge.ask("c", 1)
    for epoch in range(1, EPOCHS + 1):
        point = measured(trial.number, trial.config, epoch)
        judge.report([replace(point, seconds=0.1)])
    judge.tell([Ending(trial.number, Outcome.FINISHED)])
    assert judge._records.spending.kept == pytest.approx(
        0.4 * (8 + 1)
    )  # a third seed would take more than half
    judge._records.meter.clock.put(7)  # leaves less than is kept
    (again,) = judge.ask("d", 1)
    assert again.confirms


@pytest.mark.parametrize(
    ("words", "count"),
    [
        ([], 5),
        (["trials=23"], 0),
        (["trials=24"], 2),
        (["trials=48"], 4),
        (["trials=500"], 5),
        (["trials=2", "confirm_seeds=7"], 7),
        (["confirm=0"], 0),
        (["confirm=9"], 2),
    ],
)
def test_how_many_seeds_follows_from_the_trials(words, count):
    plan = Plan.of(order(SearchSettings.from_words(["recipe=cnn", "seed=3", *words])))
    assert list(plan.fresh_seeds) == list(range(4, 4 + count))


@pytest.mark.parametrize("word", ["confirm=-1", "confirm=some", "confirm_seeds=0", "confirm_seeds=few"])
def test_numbers_that_are_none_are_refused(word):
    with pytest.raises(InputError, match="ust be"):
        SearchSettings.from_words(["recipe=cnn", word])


def test_every_choice_comes_out_again(url):
    history = confirmed(url, size=3)
    found = replay(ReplaySettings.from_words(["cnn-1", f"store={url}"]))
    assert found.differences == ()
    assert found.proposals == len(history.trials) == 12 + len(history.confirmations) + 1


def test_an_interval_is_student_s():
    assert interval([1, 2, 3, 4, 5]) == pytest.approx((3 - 1.96324, 3 + 1.96324), abs=1e-4)
    assert interval([1.0]) is None
    assert interval([1.0, math.nan]) is None


class Record:
    """A referee that lets all go on, and keeps what it is told."""

    def __init__(self):
        self.points = []

    def attempt(self, *_): ...

    def tell(self, _): ...

    def report(self, reports):
        self.points += reports
        return Answer([report.trial for report in reports])


@pytest.fixture
def job():
    words = ["recipe=mlp", "space=sgd", "epochs=2", "recipe.width=8"]
    search = order(SearchSettings.from_words(words))
    plan = Plan.of(replace(search, settings={**search.settings, "threads": 1, "device": "cpu"}))
    return Job.of(plan)


def curve(points, trial=0):
    return [(point.score, point.train_loss) for point in points if point.trial == trial]


@pytest.mark.parametrize("at_once", [1, 2])
def test_a_confirmation_trains_with_its_own_seed(job, at_once):
    record, other = Record(), job.baseline | {"optimizer.lr": 0.03}
    trials = [
        Proposal(number, config, CONFIRMATION, notes={SEED: 7})
        for number, config in enumerate([job.baseline, other][:at_once])
    ]
    cohort.run(job, trials, record, cohort.Way(sizing.ONE._replace(size=at_once)))
    engine = plain.train if at_once == 1 else fused.train
    members = [Member(trial.number, trial.config) for trial in trials]
    expected = [it for points in engine(replace(prepare(job), seed=7), members) for it in points]
    assert curve(record.points) == curve(expected)
    assert curve(record.points) != curve(engine_points(job, members, engine))


def engine_points(job, members, engine):
    return [it for points in engine(prepare(job), members) for it in points]


@pytest.mark.parametrize(("origin", "tested"), [(PROOF, True), (CONFIRMATION, False), ("blend", False)])
def test_only_the_proof_sees_the_test_data_and_only_at_its_end(job, origin, tested):
    record = Record()
    cohort.run(job, [Proposal(0, job.baseline, origin)], record)
    assert [TEST in point.notes for point in record.points] == [False, tested]
    if tested:
        assert record.points[-1].notes[TEST].keys() == {"loss", "accuracy"}
