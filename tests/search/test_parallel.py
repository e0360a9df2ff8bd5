"""One trial on two workers, as a user sees it: in a search with pruning, and when a worker goes wrong."""

import subprocess
import sys
from pathlib import Path

import pytest

from hpo import recipe as recipes
from hpo.ledger import Ledger
from hpo.trial import Outcome

pytestmark = [pytest.mark.slow, pytest.mark.xdist_group("parallel")]

CHAOS = """
    import os
    from torch import distributed

    peer = distributed.is_initialized() and distributed.get_rank() == 1
    if width == 11 and peer and not os.path.exists("killed"):
        open("killed", "w").close()
        os.kill(os.getpid(), 9)
    if width == 12 and peer:
        raise ValueError("12 is not a width")
    if width == 13:
        raise ValueError("13 is not a width")

    return nn.Sequential(
"""
WORDS = (
    "workers=1",
    "workers_per_trial=2",
    "recipe.dropout=0.0",
    "space=sgd",
    "sampler=qmc",
    "trials=5",
    "epochs=3",
    "space.model.width={choice: [8, 11, 12, 13]}",
)


@pytest.fixture(scope="module")
def result(shared_folder):
    """One search, run once for this module."""
    source = recipes.names()["cnn"].read_text()
    (shared_folder.path / "mine.py").write_text(source.replace("\n    return nn.Sequential(\n", CHAOS))
    return shared_folder.run("search", "recipe=./mine.py", *WORDS)


@pytest.fixture(scope="module")
def history(shared_folder, result):
    ledger = Ledger(shared_folder.url)
    yield ledger.history(ledger.search("mine-1"))
    ledger.close()


def of_width(history, width):
    return [trial for trial in history.trials.values() if trial.proposal.config["model.width"] == width]


def test_it_ends_well(result):
    assert result.returncode == 0, result.stderr
    assert "Traceback" not in result.stderr


def test_trials_are_trained_and_pruned(history):
    assert history.trials[0].outcome is Outcome.FINISHED
    assert Outcome.PRUNED in {trial.outcome for trial in of_width(history, 8)}


def test_a_trial_whose_peer_is_killed_is_tried_again(history):
    trials = of_width(history, 11)
    assert {trial.outcome for trial in trials} <= {Outcome.FINISHED, Outcome.PRUNED}
    assert sorted(len({it.cohort for it in trial.attempts}) for trial in trials)[-2:] in ([2], [1, 2])


@pytest.mark.parametrize("width", [12, 13])
def test_an_error_of_any_worker_fails_the_trial_with_the_recipe_s_own_line(history, width):
    for trial in of_width(history, width):
        assert trial.outcome is Outcome.FAILED
        assert trial.ending.reason.startswith(f"ValueError: {width} is not a width (")
        assert "mine.py:" in trial.ending.reason
    assert of_width(history, width)


def test_the_exported_script_repeats_the_curve_in_one_process(shared_folder, history):
    exported = shared_folder.run("export", "mine-1", "to=train.py", "trial=0")
    assert exported.returncode == 0, exported.stderr
    assert "2 workers" in Path(shared_folder.path, "train.py").read_text().partition('"""\n')[0]
    command = [sys.executable, "-I", "train.py"]
    printed = subprocess.run(command, cwd=shared_folder.path, capture_output=True, text=True, check=True)
    rows = [list(map(float, line.split())) for line in printed.stdout.splitlines()[1:]]
    expected = [
        [it.epoch, it.train_loss, it.loss, it.metrics["accuracy"], it.lr] for it in history.trials[0].points
    ]
    assert len(rows) == len(expected) == 3
    for row, wanted in zip(rows, expected, strict=True):
        assert row == pytest.approx(wanted, rel=1e-4)
