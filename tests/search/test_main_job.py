"""The main job, as a user sees it: one command from an empty folder to a winner in plain PyTorch code."""

import json
import re
import subprocess
import sys

import mlflow
import pytest
from mlflow.tracking import MlflowClient

from hpo.ledger import Ledger
from hpo.trial import Outcome

TRIALS, EPOCHS = 8, 3

pytestmark = [
    pytest.mark.slow,
    pytest.mark.xdist_group("main job"),  # one search for the whole module
]


@pytest.fixture(scope="module")
def result(shared_folder):
    """One search, run once for this module."""
    return shared_folder.run("search", "recipe=cnn", f"trials={TRIALS}", f"epochs={EPOCHS}", "seed=3")


@pytest.fixture(scope="module")
def history(shared_folder, result):
    ledger = Ledger(shared_folder.url)
    yield ledger.history(ledger.search("cnn-1"))
    ledger.close()


@pytest.fixture(scope="module")
def client(shared_folder, result):
    uri = f"sqlite:///{shared_folder.path}/mlflow.db"
    mlflow.set_tracking_uri(uri)
    return MlflowClient(uri)


@pytest.fixture(scope="module")
def parent(client):
    return only(client, "tags.`hpo.search` = 'cnn-1' and attributes.run_name = 'cnn-1'")


def only(client, query):
    experiment = client.get_experiment_by_name("cnn")
    (run,) = client.search_runs([experiment.experiment_id], query)
    return run


class TestTheScreen:
    def test_it_ends_well(self, result):
        assert result.returncode == 0, result.stderr

    def test_one_line_for_each_trial_and_nothing_else(self, result):
        first, *lines = result.stderr.splitlines()
        assert first.startswith("cnn-1  cnn · minimize loss")
        assert len(lines) == TRIALS
        assert all(re.match(r"trial +\d+  (finished|pruned|diverged) ", line) for line in lines)

    def test_the_end_shows_the_best_beside_the_baseline_and_what_comes_next(self, result):
        assert "baseline (trial 0" in result.stdout
        assert "accuracy" in result.stdout
        for command in ("hpo export cnn-1 to=train_cnn-1.py", "hpo show cnn-1", "hpo ui"):
            assert command in result.stdout

    def test_nothing_is_left_behind_but_the_stores(self, shared_folder, result):
        assert {path.name for path in shared_folder.path.iterdir()} <= {
            "hpo.db",
            "hpo.db-shm",
            "hpo.db-wal",
            "mlflow.db",
            "mlruns",
            "train_cnn.py",
        }


class TestTheLedger:
    def test_every_trial_has_ended(self, history):
        assert sorted(history.trials) == list(range(TRIALS))
        assert not history.running

    def test_a_pruned_trial_keeps_its_curve_and_a_finished_one_all_epochs(self, history):
        for trial in history.trials.values():
            if trial.outcome is Outcome.FINISHED:
                assert trial.epochs == EPOCHS
            elif trial.outcome is Outcome.PRUNED:
                assert 0 < trial.epochs < EPOCHS

    def test_trial_0_is_the_baseline(self, history):
        assert history.trials[0].proposal.origin == "baseline"
        assert history.trials[0].outcome is Outcome.FINISHED


@pytest.fixture(scope="module")
def shown(shared_folder, result):
    return json.loads(shared_folder.run("show", "cnn-1", "--json").stdout)


class TestShow:
    def test_it_says_what_was_searched(self, shown):
        assert (shown["name"], shown["recipe"], shown["state"], shown["seed"]) == (
            "cnn-1",
            "cnn",
            "finished",
            3,
        )

    def test_its_trials_are_those_of_the_ledger(self, shown, history):
        assert len(shown["trials"]) == TRIALS
        for told in shown["trials"]:
            trial = history.trials[told["trial"]]
            assert told["outcome"] == trial.outcome
            assert told["score"] == trial.score
            assert told["epochs"] == trial.epochs
            assert told["config"] == dict(trial.proposal.config)

    def test_its_counts_add_up(self, shown):
        assert sum(shown["counts"].values()) == TRIALS

    def test_its_best_is_the_best_finished_trial(self, shown):
        finished = [trial for trial in shown["trials"] if trial["outcome"] == "finished"]
        assert shown["best"]["score"] == min(trial["score"] for trial in finished)

    def test_list_names_it(self, shared_folder, result):
        (listed,) = json.loads(shared_folder.run("list", "--json").stdout)
        assert listed["name"] == "cnn-1"


def test_an_audit_passes(shared_folder, result):
    audited = shared_folder.run("audit", "cnn-1", "--json")
    checks = json.loads(audited.stdout)
    assert [check for check in checks if not check["passed"]] == []
    assert audited.returncode == 0


class TestMlflow:
    def test_the_parent_holds_the_winner(self, parent, history):
        assert parent.info.status == "FINISHED"
        assert parent.data.tags["hpo.best_trial"] == str(history.best.number)
        assert parent.data.metrics["best_score"] == history.best.score

    def test_every_trial_is_a_child_with_its_config_and_outcome(self, client, parent, history):
        statuses = {Outcome.FINISHED: "FINISHED", Outcome.PRUNED: "KILLED", Outcome.DIVERGED: "FAILED"}
        for trial in history.trials.values():
            run = only(client, f"tags.`hpo.trial` = '{trial.number}' and tags.`hpo.search` = 'cnn-1'")
            assert run.data.tags["mlflow.parentRunId"] == parent.info.run_id
            assert run.info.status == statuses[trial.outcome]
            assert run.data.tags["hpo.outcome"] == trial.outcome
            assert run.data.params["optimizer.lr"] == str(trial.proposal.config["optimizer.lr"])

    def test_curves_are_those_of_the_ledger(self, client, history):
        run = only(client, "tags.`hpo.trial` = '0' and tags.`hpo.search` = 'cnn-1'")
        points = history.trials[0].points
        for metric, values in {
            "train_loss": [point.train_loss for point in points],
            "validation_loss": [point.loss for point in points],
            "validation_accuracy": [point.metrics["accuracy"] for point in points],
            "score": [point.score for point in points],
            "lr": [point.lr for point in points],
            "grad_norm": [point.grad_norm for point in points],
            "grad_norm_clipped": [point.clipped_norm for point in points],
            "epoch_seconds": [point.seconds for point in points],
        }.items():
            logged = client.get_metric_history(run.info.run_id, metric)
            assert [(point.step, point.value) for point in logged] == list(enumerate(values, start=1))


class TestExport:
    def test_the_script_repeats_the_winner_s_curve_digit_for_digit(self, shared_folder, history):
        exported = shared_folder.run("export", "cnn-1", "to=train_cnn.py")
        assert exported.returncode == 0, exported.stderr
        printed = subprocess.run(
            [sys.executable, "-I", "train_cnn.py"],
            cwd=shared_folder.path,
            capture_output=True,
            text=True,
            check=True,
        ).stdout
        rows = [
            line.split() for line in printed.splitlines() if line.split()[:1] and line.split()[0].isdigit()
        ]
        assert [[float(cell) for cell in row] for row in rows] == [
            [point.epoch, point.train_loss, point.loss, point.metrics["accuracy"], point.lr]
            for point in history.best.points
        ]

    def test_a_file_that_is_there_is_not_overwritten(self, shared_folder, result):
        (shared_folder.path / "train_cnn.py").touch()
        again = shared_folder.run("export", "cnn-1", "to=train_cnn.py")
        assert again.returncode == 2
        assert "left as it is" in again.stderr


class TestANameThatIsTaken:
    def test_it_is_refused(self, shared_folder, result):
        refused = shared_folder.run("search", "recipe=cnn", "name=cnn-1")
        assert refused.returncode == 2
        assert "hpo resume cnn-1" in refused.stderr

    def test_a_finished_search_needs_no_resuming(self, shared_folder, result):
        refused = shared_folder.run("resume", "cnn-1")
        assert refused.returncode == 2
        assert "is finished" in refused.stderr
