"""Files and figures that come after a search lie on its run, those of no winner apart from its winner's."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from hpo.tracking.attaching import attach
from hpo.tracking.places import open_store

if TYPE_CHECKING:
    import pytest
    from conftest import Tape


def test_another_trial_takes_nothing_from_the_winner(
    tape: Tape, uri: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("MLFLOW_TRACKING_URI", uri)
    file, search = tmp_path / "cnn.onnx", tape.search("cnn-1")
    for text, bytes_, trial in (("winner", 3.0, None), ("other", 9.0, 7)):
        file.write_text(text)
        told = attach(search, [file], {"float32_bytes": bytes_}, trial)
        assert f"cnn.onnx in served/{'trial-7/' if trial else ''}, among" in told
    client = open_store(uri)
    [run] = client.search_runs([client.get_experiment_by_name("cnn").experiment_id])
    assert run.data.metrics == {"float32_bytes": 3.0, "trial-7_float32_bytes": 9.0}
    for place, text in {"cnn.onnx": "winner", "trial-7/cnn.onnx": "other"}.items():
        assert Path(client.download_artifacts(run.info.run_id, f"served/{place}")).read_text() == text
