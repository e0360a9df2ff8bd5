"""`hpo compress`: smaller forms of the winner, each made, measured and kept."""

import json

import pytest
import torch
from trained import TINY, Trained

from hpo import cli, recipe
from hpo.config import Config
from hpo.serving import Served
from hpo.serving.compressing import Pruning, _prune_channels, _prune_weights
from hpo.training.checkpoint import write_checkpoint
from hpo.training.engine import Member, Task
from hpo.training.execution import execute
from hpo.training.plain import train_model
from hpo.training.words import vocabulary_of

FORMS = ["float32", "int8-dynamic", "int8-static", "pruned-weights", "pruned-channels"]


@pytest.mark.slow
@pytest.mark.filterwarnings("ignore")
def test_each_form_is_measured_and_kept(tmp_path, monkeypatch, capsys):
    kept = {}
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr("hpo.handover.chosen.Ledger", Trained)
    monkeypatch.setattr(
        "hpo.tracking.attach",
        lambda search, paths, values, trial: kept.update(values, paths=paths) or "Kept.",
    )
    assert cli.main(["compress", "tiny-1", "to=small", "--json"]) == 0
    found = {it["name"]: it for it in json.loads(capsys.readouterr().out)}
    assert list(found) == FORMS
    assert [it["reason"] for it in found.values()] == [""] * 5
    assert all(it["latency"] > 0 and 0 < it["measured"]["accuracy"] <= 1 for it in found.values())
    assert found["pruned-channels"]["size"] < found["float32"]["size"]
    assert found["pruned-weights"]["zipped"] < found["float32"]["zipped"]
    assert kept["int8-static_bytes"] == found["int8-static"]["size"]
    assert len(kept["paths"]) == 5
    assert cli.main(["compress", "tiny-1", "to=small"]) == 2
    assert "This folder is not empty" in capsys.readouterr().err


@pytest.mark.parametrize("prune", [_prune_weights, _prune_channels])
def test_what_a_checkpoint_filled_goes_on_to_learn_slowly(prune, tmp_path):
    """Almost not at all here: what is left of it trains on to what it was, and the new head does not."""
    tiny, start = recipe.read(TINY.read_text(), str(TINY)), tmp_path / "start.safetensors"
    module = execute(tiny.source, tiny.path)
    filled = {name: item for name, item in module.model().state_dict().items() if not name.startswith("4.")}
    write_checkpoint(start, filled, {"recipe": "tiny"})
    values = {"start": str(start), "body_lr": 1e-9, "batch_size": 16}
    config = vocabulary_of(tiny).defaults(Config(values))
    task = Task(module, module.data(), tiny.objective, 1, seed=0)
    served = Served(train_model(task, Member(0, config)), task, (), lambda: None)
    pruned = prune(served, config, Pruning(0.5, 1)).model
    kept = {round(value, 4) for value in served.model[0].weight.flatten().tolist()} | {0.0}
    assert {round(value, 4) for value in pruned[0].weight.flatten().tolist()} <= kept
    assert not torch.isin(pruned[4].weight.round(decimals=4), served.model[4].weight.round(decimals=4)).all()


@pytest.mark.parametrize("share", ["0", "1", "half"])
def test_a_share_is_between_nothing_and_all(share, capsys):
    assert cli.main(["compress", "tiny-1", f"prune={share}"]) == 2
    assert "Must be a share between 0 and 1" in capsys.readouterr().err
