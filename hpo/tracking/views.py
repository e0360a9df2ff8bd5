"""What MLflow's pages show of an experiment first: named views, which its menu *Views* offers.

MLflow keeps a view as a tag of the experiment, in the form in which its page of runs writes it:
a name, two times, and the state of the page as JSON.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any, Final

from hpo.history import Search
from hpo.tracking.wording import milliseconds
from hpo.trial import CONFIRMATION, PROOF

_PREFIX: Final = "mlflow.sharedViewState."
_NAMES: Final = {"hpo-trials": "Finished trials, best first", "hpo-searches": "Searches, by what they gained"}
# What one fresh seed came to would stand above what was searched, and by luck.
_SEARCHED: Final = " AND ".join(
    ["tags.`hpo.outcome` = 'finished'", *(f"tags.`hpo.origin` != '{it}'" for it in (CONFIRMATION, PROOF))]
)
_VARIED: Final = (
    "optimizer",
    "optimizer.lr",
    "optimizer.weight_decay",
    "schedule",
    "warmup",
    "clip_norm",
    "batch_size",
)
_TRIAL_COLUMNS: Final = (
    *(f"metrics.`{name}`" for name in ("final_score", "best_score", "train_loss")),
    *(f"params.`{name}`" for name in _VARIED),
    "tags.`hpo.origin`",
)
_SEARCH_COLUMNS: Final = (
    *(f"metrics.`{name}`" for name in ("best_score", "baseline_score", "gain", "proof_score")),
    *(f"metrics.`trials_{name}`" for name in ("finished", "pruned", "diverged", "failed")),
    *(f"params.`{name}`" for name in ("trials", "sampler", "pruner")),
    "tags.`hpo.best_config`",
)


def experiment_tags(search: Search) -> dict[str, str]:
    """Return the tags by which the pages of a recipe's experiment say which trial is best, and why."""
    ascending = search.objective.direction == "minimize"
    states = (
        _state(_SEARCHED, "final_score", _TRIAL_COLUMNS, ascending=ascending),
        _state("tags.`hpo.objective` != ''", "gain", _SEARCH_COLUMNS, ascending=False),
    )
    return {
        "mlflow.experimentKind": "custom_model_development",  # or else its pages are for agents
        "mlflow.experiment.primaryMetric.name": "score",
        **{
            f"{_PREFIX}{key}": _view(name, state, search)
            for (key, name), state in zip(_NAMES.items(), states, strict=True)
        },
    }


def links(experiment: str) -> str:
    """Return links to the views, in Markdown."""
    page = f"#/experiments/{experiment}/runs?viewStateShareKey="
    return " · ".join(f"[{name}]({page}{key})" for key, name in _NAMES.items())


def _state(query: str, order: str, columns: tuple[str, ...], *, ascending: bool) -> dict[str, Any]:
    return {
        "searchFilter": query,
        "orderByKey": f"metrics.`{order}`",
        "orderByAsc": ascending,
        "selectedColumns": columns,
    }


def _view(name: str, state: Mapping[str, Any], search: Search) -> str:
    at = milliseconds(search.created)
    return json.dumps({"name": name, "createdAt": at, "updatedAt": at, "state": json.dumps(state)})
