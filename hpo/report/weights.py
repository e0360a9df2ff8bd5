"""Which hyperparameters mattered: a bar for each, with its interval."""

from __future__ import annotations

from typing import Final

from hpo.advice import Facts, Importance, importance
from hpo.advice.importance import ACTIVE, ENOUGH, Weight
from hpo.report.chart import picture, said, text
from hpo.report.figures import Figure

_WIDTH, _LEFT, _ROW = 460, 190, 24
_LITTLE: Final = 0.1
_BARS: Final = 15


def weights(facts: Facts) -> Figure:
    """Return what each hyperparameter weighs, or that too little is known to say."""
    found, title = importance(facts), "Importance"
    if found is None or not found.told:
        enough = (
            f"it takes {ENOUGH} trials that are not all alike, and {ACTIVE} with a hyperparameter, to tell"
        )
        return Figure(title, "", reason=enough)
    if found.explained < _LITTLE:
        known = f"{max(found.explained, 0):.0%}"
        return Figure(
            title, "", reason=f"too little is known: hyperparameters foretell only {known} of who beats whom"
        )
    caption = (
        "What part of who beats whom hangs on each hyperparameter, judged within the trials that have it, "
        f"with a 95 % interval. All together foretell {found.explained:.0%}."
    )
    few = [weight.path for weight in found.weights if weight.share is None]
    rest = (
        f' <span class="dim">Too few trials, or too equal ones, to tell of {len(few)} more.</span>'
        if few
        else ""
    )
    return Figure(title, caption, f"{_bars(found)}{rest}")


def _bars(found: Importance) -> str:
    shown = found.told[:_BARS]
    most = max(*(weight.high for weight in shown), 0.01)
    height = _ROW * len(shown) + 6
    rows = "".join(_bar(weight, row * _ROW + 4, most) for row, weight in enumerate(shown))
    return picture("Importance of hyperparameters", (_WIDTH, height), rows)


def _bar(weight: Weight, top: float, most: float) -> str:
    share, low, high = (_place(it or 0.0, most) for it in (weight.share, weight.low, weight.high))
    span = f"{weight.low:.0%} to {weight.high:.0%}"
    about = f"{weight.path}: {weight.share:.0%}, {span}, in {weight.trials} trials"
    return (
        f"<g>{said(about)}{text((_LEFT - 8, top + 14), _short(weight.path), anchor='end')}"
        f'<rect class="bar" x="{_LEFT}" y="{top + 2}" width="{share - _LEFT:.1f}" height="14"/>'
        f'<line class="whisker" x1="{low:.1f}" x2="{high:.1f}" y1="{top + 9}" y2="{top + 9}"/></g>'
    )


def _place(share: float, most: float) -> float:
    return _LEFT + min(max(share, 0.0), most) / most * (_WIDTH - _LEFT - 10)


def _short(path: str) -> str:
    """Return a path without what goes without saying.

    >>> _short("optimizer.sgd.lr")
    'sgd.lr'
    """
    return path.removeprefix("optimizer.").removeprefix("schedule.") if path.count(".") > 1 else path
