"""`hpo replay`: each decision recomputed from the ledger, and a trial trained again."""

import sqlite3
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace

import pytest
from simulation import Workers, in_peril, referee, run, started

from hpo.errors import InputError
from hpo.ledger import Ledger
from hpo.planning.ordering import order, order_training
from hpo.planning.plan import Plan
from hpo.replay import replay, retrain
from hpo.settings import ReplaySettings, SearchSettings, TrainSettings
from hpo.terminal.replaying import page
from hpo.worker.cohort import Job, prepare, train
from hpo.worker.line import Line

EPOCHS = 6
QUIET = SimpleNamespace(start=lambda *_: None, update=lambda *_: None, finish=lambda: None)


def again(url, name="cnn-1", trial=None):
    words = [name, f"store={url}", *([] if trial is None else [f"trial={trial}"])]
    settings = ReplaySettings.from_words(words)
    return replay(settings) if trial is None else retrain(settings, lambda _: QUIET)


def alter(tmp_path, change, *values):
    with sqlite3.connect(tmp_path / "hpo.db") as database:
        database.execute(change, values)
    database.close()


@pytest.mark.parametrize(
    "words", [(), ("sampler=tpe",), ("sampler=cmaes", "pruner=hyperband"), ("sampler=qmc",)]
)
def test_every_decision_of_a_search_in_company_comes_out_again(url, words):
    name = started(url, "trials=17", f"epochs={EPOCHS}", *words)
    run(url, name, Workers(2, EPOCHS, 3))
    found = again(url)
    assert found.differences == ()
    assert (found.proposals, found.expected) == (18, True)
    assert found.verdicts > 17
    assert "recomputed, all equal" in page(found).renderables[0].plain


def test_a_search_of_many_sessions_and_deaths_comes_out_again(url):
    name = started(url, "trials=16", f"epochs={EPOCHS}")
    for session in range(8):
        perils = in_peril(url, name, EPOCHS, session, deaths=3)
        if session:
            perils.judge.requeue()
        if perils.run(3, 60 if session < 7 else 10**5):
            break
    assert again(url).differences == ()


class TestAlteredLedger:
    @pytest.fixture
    def name(self, url):
        name = started(url, "trials=12", f"epochs={EPOCHS}", "sampler=random")
        run(url, name, Workers(2, EPOCHS))
        return name

    def test_another_proposal(self, url, name, tmp_path):
        alter(tmp_path, "UPDATE proposals SET origin = 'tpe' WHERE number = 7")
        found = again(url)
        (difference,) = found.differences
        assert (difference.trial, difference.what) == (7, "origin")
        assert (difference.recorded, difference.recomputed) == ("tpe", "random")
        assert not found.expected

    def test_another_verdict(self, url, name, tmp_path):
        """Who was stopped once has finished now: its own verdict differs, and no other."""
        ledger = Ledger(url)
        history = ledger.history(ledger.search(name))
        ledger.close()
        number, epoch = next((it.trial, it.epoch) for it in stops(history))
        alter(tmp_path, "UPDATE endings SET outcome = 'failed' WHERE trial = ?", number)
        (difference,) = again(url).differences
        assert (difference.trial, difference.epoch, difference.what) == (number, epoch, "verdict")
        assert (difference.recorded, difference.recomputed) == ("goes on", "stops")

    def test_a_clock_s_stop_is_counted_and_no_difference(self, url, name, tmp_path):
        alter(tmp_path, "UPDATE endings SET reason = 'timeout', outcome = 'pruned' WHERE trial = 0")
        found = again(url)
        assert found.beyond == {"timeout": 1}
        assert found.expected
        assert "1 trial stopped by the clock" in page(found).renderables[1].plain


def stops(history):
    return [trial.points[-1] for trial in history.ended if trial.outcome == "pruned"]


def trained(url, search):
    """Train the first cohort of a search here, and have a referee record it."""
    ledger = Ledger(url)
    search = ledger.create_search(on_this_machine(search))
    ledger.close()
    judge = referee(url, search.name)
    line = Line(lambda name, *words: getattr(judge, name)(*words))
    train(Job.of(Plan.of(search)), "c", line)
    judge.flush()


def on_this_machine(search):
    return replace(search, settings={**search.settings, "threads": 1, "device": "cpu"})


class TestTraining:
    """The curve of a real training, recorded by a real referee."""

    @pytest.fixture(params=[1, 2])
    def at_once(self, request, url):
        words = ["recipe=mlp", "space=sgd", "space.batch_size=32", "epochs=3", f"fuse={request.param}"]
        trained(url, order(SearchSettings.from_words(words)))
        return request.param

    def test_it_comes_out_again(self, url, tmp_path, at_once):
        found = again(url, "mlp-1", 0)
        assert (found.epochs, found.ending, found.expected) == (3, "", True)
        assert bool(found.reasons) == (at_once > 1)
        assert found.gap == 0 or found.reasons
        alter(tmp_path, "UPDATE points SET train_loss = train_loss * 1.1 WHERE trial = 0 AND epoch = 3")
        wrong = again(url, "mlp-1", 0)
        assert wrong.where == "train_loss, epoch 3"
        assert wrong.drift == pytest.approx(0.1 / 1.1)
        assert not wrong.expected

    def test_the_smallest_difference_is_one_where_bits_are_promised(self, url, tmp_path, at_once):
        alter(tmp_path, "UPDATE points SET score = score * (1 + 4e-16) WHERE trial = 0 AND epoch = 2")
        assert again(url, "mlp-1", 0).expected == (at_once > 1)

    def test_what_was_not_trained_is_said(self, url, at_once):
        with pytest.raises(InputError, match="There is no such trial"):
            again(url, "mlp-1", 99)


@pytest.fixture
def old(tmp_path, url):
    """A store whose search is older than some words of a configuration; its last trial is open."""
    text = Path(__file__).parents[1].joinpath("ledger", "revision_0001.sql").read_text(encoding="utf-8")
    with sqlite3.connect(tmp_path / "hpo.db") as database:
        database.executescript(text)
    database.close()
    return url


def test_a_trial_trains_again_with_the_defaults_of_words_that_are_younger(old):
    found = again(old, "linear-1", 0)
    assert (found.epochs, found.ending) == (3, "")
    assert found.drift < 1e-6


def test_a_trial_goes_on_with_the_defaults_of_words_that_are_younger(old):
    judge = referee(old, "linear-1")
    judge.requeue()
    (open_one,) = judge.ask("c", 1)
    vocabulary = Plan.of(Ledger(old).search("linear-1")).vocabulary
    assert open_one.config == vocabulary.defaults(open_one.config)


def test_a_divergence_comes_out_again(url):
    words = ["recipe=linear", "optimizer.lr=1e3", "epochs=20"]
    trained(url, order_training(TrainSettings.from_words(words)))
    found = again(url, "linear-1", 0)
    assert found.expected, found
    assert found.began.startswith("model (Linear) amplifies")
    assert "it diverged: model (Linear)" in page(found).renderables[1].plain
    assert again(url, "linear-1").differences == ()


def test_a_deterministic_search_holds_torch_to_it():
    import torch

    search = order(SearchSettings.from_words(["recipe=linear", "deterministic=true"]))
    job = Job.of(Plan.of(on_this_machine(search)))
    assert job.deterministic
    assert job.at_once == 1
    prepare(job)
    assert torch.are_deterministic_algorithms_enabled()
    torch.use_deterministic_algorithms(False)
