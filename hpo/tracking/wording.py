"""How a search is said in MLflow: which record becomes which metric, tag, parameter or status."""

from __future__ import annotations

import hashlib
import math
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Final

from mlflow.entities import Metric, Param

from hpo.config import Config, Value
from hpo.history import History, Search, State, Trial
from hpo.recipe import COLUMNS, Objective
from hpo.results import pareto, phrasing
from hpo.results.verdict import sentences
from hpo.trial import Attempt, Ending, Outcome, Point, Proposal, Record

STATUS: Final = {
    Outcome.FINISHED: "FINISHED",
    Outcome.PRUNED: "KILLED",
    Outcome.DIVERGED: "FAILED",
    Outcome.FAILED: "FAILED",
    Outcome.LOST: "FAILED",
    Outcome.REFUSED: "FAILED",
    State.RUNNING: "RUNNING",
    State.FINISHED: "FINISHED",
    State.INTERRUPTED: "KILLED",
    State.FAILED: "FAILED",
}


@dataclass
class Message:
    """What one run is to be told; `status` and `ended` if it ends with that."""

    params: list[Param] = field(default_factory=list)
    metrics: list[Metric] = field(default_factory=list)
    tags: dict[str, str] = field(default_factory=dict)
    status: str = ""
    ended: float = 0.0

    def configure(self, values: Mapping[str, Value]) -> None:
        """Set parameters."""
        self.params += [Param(name, str(value)) for name, value in values.items()]

    def tag(self, tags: Mapping[str, str]) -> None:
        """Set tags; an empty one is left out."""
        self.tags |= {name: text for name, text in tags.items() if text}

    def measure(self, values: Mapping[str, float], step: int, at: float) -> None:
        """Add one value to each of these curves.

        MLflow stores inf as 1.8e308, which ruins a plot's axis; what is not finite is named in a tag.
        """
        finite = {name: value for name, value in values.items() if math.isfinite(value)}
        self.metrics += [Metric(name, value, milliseconds(at), step) for name, value in finite.items()]
        if len(finite) < len(values):
            names = ", ".join(name for name in values if name not in finite)
            self.tag({"hpo.not_finite": f"step {step}: {names}"})


def milliseconds(at: float) -> int:
    """Return a time as MLflow counts it."""
    return round(at * 1000)


def born(search: Search) -> str:
    """Return when a search began, to the microsecond, which tells it from all others."""
    return datetime.fromtimestamp(search.created, UTC).isoformat(timespec="microseconds")


def search_tags(search: Search) -> dict[str, str]:
    """Return the tags that a search's run and those of its trials have in common."""
    return {
        "hpo.search": search.name,
        "hpo.recipe": search.recipe,
        "hpo.recipe_hash": hashlib.sha256(search.source.encode()).hexdigest(),
    }


def tell_trial(message: Message, record: Record, trial: Trial, objective: Objective) -> None:
    """Put one record of a trial into the message to its run."""
    match record:
        case Proposal():
            message.configure(record.config)
            message.tag({"hpo.seed": "" if record.seed is None else str(record.seed)})
        case Attempt():
            message.tag(
                {"hpo.worker": record.worker, "hpo.attempts": str(len({it.cohort for it in trial.attempts}))}
            )
            message.tag({"hpo.at_once": str(trial.at_once)})
            message.measure({COLUMNS[name]: it for name, it in trial.costs.items()}, 0, record.at)
        case Point():
            best = min((point.score for point in trial.points), key=objective.cost)
            message.measure(record.curves | {"best_score": best}, record.epoch, record.at)
        case Ending():
            if record.score is not None and math.isfinite(record.score):
                message.measure({"final_score": record.score}, trial.epochs, record.at)
            message.measure(_memory(trial), trial.epochs, record.at)
            tested = {f"test_{name}": value for name, value in trial.test.items()}
            message.measure(tested, trial.epochs, record.at)
            message.tag({"hpo.alone": trial.alone, "hpo.start": str(record.notes.get("start", ""))})
            message.tag({"hpo.outcome": record.outcome.value, "hpo.reason": record.reason})
            message.status, message.ended = STATUS[record.outcome], record.at


def _memory(trial: Trial) -> dict[str, float]:
    """Return the bytes of parameters, gradients and optimizer state, predicted beside measured."""
    return {
        f"memory_{name}_{part}": count
        for name, parts in trial.memory.items()
        for part, count in parts.items()
    }


def tell_search(message: Message, ending: Ending, history: History) -> None:
    """Put the standings after one more trial ended into the message to the search's run."""
    counts = history.counts
    standings: dict[str, float] = {f"trials_{outcome}": counts[outcome] for outcome in Outcome}
    standings |= _worth(history)
    standings |= {f"confirmed_{history.objective.metric}": it.median for it in history.standings[:1]}
    standings |= {f"test_{name}": value for name, value in history.test.items()}
    message.measure(standings, len(history.ended), ending.at)


def _worth(history: History) -> dict[str, float]:
    """Return the best score, the baseline's, what was gained over it, and the winner's when trained alone."""
    baseline = history.trials.get(0)
    finished = baseline if baseline and baseline.outcome is Outcome.FINISHED else None
    named = {"best_score": history.best, "baseline_score": finished, "proof_score": history.proof}
    scores = {name: trial.score for name, trial in named.items() if trial and trial.score is not None}
    if "best_score" in scores and "baseline_score" in scores:
        cost = history.objective.cost
        scores["gain"] = cost(scores["baseline_score"]) - cost(scores["best_score"])
    return scores


def gist(config: Config) -> str:
    """Return what tells trials apart in a legend: `adamw 0.0063`."""
    values = (config.get(name) for name in ("optimizer", "optimizer.lr"))
    return " ".join(phrasing.brief(value) for value in values if value is not None)


def note(search: Search, history: History) -> str:
    """Return what MLflow shows as the description of a search, in Markdown."""
    counts = ", ".join(f"{number} {outcome}" for outcome, number in sorted(history.counts.items()))
    parts = [
        f"`{search.objective}` of recipe `{search.recipe}`: **{search.state}**. {search.reason}".strip(),
        f"Ended trials: {counts or 'none'}.",
    ]
    if history.because:
        parts.append(f"Trained {history.because}.")
    if history.best:
        rows = [f"| {name} | {value} |" for name, value in history.best.proposal.config.items()]
        parts += sentences(history)
        parts += _front(history)
        parts.append(f"Best: trial {history.best.number}, score {history.best.score}")
        parts.append("\n".join(["| name | value |", "| --- | --- |", *rows]))
    return "\n\n".join(parts)


def _front(history: History) -> list[str]:
    """Return the front as a table in Markdown, if there is more than one goal."""
    columns, rows = pareto.columns(history), pareto.rows(history)
    lines = [columns, ["---"] * len(columns), *rows] if rows else []
    return ["\n".join(f"| {' | '.join(cells)} |" for cells in lines)] if lines else []
