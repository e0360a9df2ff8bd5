"""A search as tables: one row for each trial, one for each epoch. The only importer of pandas."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import TYPE_CHECKING, Any

from hpo.history import History, Search
from hpo.recipe import COLUMNS
from hpo.results.summary import describe_trial

if TYPE_CHECKING:
    import pandas as pd

_LEFT_OUT = ("config", "metrics", "memory", "costs")


def trials(search: Search, history: History) -> pd.DataFrame:
    """Return a row for each trial: how it ended, what it measured last, and its configuration.

    Measures are named as in MLflow (`validation_loss`); configuration under its dotted names. A configuration
    that lacks a name has no value there.
    """
    rows = []
    for trial in history.trials.values():
        told = describe_trial(trial, search.objective)
        kept = {name: value for name, value in told.items() if name not in _LEFT_OUT}
        last = trial.points[-1].curves if trial.points else {}
        costs = {COLUMNS[name]: value for name, value in trial.costs.items()}
        rows.append({**kept, **last, **costs, **trial.proposal.config, "score": told["score"]})
    return _frame(rows)


def epochs(history: History) -> pd.DataFrame:
    """Return a row for each epoch of each trial, with all that was measured."""
    return _frame(
        {"trial": trial.number, "epoch": point.epoch, **point.curves}
        for trial in history.trials.values()
        for point in trial.points
    )


def _frame(rows: Iterable[Mapping[str, Any]]) -> pd.DataFrame:
    """Return rows as a table in which every column has one type, so that any format takes it."""
    import pandas as pd

    return pd.DataFrame([dict(row) for row in rows]).convert_dtypes().pipe(_of_one_type)


def _of_one_type(frame: pd.DataFrame) -> pd.DataFrame:
    """Write what mixes types, such as a batch size of 64 or `full`, as text."""
    mixed = [name for name in frame.columns if frame[name].dtype == object]
    for name in mixed:
        frame[name] = frame[name].map(str, na_action="ignore").astype("string")
    return frame
