"""A search in a form that programs read."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import asdict
from pathlib import Path
from typing import Any

from hpo import recipe
from hpo.errors import InputError
from hpo.history import FORKED_FROM, History, Outline, Search, State, Trial
from hpo.recipe import Objective
from hpo.results import confirmation
from hpo.results.requirement import Judgement, judge, parse
from hpo.trial import Point


def describe(search: Search, history: History) -> dict[str, Any]:
    """Return all that is known of a search as strictly valid JSON; what is not a finite number is null."""
    baseline = history.trials.get(0)
    return {
        **describe_briefly(search, history),
        "baseline": baseline and describe_trial(baseline, search.objective),
        "trials": [
            describe_trial(trial, search.objective) | (_curve(trial) if search.given else {})
            for trial in history.trials.values()
        ],
    }


def _curve(trial: Trial) -> dict[str, Any]:
    """Return each epoch of a trial."""
    return {"points": [_describe_point(point) for point in trial.points]}


def _describe_point(point: Point) -> dict[str, Any]:
    return {"epoch": point.epoch} | {name: _finite(value) for name, value in point.curves.items()}


def describe_briefly(search: Search, history: History) -> dict[str, Any]:
    """Return the same without the trials."""
    return {
        **describe_outline(search, history.outline),
        "required": [it.describe() for it in required(search, history)],
        "budget": _budget(search, history),
        "confirmed": confirmation.describe(history),
        "front": _front(history),
        "proof": history.proof and describe_trial(history.proof, search.objective),
        "at_once": {"most": history.at_once, "because": history.because, "live": history.occupancy},
    }


def describe_outline(search: Search, outline: Outline) -> dict[str, Any]:
    """Return what a list of searches says of one."""
    return {
        "name": search.name,
        "recipe": search.recipe,
        "state": search.state.value,
        "reason": search.reason,
        "objective": str(search.objective),
        "seed": search.settings.get("seed"),
        "settings": dict(search.settings),
        "forked_from": search.settings.get(FORKED_FROM),
        "created": search.created,
        "unsent": unsent(search, outline.seq),
        "counts": dict(outline.counts),
        "best": outline.best and describe_trial(outline.best, search.objective),
    }


def _budget(search: Search, history: History) -> dict[str, Any] | None:
    """Return what a search may cost, and how the rest of that is planned."""
    limit, planned = search.settings.get("budget"), history.forecast
    if not limit:
        return None
    facts = asdict(planned) if planned else {}
    return {"limit": limit, **{name: it for name, it in facts.items() if name not in ("at", "seq", "terms")}}


def _front(history: History) -> list[dict[str, Any]] | None:
    """Return the trials that no other one beats in every goal; None of a search with one goal."""
    knee = history.knee
    found = [{"trial": it.number, "score": it.score, **it.costs, "knee": it is knee} for it in history.front]
    return found if history.objective.beside else None


def required(search: Search, history: History) -> list[Judgement]:
    """Return whether the winner does what was required of it, as far as anything was."""
    return judge(history, parse(str(search.settings.get("require") or "")))


def unsent(search: Search, seq: int) -> int | None:
    """Return how many of its records, up to `seq`, MLflow lacks; None if that is unknown or it is running."""
    if search.uploaded is None or search.state is State.RUNNING:
        return None
    return max(seq - search.uploaded, 0)


def describe_trial(trial: Trial, objective: Objective) -> dict[str, Any]:
    """Return what is known of one trial; `metrics` hold the loss and whatever else the recipe measures."""
    return {
        "trial": trial.number,
        "outcome": trial.outcome.value if trial.outcome else "running",
        "reason": trial.ending.reason if trial.ending else "",
        "score": _finite(trial.score),
        "metrics": {name: _finite(value) for name, value in measures(trial, objective).items()},
        "epochs": trial.epochs,
        "seconds": seconds(trial),
        "origin": trial.proposal.origin,
        "seed": trial.proposal.seed,
        "at_once": trial.at_once,
        "costs": dict(trial.costs),
        "memory": {name: dict(parts) for name, parts in trial.memory.items()},
        "config": dict(trial.proposal.config),
    }


def describe_recipes(paths: Mapping[str, Path]) -> list[dict[str, Any]]:
    """Return what each recipe is; one that cannot be read says why and does not hide the others."""
    return [{"name": name, **_describe_recipe(path), "path": str(path)} for name, path in paths.items()]


def _describe_recipe(path: Path) -> dict[str, Any]:
    try:
        found = recipe.read(path.read_text(encoding="utf-8"), str(path))
    except (InputError, OSError, UnicodeDecodeError) as error:
        return {"summary": "", "objective": None, "epochs": None, "options": {}, "problem": str(error)}
    return {
        "summary": found.summary,
        "objective": str(found.objective),
        "epochs": found.epochs,
        "options": {**found.loss, **found.model},
        "problem": None,
    }


def describe_spaces(paths: Mapping[str, Path]) -> list[dict[str, Any]]:
    """Return each search space with its first line, which is the command that uses it."""
    return [{"name": name, "use": _first_comment(path), "path": str(path)} for name, path in paths.items()]


def _first_comment(path: Path) -> str:
    with path.open(encoding="utf-8", errors="replace") as file:
        line = file.readline()
    return line.lstrip("# ").strip() if line.startswith("#") else ""


def measures(trial: Trial, objective: Objective) -> dict[str, float]:
    """Return what the trial's last epoch measured on validation data, the objective first."""
    if not trial.points:
        return {}
    last = trial.points[-1]
    return {objective.metric: last.score} | {"loss": last.loss, **last.metrics, objective.metric: last.score}


def seconds(trial: Trial) -> float | None:
    """Return how long the trial took, from its first attempt to its end."""
    if not trial.ending or not trial.attempts:
        return None
    return trial.ending.at - trial.attempts[0].at


def _finite(number: float | None) -> float | None:
    """JSON has no words for NaN and infinities."""
    return number if number is not None and math.isfinite(number) else None
