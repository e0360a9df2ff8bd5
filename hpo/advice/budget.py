"""Where the trials went: branches that were hardly tried, and warm-ups that had no time to end."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Sequence
from typing import Final

from hpo.advice.advice import Advice, Topic
from hpo.advice.facts import Facts, is_number, numbers
from hpo.history import Trial
from hpo.trial import Outcome

_ENOUGH: Final = 30
_HARDLY: Final = 3  # trials of a branch: fewer than two more than this say nothing of its hyperparameters
_SHARE: Final = 0.2  # of what an equal split would give each branch
_WARMED: Final = 5
_LOST: Final = 0.8


def starved(facts: Facts) -> Iterator[Advice]:
    """Yield an advice for each choice between branches of which some had hardly a trial."""
    ranking = facts.ranking
    if len(ranking) < _ENOUGH:
        return
    for parameter in facts.plan.space.parameters:
        words = parameter.words
        counts = Counter(str(trial.proposal.config.get(parameter.key)) for trial in ranking)
        fair = len(ranking) / max(1, len(words))
        few = [word for word in words if counts[word] <= min(_HARDLY, _SHARE * fair)]
        if few:
            listed = ", ".join(f"{word} {counts[word]}" for word in few)
            plural = "were" if len(few) > 1 else "was"
            yield Advice(
                Topic.BUDGET,
                f"{' and '.join(few)} {plural} hardly tried, so nothing is known of {parameter.key}'s rest",
                f"of {len(ranking)} trials: {listed}",
                f"If it matters, search it alone: space.{parameter.key}={few[0]}, or give it weight in prior",
                numbers([it for it in ranking if it.proposal.config.get(parameter.key) in few]),
            )


def warmups(facts: Facts) -> Iterator[Advice]:
    """Yield an advice if trials were judged before their warm-up was over, and lost."""
    pruned = [trial for trial in facts.ranking if trial.outcome is Outcome.PRUNED]
    if len(facts.ranking) < _ENOUGH or not pruned:
        return
    rung = min(trial.epochs for trial in pruned)
    warming = [trial for trial in facts.ranking if _warmup(facts, trial) >= rung]
    others = [trial for trial in facts.ranking if _warmup(facts, trial) < rung]
    cut, rest = (_cut_at(rung, trials) for trials in (warming, others))
    if len(warming) < _WARMED or len(cut) < _LOST * len(warming) or not others:
        return
    if len(rest) / len(others) > _LOST / 1.6:
        return
    longest = max(_warmup(facts, trial) for trial in warming)
    yield Advice(
        Topic.BUDGET,
        "Warm-up is longer than the first rung, at which trials are compared",
        f"{len(cut)} of {len(warming)} trials that were still warming up at epoch {rung} were stopped there, "
        f"{len(rest)} of {len(others)} others; the longest warm-up took {longest:.2g} epochs",
        f"Warm up for less than {rung / facts.plan.epochs:.2g} of the run, or search with pruner=none",
        numbers(warming),
    )


def _warmup(facts: Facts, trial: Trial) -> float:
    """Return a trial's warm-up in epochs."""
    share = trial.proposal.config.get("warmup")
    return share * facts.plan.epochs if is_number(share) else 0.0


def _cut_at(rung: int, trials: Sequence[Trial]) -> list[Trial]:
    return [trial for trial in trials if trial.outcome is Outcome.PRUNED and trial.epochs == rung]
