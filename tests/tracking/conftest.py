"""A search told by a list of records, and an MLflow store to send it to."""

from __future__ import annotations

import os
import shutil
from collections.abc import Iterator
from dataclasses import dataclass, field, replace
from pathlib import Path

import pytest

from hpo.config import Config
from hpo.history import Search, State
from hpo.recipe import Objective
from hpo.tracking.places import calm
from hpo.trial import Attempt, Ending, Outcome, Point, Proposal, Record

EPOCH_ZERO = 1_700_000_000.123


@dataclass
class Tape:
    """A ledger in memory; what is appended gets its number and time, as a ledger's writer gives them."""

    name: str = "cnn-1"
    created: float = EPOCH_ZERO
    state: State = State.RUNNING
    reason: str = ""
    tape: list[Record] = field(default_factory=list)
    uploaded: int = 0
    session: int = 1
    trials: int = 4

    def search(self, name: str) -> Search:
        return Search(
            name=self.name,
            recipe="cnn",
            path="recipes/cnn.py",
            source="epochs = 3\n",
            space="optimizer.lr: 0.1\n",
            objective=Objective("minimize", "loss"),
            settings={"trials": self.trials, "seed": 7, "pruner": None},
            versions={"torch": "2.13.0"},
            created=self.created,
            state=self.state,
            reason=self.reason,
            uploaded=self.uploaded,
            session=self.session,
        )

    def records(self, search: Search, after: int = 0) -> list[Record]:
        return self.tape[after:]

    def note_uploaded(self, search: Search, seq: int) -> None:
        self.uploaded = seq

    def append(self, record: Record) -> None:
        seq = len(self.tape) + 1
        self.tape.append(replace(record, seq=seq, at=self.created + seq / 7))

    def start(self, number: int, **config: float) -> None:
        origin = "tpe" if number else "baseline"
        values = {
            "optimizer": "sgd",
            "optimizer.lr": 0.1 / (number + 1),
            "model.bias": True,
            "clip_norm": None,
        }
        self.append(Proposal(number, Config(values | config), origin))
        self.append(Attempt(number, "host/12"))

    def point(self, number: int, epoch: int, loss: float) -> None:
        metrics = {"accuracy": 1 - loss / 10}
        self.append(Point(number, epoch, loss, loss, loss * 0.9, 0.1 / epoch, 3.0, 1.0, 0.25, metrics))

    def end(self, number: int, outcome: Outcome, score: float | None = None, reason: str = "") -> None:
        self.append(Ending(number, outcome, reason, score))

    def trial(self, number: int, losses: list[float], outcome: Outcome = Outcome.FINISHED) -> None:
        self.start(number)
        for epoch, loss in enumerate(losses, 1):
            self.point(number, epoch, loss)
        self.end(number, outcome, losses[-1])


@pytest.fixture
def new_tape() -> type[Tape]:
    """Make an empty search."""
    return Tape


@pytest.fixture
def tape() -> Tape:
    """A search with one trial of each outcome, and one that is under way."""
    tape = Tape()
    tape.trial(0, [3.0, 2.0, 2.5])
    tape.trial(1, [3.5], Outcome.PRUNED)
    tape.trial(2, [2.0, 1.5, 1.0])
    tape.start(3)
    tape.point(3, 1, 9.0)
    tape.point(3, 2, float("inf"))
    tape.end(3, Outcome.DIVERGED, float("nan"), "loss inf at epoch 2, step 3")
    tape.start(4)
    tape.end(4, Outcome.FAILED, None, "RuntimeError: no such layer")
    tape.start(5)
    tape.end(5, Outcome.LOST, None, "its worker died 3 times")
    tape.start(6)
    tape.point(6, 1, 2.9)
    return tape


@pytest.fixture(scope="session")
def template(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """An empty MLflow database with all its tables: to make one takes seconds, to copy one nothing."""
    calm()
    from mlflow import MlflowClient

    folder = tmp_path_factory.mktemp("mlflow")
    here = Path.cwd()
    os.chdir(folder)  # MLflow makes ./mlruns for the files
    try:
        # Absolute, because MLflow keeps one open store per address in a process.
        MlflowClient(f"sqlite:///{folder}/mlflow.db").search_experiments()
    finally:
        os.chdir(here)
    return folder / "mlflow.db"


@pytest.fixture
def uri(template: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[str]:
    """MLflow's own default store, in an empty folder that is the current one."""
    shutil.copy(template, tmp_path / "mlflow.db")
    monkeypatch.chdir(tmp_path)
    monkeypatch.delenv("MLFLOW_TRACKING_URI", raising=False)
    return f"sqlite:///{tmp_path}/mlflow.db"  # absolute, as above
