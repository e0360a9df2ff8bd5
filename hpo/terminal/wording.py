"""Numbers, times and trials in a few words, the same in the live view, the lines and the tables."""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Mapping
from typing import TYPE_CHECKING, Final

from hpo.history import History, Search, Trial
from hpo.machine.usage import Use
from hpo.progress import outlook
from hpo.recipe import Objective
from hpo.results import phrasing, summary
from hpo.trial import Outcome

_REASONS: Final = 3
_GIB: Final = 2**30

if TYPE_CHECKING:
    from hpo.planning.plan import Plan


def number(value: float) -> str:
    """Return a measured value with four digits.

    >>> number(0.031249)
    '0.03125'
    """
    return f"{value:.4g}".replace("e-0", "e-").replace("e+0", "e")


def loss(value: float) -> str:
    """Return a loss with seven decimals, by which curves are compared; four digits if it is tiny or huge.

    >>> loss(0.01966219), loss(3.2e-9)
    ('0.0196622', '3.2e-9')
    """
    return f"{value:.7f}" if 1e-4 <= abs(value) < 1e3 else number(value)


def memory(found: Mapping[str, Mapping[str, int]]) -> str:
    """Return the bytes of a training, as `hpo.history.Trial.memory` has them.

    >>> memory({"measured": {"parameters": 16, "gradients": 16, "state": 0, "average": 0, "total": 32}})
    'memory measured 32 bytes (parameters 16 · gradients 16 · optimizer state 0)'
    """
    return "memory " + ", ".join(f"{name} {_bytes(parts)}" for name, parts in found.items())


def _bytes(parts: Mapping[str, int]) -> str:
    names = {"parameters": "parameters", "gradients": "gradients", "state": "optimizer state"}
    if parts["average"]:
        names["average"] = "averaged weights"
    listed = " · ".join(f"{name} {parts[key]:,}" for key, name in names.items())
    return f"{parts['total']:,} bytes ({listed})"


def duration(seconds: float) -> str:
    """Return a time as a person says it.

    >>> duration(4.2), duration(200), duration(3725)
    ('4.2 s', '3 min 20 s', '1 h 02 min')
    """
    if seconds < 10:
        return f"{seconds:.1f} s"
    minutes, rest = divmod(round(seconds), 60)
    hours, minutes = divmod(minutes, 60)
    if hours:
        return f"{hours} h {minutes:02d} min"
    return f"{minutes} min {rest:02d} s" if minutes else f"{rest} s"


def ordered(plan: Plan) -> str:
    """Return what a search is to train, with what comes after it."""
    trials = f"{plan.trials} trials of {plan.epochs} epochs"
    again = outlook.again(plan, plan.confirm, len(plan.fresh_seeds))
    return f"{trials}, then {again}" if plan.confirmations else trials


def expected(search: Search, history: History) -> str:
    """Return how many trials there will be, as far as anybody knows."""
    asked, planned = search.settings.get("trials"), history.forecast
    if not search.settings.get("budget") or planned is None or planned.trials is None:
        return str(asked or "?")
    return f"{'' if planned.over else 'about '}{planned.trials}"


def tally(counts: Mapping[str, int]) -> str:
    """Return the number of trials by outcome.

    >>> tally({"pruned": 20, "finished": 12})
    '12 finished · 20 pruned'
    """
    return " · ".join(f"{counts[outcome]} {outcome}" for outcome in Outcome if counts.get(outcome))


def outcomes(history: History) -> str:
    """Return the number of trials by outcome, each with its commonest reasons: epochs of prunings, errors."""
    counts, reasons = history.counts, defaultdict[str, Counter[str]](Counter)
    for trial in history.searched:
        if trial.outcome and (reason := _reason(trial)):
            reasons[trial.outcome][reason] += 1
    return " · ".join(
        f"{counts[outcome]} {outcome}{_commonest(reasons[outcome])}" for outcome in Outcome if counts[outcome]
    )


def _reason(trial: Trial) -> str:
    """Say why a trial ended, in words that others share."""
    if trial.outcome is Outcome.PRUNED:
        return first_line(trial.ending.reason if trial.ending else "") or f"at epoch {trial.epochs}"
    return "" if trial.outcome is Outcome.DIVERGED else cause(trial)


def _commonest(reasons: Counter[str]) -> str:
    several = len(reasons) > 1
    told = (f"{number} {reason}" if several else reason for reason, number in reasons.most_common(_REASONS))
    return f" ({', '.join(told)})" if reasons else ""


def use(name: str, found: Use) -> str:
    """Return how busy a processor is.

    >>> use("cpu", Use(0.97, 3 * 2**30, 24 * 2**30))
    'cpu 97% memory 3.0 of 24.0 GiB'
    """
    share = "" if found.share is None else f"{found.share:.0%} "
    return f"{name} {share}memory {found.used / _GIB:.1f} of {found.total / _GIB:.1f} GiB"


def measured(trial: Trial, objective: Objective, width: int = 0) -> str:
    """Return what the last epoch measured, the objective first: `loss 0.03125  accuracy 0.99`."""
    pairs = summary.measures(trial, objective).items()
    return "  ".join(f"{name} {number(value):<{width}}" for name, value in pairs)


def cause(trial: Trial) -> str:
    """Return why a trial did not train to its end, if that was no choice of ours."""
    if trial.ending is None or trial.ending.outcome in (Outcome.FINISHED, Outcome.PRUNED):
        return ""
    return first_line(trial.ending.reason)


def first_line(message: str) -> str:
    """Return the first line of an error's text, without what would steer the terminal."""
    line = message.strip().partition("\n")[0]
    return "".join(filter(str.isprintable, line))


def ended(trial: Trial, objective: Objective) -> str:
    """Return an ended trial in one line, what went wrong or its config last."""
    facts = [
        f"trial {trial.number:>3}",
        f"{trial.outcome or '':<8}",
        f"epoch {trial.epochs:>2}",
        measured(trial, objective, width=7),
        "" if trial.proposal.seed is None else f"seed {trial.proposal.seed}",
        cause(trial) or phrasing.short(trial.proposal.config),
    ]
    return "  ".join(filter(None, facts))
