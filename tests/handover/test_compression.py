"""`hpo compress`: smaller forms of the winner, each made, measured and kept."""

import json

import pytest
from trained import Trained

from hpo import cli

FORMS = ["float32", "int8-dynamic", "int8-static", "pruned-weights", "pruned-channels"]


@pytest.mark.slow
@pytest.mark.filterwarnings("ignore")
def test_each_form_is_measured_and_kept(tmp_path, monkeypatch, capsys):
    kept = {}
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr("hpo.chosen.Ledger", Trained)
    monkeypatch.setattr(
        "hpo.tracking.attach", lambda search, paths, values: kept.update(values, paths=paths) or "Kept."
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


@pytest.mark.parametrize("share", ["0", "1", "half"])
def test_a_share_is_between_nothing_and_all(share, capsys):
    assert cli.main(["compress", "tiny-1", f"prune={share}"]) == 2
    assert "Must be a share between 0 and 1" in capsys.readouterr().err
