"""What a search measured, epoch by epoch: losses, and the gradient before and after clipping."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from statistics import fmean
from typing import Final

from matplotlib.axes import Axes
from matplotlib.figure import Figure

from hpo.history import History, Trial
from hpo.pictures.style import COLORS, FAINT, NotDrawnError, count_epochs, legend, panels
from hpo.report.scale import Scale, wide
from hpo.results import phrasing
from hpo.trial import Outcome, Point

_BEST: Final = 5
_NORMS: Final = 3

Measure = Callable[[Point], float]


def losses(name: str, history: History) -> Figure:
    """Draw the training and validation losses of all trials, the best in colour, the others faint.

    Raises:
        NotDrawnError: no trial has trained an epoch.
    """
    best = _best(history, _BEST)
    others = [trial for trial in history.trials.values() if trial.points and trial not in best]
    about = f"{name}: the best in colour; faint: {_tally(others)}" if others else name
    figure, (train, validation) = panels("Loss in training and on validation data", about, columns=2)
    for panel, title, measure in ((train, "training", _train_loss), (validation, "validation", _loss)):
        panel.set_title(title)
        for trial in others:
            _line(panel, trial, measure, color=FAINT, linewidth=0.8, alpha=0.45)
        for rank, (color, trial) in enumerate(zip(COLORS, best, strict=False)):
            _line(panel, trial, measure, color=color, label=_label(trial, history), zorder=9 - rank)
    _fit_range(train, [measure(point) for trial in best for point in trial.points for measure in _LOSSES])
    train.set_ylabel("mean loss over the samples of an epoch")
    count_epochs((train, validation))
    legend(figure, validation)
    return figure


def gradient_norms(name: str, history: History) -> Figure:
    """Draw the gradient's norm before and after clipping, for the best trials, on a log scale.

    Raises:
        NotDrawnError: no trial has trained an epoch.
    """
    best = _best(history, _NORMS)
    about = f"{name}: 2-norm of the whole gradient, mean over each epoch's steps; the best trials"
    figure, (before, after) = panels("Gradient norm before and after clipping", about, columns=2)
    for color, trial in zip(COLORS, best, strict=False):
        _line(before, trial, lambda point: point.grad_norm, color=color)
        _line(after, trial, lambda point: point.clipped_norm, color=color, label=_clipping(trial))
        limit = trial.proposal.config.get("clip_norm")
        if isinstance(limit, int | float):
            after.axhline(limit, color=color, linestyle=":", linewidth=1)
    _log(before)
    before.set_title("before clipping")
    after.set_title("after clipping (dotted: clip_norm)")
    before.set_ylabel("gradient norm")
    count_epochs((before, after))
    legend(figure, after)
    return figure


def _train_loss(point: Point) -> float:
    return point.train_loss


def _loss(point: Point) -> float:
    return point.loss


_LOSSES: Final[tuple[Measure, ...]] = (_train_loss, _loss)


def _best(history: History, count: int) -> list[Trial]:
    """Return the best finished trials; while there is none, those that trained the longest."""
    trained = [trial for trial in history.trials.values() if trial.points]
    if not trained:
        raise NotDrawnError("no trial has trained an epoch")
    return (history.ranking or sorted(trained, key=lambda trial: -trial.epochs))[:count]


def _line(panel: Axes, trial: Trial, measure: Measure, **style: object) -> None:
    """Draw a curve; what is not finite leaves a gap, and on a log scale what is not above 0."""
    values = [measure(point) for point in trial.points]
    sound = [value if math.isfinite(value) else math.nan for value in values]
    marker = "o" if len(sound) == 1 else None  # a line of one point is not seen
    panel.plot([point.epoch for point in trial.points], sound, marker=marker, markersize=3, **style)  # type: ignore[arg-type]


def _fit_range(panel: Axes, values: Sequence[float]) -> None:
    """Show the range of the best, on a log scale if it spans much; one that diverged must not stretch it."""
    scale = Scale.of(values, log=wide(values))
    if scale.log:
        _log(panel)
    panel.set_ylim(scale.low, scale.high)


def _log(panel: Axes) -> None:
    panel.set_yscale("log", nonpositive="mask")


def _label(trial: Trial, history: History) -> str:
    if trial.score is None:
        return f"trial {trial.number}"
    return f"trial {trial.number}: {history.objective.metric} {phrasing.brief(float(trial.score))}"


def _clipping(trial: Trial) -> str:
    share = fmean(point.clipped_share for point in trial.points)
    return f"trial {trial.number}: {share:.0%} of its steps clipped"


def _tally(trials: Sequence[Trial]) -> str:
    outcomes = [trial.outcome.value if trial.outcome else "running" for trial in trials]
    names = [*(outcome.value for outcome in Outcome), "running"]
    counts = {name: outcomes.count(name) for name in names}
    return ", ".join(f"{count} {name}" for name, count in counts.items() if count)
