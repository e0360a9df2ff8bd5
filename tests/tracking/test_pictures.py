"""When a search is over, its pictures lie with its parent run; that they cannot be drawn stops nothing."""

from __future__ import annotations

import sys
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from hpo import recipe
from hpo.history import Search, State
from hpo.tracking import sync
from hpo.trial import Attempt, Outcome, Proposal

if TYPE_CHECKING:
    from conftest import Tape


def parent(uri: str) -> Any:
    from mlflow import MlflowClient

    client = MlflowClient(uri)
    experiment = client.get_experiment_by_name("cnn").experiment_id
    (run,) = client.search_runs([experiment], "attributes.run_name = 'cnn-1'")
    return run


def pictures(uri: str) -> dict[str, float]:
    """The files on the parent run and when they were written."""
    folder = Path(parent(uri).info.artifact_uri) / "pictures"
    return {path.name: path.stat().st_mtime_ns for path in folder.glob("*")}


@pytest.fixture
def real(new_tape: type[Tape]) -> Tape:
    """A search over a real recipe, told by hand."""
    found = recipe.find("linear")

    class Real(new_tape):  # type: ignore[valid-type,misc]
        def search(self, name: str) -> Search:
            settings = {"trials": 2, "epochs": 3, "seed": 0, "threads": 1, "device": "cpu", "sampler": "tpe"}
            facts = {"source": found.source, "path": found.path, "space": "schedule: cosine\n"}
            return replace(super().search(name), settings=settings, **facts)

    tape: Tape = Real()
    for number in (0, 1):
        tape.append(Proposal(number, found.baseline, "tpe"))
        tape.append(Attempt(number, "host/1"))
        for epoch in (1, 2, 3):
            tape.point(number, epoch, 1 / epoch)
        tape.end(number, Outcome.FINISHED, 1 / 3)
    return tape


def test_they_lie_with_the_parent_run_once_the_search_is_over(real: Tape, uri: str) -> None:
    sync(real, real.name, uri)
    assert pictures(uri) == {}
    real.state = State.FINISHED
    sync(real, real.name, uri)
    assert pictures(uri).keys() == {"schedules.png", "losses.png", "gradient_norms.png", "fit.png"}
    assert "batch_norm not drawn: the model has no batch" in parent(uri).data.tags["hpo.pictures"]
    page = (Path(parent(uri).info.artifact_uri) / "report.html").read_text(encoding="utf-8")
    assert "Trial 0 is the best: loss 0.333" in page


def test_they_are_drawn_again_only_for_new_records(real: Tape, uri: str) -> None:
    real.state = State.FINISHED
    sync(real, real.name, uri)
    before = pictures(uri)
    sync(real, real.name, uri)
    assert pictures(uri) == before
    real.append(Proposal(2, real.tape[0].config, "tpe"))
    sync(real, real.name, uri)
    after = pictures(uri)
    assert all(after[name] > before[name] for name in before)


def test_what_cannot_be_drawn_is_told_and_stops_nothing(tape: Tape, uri: str) -> None:
    tape.state = State.FINISHED
    assert sync(tape, tape.name, uri) == len(tape.tape)
    run = parent(uri)
    assert run.info.status == "FINISHED"
    assert run.data.tags["hpo.pictures"].startswith("not drawn: recipes/cnn.py  model")


def test_a_drawing_library_that_is_out_of_order_costs_the_pictures_alone(
    real: Tape, uri: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(sys.modules, "hpo.pictures", None)  # to import it fails
    real.state = State.FINISHED
    assert sync(real, real.name, uri) == len(real.tape)
    run = parent(uri)
    assert run.info.status == "FINISHED"
    assert "ModuleNotFoundError" in run.data.tags["hpo.pictures"]
    assert Path(run.info.artifact_uri, "report.html").exists()
