"""What leaves opens elsewhere: a study in Optuna, tables in pandas; nothing that is there is touched."""

import math
from dataclasses import replace

import pandas as pd
import pytest
from made_up import ADAMW, SGD, Story, search
from optuna.distributions import FloatDistribution, distribution_to_json
from optuna.trial import TrialState

from hpo import cli
from hpo.ledger import Ledger
from hpo.results import frames
from hpo.trial import Outcome

LR = "optimizer.sgd.lr"
DRAWN = {LR: distribution_to_json(FloatDistribution(1e-3, 1.0, log=True))}


def story():
    told = Story()
    told.trial(Outcome.FINISHED, 0.9, 0.5)
    told.trial(Outcome.PRUNED, 0.95, config=ADAMW)
    told.trial(Outcome.FINISHED, 0.8, 0.25, config=SGD | {"batch_size": "full"})
    told.trial(Outcome.DIVERGED, 0.9, math.nan, reason="loss nan at epoch 2")
    told.trial(Outcome.FAILED, reason="RuntimeError: no")
    told.trial(None, 0.7)
    return told.history


class Fake:
    """A ledger that holds the story."""

    def __init__(self, url):
        self.url = url

    def search(self, name):
        return search()

    def history(self, _):
        told = story()
        for trial in told.trials.values():
            if trial.proposal.config["optimizer"] == "sgd":
                values = {"params": {LR: 0.05}, "distributions": DRAWN}
                trial.proposal = replace(trial.proposal, **values)
        return told


@pytest.fixture
def export(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr("hpo.handover.departure.Ledger", Fake)
    return lambda *words: cli.main(["export", "cnn-1", *words])


class TestOptuna:
    def test_a_study_opens_with_its_trials_under_their_numbers(self, export, load, capsys):
        assert export("as=optuna", "to=sqlite:///study.db") == 0
        assert "study cnn-1 with 6 trials" in capsys.readouterr().out
        study = load()
        done, cut, failed = TrialState.COMPLETE, TrialState.PRUNED, TrialState.FAIL
        assert [trial.state for trial in study.trials] == [done, cut, done, failed, failed, failed]
        assert [trial.number for trial in study.trials] == list(range(6))
        assert (study.best_trial.number, study.best_value) == (2, 0.25)
        assert study.direction.name == "MINIMIZE"

    def test_curves_parameters_and_causes_are_there(self, export, load):
        export("as=optuna", "to=sqlite:///study.db")
        trials = load().trials
        assert trials[0].intermediate_values == {1: 0.9, 2: 0.5}
        assert trials[1].intermediate_values == {1: 0.95}
        assert trials[0].params == {LR: 0.05}
        assert trials[0].distributions[LR] == FloatDistribution(1e-3, 1.0, log=True)
        assert trials[3].user_attrs["outcome"] == "diverged"
        assert trials[3].user_attrs["reason"] == "loss nan at epoch 2"
        assert trials[5].user_attrs["outcome"] == "running"
        assert trials[0].duration.total_seconds() == 2.0

    def test_a_sampler_goes_on_from_it(self, export, load):
        export("as=optuna", "to=sqlite:///study.db")
        study = load()
        assert 1e-3 <= study.ask().suggest_float(LR, 1e-3, 1.0, log=True) <= 1

    def test_the_same_study_is_not_written_twice(self, export, capsys):
        export("as=optuna", "to=sqlite:///study.db")
        assert export("as=optuna", "to=sqlite:///study.db") == 2
        assert "There is a study of this name in it" in capsys.readouterr().err

    def test_a_database_of_something_else_is_left_alone(self, export, tmp_path, capsys):
        other = Ledger("sqlite:///other.db")
        other.create_search(search())
        other.close()  # or its last words reach the file later
        before = (tmp_path / "other.db").read_bytes()
        assert export("as=optuna", "to=sqlite:///other.db") == 2
        assert "This database holds something else" in capsys.readouterr().err
        (tmp_path / "text.db").write_text("no database, as long as this " * 50)
        assert export("as=optuna", "to=sqlite:///text.db") == 2
        assert before == (tmp_path / "other.db").read_bytes()

    def test_a_file_s_name_is_no_address(self, export, capsys):
        assert export("as=optuna", "to=study.db") == 2
        assert "write to=sqlite:///study.db" in capsys.readouterr().err


@pytest.mark.parametrize(("form", "read"), [("csv", pd.read_csv), ("parquet", pd.read_parquet)])
class TestTables:
    def test_there_is_a_row_for_each_trial_and_for_each_epoch(self, form, read, export):
        assert export(f"as={form}", f"to=all.{form}") == 0
        trials, epochs = read(f"all.{form}"), read(f"all-epochs.{form}")
        assert trials["outcome"].tolist() == [
            "finished",
            "pruned",
            "finished",
            "diverged",
            "failed",
            "running",
        ]
        assert trials["score"].tolist()[:3] == [0.5, 0.95, 0.25]
        assert trials["optimizer"].tolist()[:2] == ["sgd", "adamw"]
        assert trials["batch_size"].astype(str).tolist()[2] == "full"
        assert epochs.groupby("trial").size().to_dict() == {0: 2, 1: 1, 2: 2, 3: 2, 5: 1}
        assert {"epoch", "score", "train_loss", "validation_loss", "lr", "grad_norm"} <= set(epochs.columns)

    def test_what_is_there_stays(self, form, read, export, tmp_path, capsys):
        (tmp_path / f"all-epochs.{form}").write_text("kept")
        assert export(f"as={form}", f"to=all.{form}") == 2
        assert f"all-epochs.{form}\n    This file exists" in capsys.readouterr().err
        assert not (tmp_path / f"all.{form}").exists()
        assert export(f"as={form}", f"to=no/all.{form}") == 2
        assert "Cannot write here" in capsys.readouterr().err


def test_a_search_without_trials_is_an_empty_table():
    assert frames.trials(search(), Story().history).empty
    assert frames.epochs(Story().history).empty


def test_an_unknown_form_is_refused(export, capsys):
    assert export("as=optnua", "to=x") == 2
    told = capsys.readouterr().err
    assert "as=optnua\n    Must be one of code, lightning, huggingface, " in told
    assert "got 'optnua'. Did you mean optuna?" in told
