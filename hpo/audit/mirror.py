"""MLflow's side of an audit: whether it shows each trial once, as the ledger tells it, and nothing else."""

from __future__ import annotations

import math
import os
from collections.abc import Iterator, Mapping, Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Final

os.environ.setdefault("MLFLOW_HTTP_REQUEST_MAX_RETRIES", "0")  # read when MLflow is imported
os.environ.setdefault("MLFLOW_HTTP_REQUEST_TIMEOUT", "15")

from mlflow import MlflowClient
from mlflow.entities import Run
from mlflow.exceptions import MlflowException
from sqlalchemy.exc import SQLAlchemyError

from hpo.audit.check import Check
from hpo.audit.ledger import Account
from hpo.errors import without_password

_STATUS: Final = {"finished": "FINISHED", "pruned": "KILLED", "interrupted": "KILLED"}  # any other: FAILED
_CURVES: Final = {
    "score": "score",
    "train_loss": "train_loss",
    "validation_loss": "loss",
    "lr": "lr",
    "grad_norm": "grad_norm",
    "grad_norm_clipped": "clipped_norm",
    "clipped_share": "clipped_share",
    "grad_mean": "grad_mean",
    "grad_std": "grad_std",
    "epoch_seconds": "seconds",
}
_PAGE: Final = 1000

Curve = Mapping[int, float]


def examine(account: Account, tracking: str) -> list[Check]:
    """Compare a search's runs with its ledger; where MLflow has no file, none is made."""
    file = tracking.removeprefix("sqlite:///")
    if tracking.startswith("sqlite:///") and not Path(file).exists():
        missing = f"there is no file {file}; hpo sync {account.name} makes it"
        return [Check("MLflow: it can be read", 1, [missing])]
    try:
        client = MlflowClient(tracking)
        return list(_examine(account, client))
    except (MlflowException, OSError, SQLAlchemyError) as error:
        said = f"{type(error).__name__}: {without_password(str(error).strip().partition(chr(10))[0])}"
        return [Check("MLflow: it can be read", 1, [said])]


def _examine(account: Account, client: MlflowClient) -> Iterator[Check]:
    experiment = client.get_experiment_by_name(account.recipe)
    born = datetime.fromtimestamp(account.created, UTC).isoformat(timespec="microseconds")
    parents = _runs(client, experiment, f"tags.`hpo.created` = '{born}'")
    several = [] if len(parents) == 1 else [f"{len(parents)} runs of {account.name}"]
    yield Check("MLflow: the search has one run", 1, several)
    if not parents:
        return
    parent = parents[0]
    children = _runs(client, experiment, f"tags.`mlflow.parentRunId` = '{parent.info.run_id}'")
    yield from _parent(account, parent)
    yield from _children(account, children)
    yield from _curves(account, client, children)


def _runs(client: MlflowClient, experiment: Any, query: str) -> list[Run]:
    found: list[Run] = []
    more, token = experiment is not None, None
    while more:
        page = client.search_runs([experiment.experiment_id], query, max_results=_PAGE, page_token=token)
        found += page
        token = page.token
        more = bool(token)
    return found


def _parent(account: Account, parent: Run) -> Iterator[Check]:
    named = parent.data.tags.get("hpo.best_trial")
    winner = None if account.winner is None else str(account.winner)
    wrong = [] if named == winner else [f"trial {named}, by the ledger trial {winner}"]
    yield Check("MLflow: the winner is the ledger's", 1, wrong)
    if account.state:
        expected, found = _STATUS.get(account.state, "FAILED"), parent.info.status
        wrong = [] if found == expected else [f"{found} instead of {expected}"]
        yield Check("MLflow: the search's status is right", 1, wrong)


def _children(account: Account, children: Sequence[Run]) -> Iterator[Check]:
    numbers = [run.data.tags.get("hpo.trial", "") for run in children]
    known = [str(trial["number"]) for trial in account.trials]
    odd = [f"trial {number}: no run" for number in known if number not in numbers]
    odd += [f"trial {number}: {numbers.count(number)} runs" for number in known if numbers.count(number) > 1]
    odd += [f"a run of trial {number}, which the ledger has not" for number in sorted({*numbers} - {*known})]
    yield Check("MLflow: each trial has one run", len(known), odd)
    runs = dict(zip(numbers, children, strict=True))
    pairs = [(trial, runs[str(trial["number"])]) for trial in account.trials if str(trial["number"]) in runs]
    states = [fault for trial, run in pairs for fault in _status(trial, run, account.state)]
    yield Check("MLflow: each trial's status is right", len(pairs), states)
    params = [fault for trial, run in pairs for fault in _params(trial, run)]
    yield Check("MLflow: each trial's parameters are its configuration", len(pairs), params)


def _status(trial: Mapping[str, Any], run: Run, state: str | None) -> Iterator[str]:
    stands = "KILLED" if state else "RUNNING"  # where no worker is alive, nothing is running
    expected = _STATUS.get(trial["outcome"], "FAILED") if trial["outcome"] else stands
    if run.info.status != expected and (state or trial["outcome"]):
        yield f"trial {trial['number']}: {run.info.status} instead of {expected}"


def _params(trial: Mapping[str, Any], run: Run) -> Iterator[str]:
    for name, value in trial["config"].items():
        found = run.data.params.get(name)
        if found != str(value):
            yield f"trial {trial['number']}: {name} is {found} instead of {value}"


def _curves(account: Account, client: MlflowClient, children: Sequence[Run]) -> Iterator[Check]:
    """Compare each point of each curve; a value that is not finite is none in MLflow."""
    examined = 0
    faults: dict[str, list[str]] = {"missing": [], "extra": [], "different": []}
    for run in children:
        number = int(run.data.tags.get("hpo.trial", -1))
        for name, curve in _expected(account.points.get(number, ())).items():
            logged = client.get_metric_history(run.info.run_id, name)
            examined += len(curve)
            for kind, fault in _differences(curve, [(point.step, point.value) for point in logged]):
                faults[kind].append(f"trial {number}, {name}, {fault}")
    for kind, found in faults.items():
        yield Check(f"MLflow: no point of a curve is {kind}", examined, found)


def _expected(points: Sequence[Mapping[str, Any]]) -> dict[str, Curve]:
    names = {name for point in points for name in point["metrics"]}
    curves = {name: {point["epoch"]: point[column] for point in points} for name, column in _CURVES.items()}
    for name in names:
        curves[f"validation_{name}"] = {point["epoch"]: point["metrics"].get(name) for point in points}
    return {name: _finite(curve) for name, curve in curves.items()}


def _finite(curve: Mapping[int, float | None]) -> Curve:
    return {epoch: value for epoch, value in curve.items() if value is not None and math.isfinite(value)}


def _differences(curve: Curve, logged: Sequence[tuple[int, float]]) -> Iterator[tuple[str, str]]:
    """Yield each difference with its kind; of two points at one epoch, one is extra."""
    seen: set[int] = set()
    for step, value in logged:
        if step not in curve or step in seen:
            yield "extra", f"epoch {step}"
        elif value != curve[step]:
            yield "different", f"epoch {step}: {value} instead of {curve[step]}"
        seen.add(step)
    for epoch in sorted(curve.keys() - seen):
        yield "missing", f"epoch {epoch}"
