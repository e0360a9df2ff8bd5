"""What the best trials' curves say: trained too briefly or too long, clipped too hard, too noisy to tell."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Sequence
from statistics import fmean, median
from typing import Final

from hpo.advice.advice import Advice, Topic
from hpo.advice.facts import Facts, numbers
from hpo.history import Trial
from hpo.history.noise import steps, wobble
from hpo.results.phrasing import brief
from hpo.trial import Point

_BEST: Final = 5
_ENOUGH: Final = 3  # finished trials that must agree
_EPOCHS: Final = 6  # below that a curve has no shape
_GAIN: Final = 0.05  # of the loss, in the last sixth of the epochs
_REBOUND: Final = 0.1  # of the loss, from its lowest
_FITS: Final = 0.1  # of the loss, by which the training loss is lower
_CLIPPED: Final = 0.9  # of the steps
_NOISES: Final = 2.0


def curves(facts: Facts) -> Iterator[Advice]:
    """Yield what the best finished trials have in common."""
    best = [trial for trial in facts.finished[:_BEST] if trial.epochs >= _EPOCHS]
    if len(best) < _ENOUGH:
        return
    for read in (_overfits, _improves, _too_close, _clips):
        yield from read(facts, best)


def _agreed(best: Sequence[Trial], test: Callable[[Trial], bool]) -> list[Trial]:
    """Return the trials that pass, if the winner and most others do."""
    found = [trial for trial in best if test(trial)]
    agreed = best[0] in found and len(found) >= max(_ENOUGH, 0.6 * len(best))
    return found if agreed else []


def _improves(facts: Facts, best: Sequence[Trial]) -> Iterator[Advice]:
    found = _agreed(best, lambda trial: _gain(trial) > max(_GAIN, _NOISES * _noise(trial, _loss)))
    if not found:
        return
    tail, epochs = _tail(found[0]), facts.plan.epochs
    fits = sum(_share(it.points[-1].loss, it.points[-1].train_loss) < _FITS for it in found)
    under = f"; in {fits} of them the training loss is no lower than that, so they underfit" if fits else ""
    yield Advice(
        Topic.CURVE,
        "The best trials were still improving when they ended",
        f"in {len(found)} of the best {len(best)} validation loss fell by "
        f"{median(map(_gain, found)):.0%} in the last {tail} of {epochs} epochs{under}",
        f"Train longer: epochs={math.ceil(epochs * 1.5)}",
        numbers(found),
    )


def _overfits(facts: Facts, best: Sequence[Trial]) -> Iterator[Advice]:
    found = _agreed(best, _rebounds)
    if not found:
        return
    lowest = median(_lowest(trial).epoch for trial in found)
    rise = median(map(_rise, found))
    yield Advice(
        Topic.CURVE,
        "The best trials overfit",
        f"in {len(found)} of the best {len(best)} validation loss was lowest around epoch {lowest:g} of "
        f"{facts.plan.epochs} and rose by {rise:.0%} since, while training loss went on falling",
        "Regularize (weight decay, dropout, label smoothing), or train for fewer epochs",
        numbers(found),
    )


def _rebounds(trial: Trial) -> bool:
    learned = trial.points[-1].train_loss < _lowest(trial).train_loss
    return learned and _rise(trial) > max(_REBOUND, _NOISES * _noise(trial, _loss))


def _rise(trial: Trial) -> float:
    """Return by what part of its lowest the validation loss has risen since."""
    return -_share(_lowest(trial).loss, trial.points[-1].loss)


def _too_close(facts: Facts, best: Sequence[Trial]) -> Iterator[Advice]:
    """The winner's lead over the runner-up is less than what the score moves from epoch to epoch anyway.

    Where the best were trained with fresh seeds, these tell more.
    """
    if facts.history.standings:
        return
    first, second = best[0], best[1]
    lead = abs((first.score or 0.0) - (second.score or 0.0))
    noise = median(wobble(trial) for trial in best)
    if lead >= noise:
        return
    metric = facts.history.objective.metric
    close = [it for it in best if abs((it.score or 0.0) - (first.score or 0.0)) < noise]
    yield Advice(
        Topic.CURVE,
        f"The best {len(close)} trials are too close to tell which is better",
        f"{metric} {brief(first.score or 0.0)} leads {brief(second.score or 0.0)}, "
        f"and at the end it moves by {brief(noise)} from epoch to epoch",
        f"Train them again with fresh seeds: hpo resume {facts.plan.search.name} confirm_seeds=5",
        numbers(close),
    )


def _clips(_: Facts, best: Sequence[Trial]) -> Iterator[Advice]:
    found = _agreed(best, lambda trial: _clipped(trial) > _CLIPPED)
    if not found:
        return
    shares = median(map(_clipped, found))
    norm = median(fmean(point.grad_norm for point in trial.points) for trial in found)
    yield Advice(
        Topic.CURVE,
        "Nearly every step of the best trials was clipped",
        f"{shares:.0%} of the steps in {len(found)} of the best {len(best)}; "
        f"gradients had a norm of {brief(norm)}",
        f"The limit sets the step's length, not its safety: search higher ones too, up to {brief(2 * norm)}",
        numbers(found),
    )


def _clipped(trial: Trial) -> float:
    return fmean(point.clipped_share for point in trial.points)


def _loss(point: Point) -> float:
    return point.loss


def _tail(trial: Trial) -> int:
    return max(2, trial.epochs // 6)


def _gain(trial: Trial) -> float:
    """Return by what part the validation loss fell in the last sixth of the epochs."""
    before, after = trial.points[-1 - _tail(trial)].loss, trial.points[-1].loss
    return _share(before, after)


def _share(loss: float, lower: float) -> float:
    """Return by what part of a loss, which may be negative as a log-likelihood is, another one is lower."""
    level = abs(loss) or abs(lower)
    return (loss - lower) / level if level else 0.0


def _lowest(trial: Trial) -> Point:
    return min(trial.points, key=_loss)


def _noise(trial: Trial, measure: Callable[[Point], float]) -> float:
    """Return the same as a part of the curve's level."""
    level = abs(measure(trial.points[-1]))
    return median(steps(trial, measure)) / level if level else 0.0
