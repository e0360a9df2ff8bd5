"""`hpo train`: one configuration, in this process, in the same ledger and the same MLflow as a search."""

import json
import signal

import pytest
from mlflow.tracking import MlflowClient

from hpo import cli
from hpo.conductor import upload
from hpo.config import Config
from hpo.errors import InputError
from hpo.handover import chosen
from hpo.history import State
from hpo.ledger import Ledger
from hpo.planning.ordering import order_training
from hpo.planning.plan import Plan
from hpo.settings import NameSettings, TrainSettings
from hpo.trial import Outcome

PRINTED = {
    100: 0.0196622,
    200: 0.0105787,
    300: 0.0099683,
    400: 0.0099273,
    500: 0.0099246,
    600: 0.0099244,
    700: 0.0099244,
}


def ordered(*words):
    return order_training(TrainSettings.from_words(words))


def config(*words) -> Config:
    return Plan.of(ordered(*words)).baseline


def refusals(*words):
    with pytest.raises(InputError) as caught:
        ordered(*words)
    return {problem.where: problem.message for problem in caught.value.problems}


class TestWords:
    def test_what_is_left_open_is_as_in_the_baseline(self):
        found = config("recipe=cnn", "model.width=8")
        assert (found["optimizer"], found["optimizer.lr"], found["model.width"]) == ("sgd", 0.05, 8)

    def test_a_branch_that_is_named_anew_takes_its_own_defaults(self):
        found = config("recipe=cnn", "optimizer=adam", "optimizer.beta1=0.8")
        assert found.below("optimizer") == {
            "lr": 1e-3,
            "beta1": 0.8,
            "beta2": 0.999,
            "eps": 1e-8,
            "weight_decay": 0.0,
        }

    def test_a_branch_that_is_named_again_keeps_the_baseline_s_values(self):
        assert config("recipe=cnn", "optimizer=sgd") == config("recipe=cnn")

    def test_it_is_a_search_of_one_trial_whose_space_is_that_configuration(self):
        search = ordered("recipe=cnn", "optimizer=adamw", "clip_norm=1")
        plan = Plan.of(search)
        assert search.given
        assert plan.space.parameters == ()
        assert plan.setting("trials") == 1
        assert plan.baseline["clip_norm"] == 1

    def test_an_option_of_the_recipe_reaches_model_and_data(self):
        search = ordered("recipe=mlp", "recipe.table=wine")
        plan = Plan.of(search)
        assert plan.baseline["model.table"] == plan.data_options["table"] == "wine"

    def test_every_mistake_is_told_at_once_where_it_was_typed(self):
        found = refusals(
            "recipe=cnn",
            "optimizer=sgdd",
            "schedule.gama=1",
            "clip_norm=-1",
            "recipe.widht=3",
            "model.width=a",
        )
        assert list(found) == [
            "recipe.widht=3",
            "clip_norm=-1",
            "model.width=a",
            "optimizer=sgdd",
            "schedule.gama=1",
        ]
        assert "Did you mean sgd?" in found["optimizer=sgdd"]

    def test_contradictions_are_refused(self):
        found = refusals("recipe=cnn", "optimizer=lbfgs")
        assert found == {"optimizer + batch_size": "lbfgs needs all data at once: batch_size full."}

    def test_an_option_is_given_in_one_way_only(self):
        assert "model.width" in refusals("recipe=cnn", "recipe.width=8", "model.width=9")

    def test_keys_and_words_are_suggested(self):
        with pytest.raises(InputError) as caught:
            TrainSettings.from_words(["recipe=cnn", "epocs=3", "clipnorm=1"])
        assert [problem.message for problem in caught.value.problems] == [
            "Unknown key. Did you mean epochs?",
            "Unknown key. Did you mean clip_norm?",
        ]


@pytest.fixture(scope="module")
def trained(shared_folder):
    """The command of the table, run once for this module."""
    words = ("recipe=linear", "optimizer=sgd", "optimizer.lr=0.1", "schedule=constant", "name=line")
    return shared_folder.run("train", *words)


@pytest.fixture(scope="module")
def described(shared_folder, trained):
    return json.loads(shared_folder.run("show", "line", "--json").stdout)


def rows(text):
    """The lines that begin with an epoch."""
    split = (line.split() for line in text.splitlines())
    return {int(cells[0]): cells for cells in split if cells and cells[0].isdigit()}


@pytest.mark.xdist_group("train")
class TestATraining:
    @pytest.mark.parametrize("stream", ["stdout", "stderr"])
    def test_it_shows_the_losses_of_the_table(self, trained, stream):
        assert trained.returncode == 0, trained.stderr
        found = rows(getattr(trained, stream))
        assert list(found) == [*range(100, 1001, 100)]
        losses = {epoch: float(found[epoch][1]) for epoch in PRINTED}
        assert losses == pytest.approx(PRINTED, rel=0, abs=5e-7)

    def test_memory_is_predicted_before_and_measured_after(self, trained):
        assert trained.stderr.splitlines()[2].startswith("memory predicted 32 bytes")
        assert "measured 32 bytes" in " ".join(trained.stdout.split())

    def test_it_is_a_search_of_one_trial_by_name(self, described):
        assert (described["state"], described["counts"]) == ("finished", {"finished": 1})
        (trial,) = described["trials"]
        assert trial["origin"] == "given"
        assert trial["memory"]["predicted"] == trial["memory"]["measured"]

    def test_programs_get_every_epoch(self, described):
        points = described["trials"][0]["points"]
        assert [point["epoch"] for point in points] == list(range(1, 1001))
        assert points[99]["train_loss"] == pytest.approx(PRINTED[100], abs=5e-7)
        assert {"score", "lr", "grad_norm", "grad_norm_clipped", "clipped_share"} < points[0].keys()

    def test_mlflow_has_its_curve_and_its_memory(self, shared_folder, trained):
        client = MlflowClient(f"sqlite:///{shared_folder.path}/mlflow.db")
        experiment = client.get_experiment_by_name("linear").experiment_id
        (run,) = client.search_runs([experiment], "tags.`hpo.trial` = '0'")
        assert len(client.get_metric_history(run.info.run_id, "train_loss")) == 1000
        assert run.data.metrics["memory_predicted_total"] == run.data.metrics["memory_measured_total"] == 32
        assert run.data.metrics["memory_measured_state"] == 0

    def test_its_weights_stay_so_that_nobody_trains_it_again(self, shared_folder, trained):
        (kept,) = shared_folder.path.glob("hpo.db.checkpoints/line-*/*.safetensors")
        assert kept.stem == "0-1000"
        said = []
        words = NameSettings.from_words(["line", f"store={shared_folder.url}"])
        found = chosen.trained(chosen.chosen(words, None), said.append)
        assert said == []
        assert found.curve[-1].train_loss == pytest.approx(PRINTED[700], abs=5e-7)

    def test_it_is_exported_and_needs_no_resuming(self, shared_folder, trained):
        assert shared_folder.run("export", "line", "to=line.py").returncode == 0
        refused = shared_folder.run("resume", "line")
        assert (refused.returncode, "would end the same way again" in refused.stderr) == (2, True)


def test_a_divergence_says_at_which_step_and_is_not_repeated(folder):
    done = folder.run("train", "recipe=linear", "optimizer.lr=1e6")
    assert done.returncode == 1
    assert "linear-1: diverged: loss 1.573e+14 at epoch 2, step 0" in done.stderr
    assert "model (Linear) amplifies" in " ".join(done.stderr.split())
    again = folder.run("resume", "linear-1")
    assert again.returncode == 2
    assert "would end the same way" in again.stderr


MISTAKEN = '''
"""Three inputs for a model of four."""
import torch
from torch import nn
from torch.utils.data import TensorDataset
objective = "minimize loss"
epochs = 3
baseline = {"optimizer": "adam", "batch_size": 10}

class model(nn.Linear):
    def __init__(self):
        super().__init__(4, 1)
    def forward(self, inputs):
        return super().forward(inputs)  # line 14

def data():
    whole = TensorDataset(torch.randn(20, 3), torch.randn(20, 1))
    return {"train": whole, "validation": whole, "test": whole}

def loss(outputs, targets):
    return (outputs - targets).square().mean()
'''


def test_a_mistake_of_the_recipe_is_told_with_its_line(folder):
    path = folder.path / "mistaken.py"
    path.write_text(MISTAKEN)
    done = folder.run("train", "recipe=./mistaken.py")
    assert done.returncode == 1
    assert "mistaken-1: failed: RuntimeError: mat1 and mat2 shapes" in done.stderr
    assert f"({path}:14)" in done.stderr


@pytest.mark.slow
def test_ctrl_c_keeps_what_was_trained_and_resume_goes_on(folder):
    process = folder.start("train", "recipe=linear", "epochs=3000", "name=stopped")
    assert any(line.strip().startswith("500 ") for line in process.stderr)
    process.send_signal(signal.SIGINT)
    _, rest = process.communicate(timeout=60)
    assert process.returncode == 130
    assert "hpo resume stopped" in rest
    ledger = Ledger(folder.url)
    search = ledger.search("stopped")
    before = ledger.history(search).trials[0].points
    assert search.state is State.INTERRUPTED
    assert len(before) >= 500
    assert folder.run("resume", "stopped").returncode == 0
    (trial,) = ledger.history(search).trials.values()
    assert (trial.outcome, trial.epochs) == (Outcome.FINISHED, 3000)
    assert trial.points[: len(before)] == before
    ledger.close()


def test_a_training_whose_driver_died_after_its_last_word_is_brought_to_its_end(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    monkeypatch.delenv("HPO_STORE", raising=False)
    monkeypatch.setattr(upload.Upload, "start", lambda _: None)
    assert cli.main(["train", "recipe=linear", "epochs=2"]) == 0
    ledger = Ledger("sqlite:///hpo.db")
    before = ledger.records(ledger.search("linear-1"))
    ledger.close_session(1, State.INTERRUPTED)
    assert cli.main(["resume", "linear-1"]) == 0
    assert ledger.search("linear-1").state is State.FINISHED
    assert ledger.records(ledger.search("linear-1")) == before
    assert cli.main(["resume", "linear-1"]) == 2
    ledger.close()


def test_a_refusal_starts_nothing(tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    assert cli.main(["train", "recipe=linear", "optimizer.momentun=0.9"]) == 2
    assert "Did you mean momentum?" in capsys.readouterr().err
    assert not list(tmp_path.iterdir())
