"""The winner in MLflow's registry: champion, loaded where there is no hpo, and stepping back."""

import os
import subprocess
import sys

import pytest
import torch
from trained import Trained

from hpo import cli
from hpo.handover.chosen import chosen, trained
from hpo.settings import PromoteSettings
from hpo.tracking.registry import register, roll_back

LOAD = """
import sys
sys.modules["hpo"] = None  # cannot be imported
import mlflow, torch
from mlflow import MlflowClient
model = mlflow.pytorch.load_model("models:/tiny@champion")
print(tuple(model(torch.zeros(7, 5)).shape))
info = mlflow.models.get_model_info("models:/tiny@champion")
print(info.signature.inputs.inputs[0].shape, bool(info.saved_input_example_info))
version = MlflowClient().get_model_version_by_alias("tiny", "champion")
print(version.version, version.tags["hpo.search"], version.tags["hpo.trial"])
"""


@pytest.mark.slow
@pytest.mark.timeout(600)
@pytest.mark.filterwarnings("ignore")
def test_a_champion_is_promoted_loaded_without_hpo_and_rolled_back(tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    monkeypatch.delenv("MLFLOW_TRACKING_URI", raising=False)
    monkeypatch.setattr("hpo.handover.chosen.Ledger", Trained)
    assert cli.main(["promote", "tiny-1"]) == 0
    assert "Version 1 of tiny is the champion." in capsys.readouterr().out
    environment = {**os.environ, "MLFLOW_TRACKING_URI": "sqlite:///mlflow.db"}
    environment["MLFLOW_ALLOW_PICKLE_DESERIALIZATION"] = "false"
    loaded = subprocess.run([sys.executable, "-c", LOAD], env=environment, capture_output=True, text=True)
    assert loaded.stdout.splitlines()[-3:] == ["(7, 3)", "(-1, 5) True", "1 tiny-1 0"], loaded.stderr
    assert cli.main(["rollback", "tiny"]) == 2
    assert "No version was champion before this one." in capsys.readouterr().err
    assert cli.main(["promote", "tiny-1", "trial=0"]) == 0
    assert "Version 2 of tiny is the champion. It was version 1." in capsys.readouterr().out
    assert cli.main(["rollback", "tiny"]) == 0
    assert "Version 1 of tiny is the champion. It was version 2." in capsys.readouterr().out
    assert cli.main(["rollback", "teeny"]) == 2
    assert "There is no registered model of this name" in capsys.readouterr().err


def test_nothing_is_trained_for_a_registry_that_does_not_answer(monkeypatch, capsys):
    monkeypatch.setattr("hpo.handover.chosen.Ledger", Trained)
    monkeypatch.setattr("hpo.handover.promotion.trained", lambda *_: pytest.fail("trained"))
    assert cli.main(["promote", "tiny-1", "tracking=http://127.0.0.1:9"]) == 1
    assert "MLflow: " in capsys.readouterr().err


@pytest.mark.slow
@pytest.mark.timeout(600)
@pytest.mark.filterwarnings("ignore")
def test_each_version_keeps_its_own_weights_and_a_step_back_brings_back_the_first(tmp_path, monkeypatch):
    from mlflow import pytorch

    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr("hpo.handover.chosen.Ledger", Trained)
    store = f"sqlite:///{tmp_path}/mlflow.db"
    monkeypatch.setenv("MLFLOW_TRACKING_URI", store)
    found = chosen(PromoteSettings(name="tiny-1"), None)
    served = trained(found, lambda _: None)
    first = served.outputs(served.inputs)
    register(found.plan.search, "tiny", served, {}, store)
    for weight in served.model.parameters():
        weight.data.zero_()
    register(found.plan.search, "tiny", served, {}, store)
    assert roll_back("tiny", store).version == 1
    champion = pytorch.load_model("models:/tiny@champion")
    assert torch.equal(champion(served.inputs), first)
