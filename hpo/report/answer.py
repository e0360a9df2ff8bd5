"""The answer: who won, by how much, how sure that is, what it cost, and how to have it."""

from __future__ import annotations

import json
import math
import shlex
from collections import defaultdict
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from statistics import median
from typing import Final

from hpo.advice import Facts
from hpo.config import Config, Value
from hpo.history import Trial
from hpo.history.noise import wobble
from hpo.planning.plan import OPTION, Plan
from hpo.results.phrasing import brief
from hpo.results.summary import measures, seconds
from hpo.results.verdict import sentences
from hpo.trial import Outcome

_CLEAR: Final = 3.0  # times what a score moves from epoch to epoch
_EPOCHS: Final = 6


@dataclass(frozen=True)
class Answer:
    """What a person wants to know first; texts, one sentence each."""

    headline: str
    gain: str
    sure: str
    measured: Mapping[str, str]


def answer(facts: Facts) -> Answer:
    """Return the winner, its lead over the baseline, and how much that may be trusted."""
    best, objective = facts.history.best, facts.history.objective
    if best is None:
        return Answer("No trial has finished yet", "", "", {})
    values = {name: brief(value) for name, value in measures(best, objective).items()}
    said = sentences(facts.history)
    if said:
        return Answer(said[0].removesuffix("."), "", " ".join(said[1:]), values)
    headline = f"Trial {best.number} is the best: {objective.metric} {values[objective.metric]}"
    return Answer(headline, _gain(facts, best), _sure(facts, best), values)


def _gain(facts: Facts, best: Trial) -> str:
    baseline, metric = facts.history.trials.get(0), facts.history.objective.metric
    if baseline is best:
        return "That is the baseline, the configuration that an expert would try first: nothing beat it."
    if (
        baseline is None
        or baseline.outcome is not Outcome.FINISHED
        or not math.isfinite(baseline.score or math.nan)
    ):
        return "The baseline (trial 0) did not finish, so there is nothing to compare it with."
    before, after = baseline.score or 0.0, best.score or 0.0
    lead = abs(after - before)
    share = f", {lead / abs(before):.1%}" if before else ""
    return f"The baseline (trial 0) came to {metric} {brief(before)}: better by {brief(lead)}{share}."


def _sure(facts: Facts, best: Trial) -> str:
    """Say how the lead compares with the noise; more than one seed can tell, nobody knows from this."""
    baseline = facts.history.trials.get(0)
    long = [it for it in facts.finished[:5] if it.epochs >= _EPOCHS]
    if best is baseline or baseline is None or baseline.score is None or len(long) < 2:
        return ""
    noise = median(map(wobble, long))
    lead = abs((best.score or 0.0) - baseline.score)
    times = lead / noise if noise else math.inf
    verdict = "No more than noise" if times < 1 else "Weakly" if times < _CLEAR else "Clear within this seed"
    return (
        f"{verdict}: at the end of training, scores move by {brief(noise)} from epoch to epoch. "
        "All trials share one seed; only other seeds can tell whether it holds there: "
        f"hpo resume {facts.plan.search.name} confirm_seeds=5"
    )


@dataclass(frozen=True)
class Cost:
    """Where the time went: a row for each outcome, and for each optimizer."""

    total: str
    rows: tuple[tuple[str, ...], ...]


def costs(facts: Facts) -> Cost:
    """Return trials, epochs and training time by outcome and by optimizer; times are those of workers."""
    groups: dict[str, list[Trial]] = defaultdict(list)
    for outcome in Outcome:
        groups[outcome.value] = [it for it in facts.history.searched if it.outcome is outcome]
    for word in sorted({str(it.proposal.config.get("optimizer")) for it in facts.history.searched}):
        groups[word] = [it for it in facts.history.searched if it.proposal.config.get("optimizer") == word]
    epochs = sum(trial.epochs for trial in facts.history.searched)
    full = facts.plan.epochs * len(facts.history.searched)
    groups["fresh seeds"] = facts.history.confirmations
    rows = tuple(_row(name, trials) for name, trials in groups.items() if trials)
    saved = f", {1 - epochs / full:.0%} fewer than without stopping early" if full else ""
    return Cost(f"{epochs} epochs of search{saved}", rows)


def _row(name: str, trials: Iterable[Trial]) -> tuple[str, ...]:
    found = list(trials)
    epochs = sum(trial.epochs for trial in found)
    spent = sum(seconds(trial) or 0.0 for trial in found)
    return name, str(len(found)), str(epochs), f"{spent:.0f} s"


def commands(plan: Plan, best: Trial | None) -> dict[str, str]:
    """Return what can be copied: the winner as a command, as JSON, and as code."""
    if best is None:
        return {}
    name = plan.search.name
    return {
        "Train it again": train_command(plan, best.proposal.config),
        "As plain PyTorch code": f"hpo export {name} to=train_{name}.py",
        "As JSON": json.dumps(dict(best.proposal.config), indent=2),
    }


def train_command(plan: Plan, config: Config) -> str:
    """Return the command that trains a configuration as the search did."""
    data = {f"{OPTION}{name}": value for name, value in plan.data_options.items()}
    settings: dict[str, Value] = {"epochs": plan.epochs, "seed": plan.setting("seed")}
    words = {"recipe": plan.recipe.name, **data, **_departing(plan, config), **settings}
    return " ".join(["hpo train", *(shlex.quote(f"{key}={_typed(value)}") for key, value in words.items())])


def _departing(plan: Plan, config: Config) -> dict[str, Value]:
    """Return a configuration without what `hpo train` would say by itself; a branch comes with all of it."""
    kept = plan.vocabulary.defaults(plan.recipe.baseline)
    branches = plan.vocabulary.saying(config).branches
    named = {key for key in branches if key in config and config[key] != kept.get(key)}
    return {
        key: value
        for key, value in config.items()
        if key.partition(".")[0] in named or kept.get(key, ...) != value
    }


def _typed(value: Value) -> str:
    return value if isinstance(value, str) else json.dumps(value)
