"""A deterministic search ends with the same trials, curves and winner, whoever dies or is faster."""

import json
import os
import random
import signal
import sqlite3
import time

import pytest
from simulation import Workers, history_of, in_peril, referee, run, started, told

from hpo.errors import InputError
from hpo.ledger import Ledger
from hpo.planning.ordering import order
from hpo.replay import replay
from hpo.settings import PrunerName, ReplaySettings, SamplerName, SearchSettings
from hpo.trial import Ending, Outcome

EPOCHS, TRIALS, WORKERS, LAG = 6, 18, 3, 3

COMBINATIONS = [
    *((sampler, "halving") for sampler in SamplerName.__args__),
    ("blend", "ladder"),
    *(("tpe", pruner) for pruner in PrunerName.__args__ if pruner != "halving"),
]


def searched(url, *words, seed, stops=0, deaths=0, workers=WORKERS):
    """Search with a timing that follows from the seed and the driver killed so often; return what it told."""
    fixed = ("deterministic=true", f"epochs={EPOCHS}", "seed=5")
    name = started(url, *fixed, *words, lag=LAG)
    dice = random.Random(seed)
    for session in range(stops + 1):
        perils = in_peril(url, name, EPOCHS, dice.random(), deaths, size=1)
        if session:
            perils.judge.requeue()
        if perils.run(workers, dice.randint(1, 150) if session < stops else 10**5):
            assert replay(ReplaySettings(name=name, store=url)).expected
            return told(url, name)
    raise AssertionError(f"search with seed {seed} did not come to its end")


@pytest.mark.slow
@pytest.mark.parametrize(("sampler", "pruner"), COMBINATIONS)
def test_whoever_is_faster_and_whatever_dies_the_search_is_the_same(url, sampler, pruner):
    trials = 14 if sampler == "gp" else TRIALS  # a proposal of it takes long
    words = (f"sampler={sampler}", f"pruner={pruner}", f"trials={trials}")
    whole = searched(url, *words, seed=0)
    assert len(whole) == trials
    minds = ("prior", "random", "near", "model", "switch")
    assert whole[-1][0] in (minds if sampler == "blend" else (sampler,))
    assert searched(url, *words, seed=2, stops=4, deaths=2) == whole


def test_more_workers_than_before_change_nothing(url):
    words = f"trials={TRIALS}"
    assert searched(url, words, seed=3, stops=1, workers=5) == searched(url, words, seed=0, workers=1)


def test_a_clock_or_company_and_a_rule_do_not_go_together():
    words = ("recipe=cnn", "deterministic=true", "timeout=10m", "fuse=8")
    with pytest.raises(InputError) as refused:
        order(SearchSettings.from_words(words))
    assert [problem.where for problem in refused.value.problems] == ["timeout=600", "fuse=8"]
    assert order(SearchSettings.from_words(words[:2])).settings["fuse"] == "auto"


def failing(judge, dice):
    """Let two trials at a time fail, in any order."""
    open_trials, count = [], 0
    while not judge.exhausted:
        if judge.ready and len(open_trials) < 2:
            count += 1
            open_trials += judge.ask(f"c{count}", 1)
        else:
            trial = open_trials.pop(dice.randrange(len(open_trials)))
            judge.tell([Ending(trial.number, Outcome.FAILED, "no module named x" if trial.number else "odd")])
    judge.flush()


@pytest.mark.parametrize("seed", range(3))
def test_a_search_that_fails_all_the_time_is_given_up_at_the_same_trial(url, seed):
    name = started(url, "deterministic=true", "trials=30", lag=4)
    failing(referee(url, name), random.Random(seed))
    assert len(told(url, name)) == 1 + 3 + 3


@pytest.mark.parametrize("seed", range(3))
def test_so_is_one_that_was_confirmed_and_goes_on(url, seed):
    """Confirmations and the proof have numbers, too; how far a proposal looks back is counted in these."""
    name = started(url, "deterministic=true", "trials=6", "epochs=2", "confirm_seeds=2", lag=4)
    run(url, name, Workers(1, 2))
    before = history_of(url, name)
    assert before.confirmations
    ledger = Ledger(url)
    ledger.note_settings(ledger.search(name), {"trials": 40})
    ledger.close()
    failing(referee(url, name), random.Random(seed))
    assert len(told(url, name)) == len(before.trials) + 3 + 3


def curves(folder, name):
    """All that a search decided and measured, but for times, as text."""
    with sqlite3.connect(folder.path / "hpo.db") as database:
        [(search,)] = database.execute("SELECT id FROM searches WHERE name = ?", (name,))
        rows = [
            database.execute(f"SELECT {columns} FROM {table} WHERE search_id = ? ORDER BY 1, 2", (search,))
            for table, columns in COLUMNS.items()
        ]
        found = [row for selected in rows for row in selected]
    database.close()
    return found


COLUMNS = {
    "proposals": "number, origin, config, params, distributions, notes",
    "points": "trial, epoch, score, loss, train_loss, lr, grad_norm, clipped_norm, clipped_share, grad_mean, "
    "grad_std, metrics, notes",
    "endings": "trial, outcome, reason, score, notes",
}


@pytest.mark.slow
@pytest.mark.timeout(400)
def test_killed_and_resumed_it_is_byte_for_byte_what_it_would_have_been(folder):
    words = ("search", "recipe=mlp", "trials=16", "epochs=3", "workers=2", "deterministic=true")
    whole = folder.run(*words, "name=whole")
    assert whole.returncode == 0, whole.stderr
    process = folder.start(*words, "name=broken")
    wait_for_endings(folder, process, 6)
    os.killpg(process.pid, signal.SIGKILL)
    process.communicate()
    resumed = folder.run("resume", "broken")
    assert resumed.returncode == 0, resumed.stderr
    assert len(curves(folder, "whole")) > 48
    assert curves(folder, "broken") == curves(folder, "whole")
    replayed = folder.run("replay", "broken")
    assert "16 proposals" in replayed.stdout
    assert "all equal" in replayed.stdout
    again = json.loads(folder.run("replay", "broken", "trial=0", "--json").stdout)
    assert (again["gap"], again["expected"]) == (0.0, True)


def wait_for_endings(folder, process, count):
    """Wait until so many trials of the second search have ended."""
    for _ in range(1200):
        with sqlite3.connect(folder.path / "hpo.db") as database:
            [(ended,)] = database.execute("SELECT count(*) FROM endings WHERE search_id = 2")
        database.close()
        if ended >= count:
            return
        assert process.poll() is None, process.communicate()
        time.sleep(0.05)
    raise TimeoutError
