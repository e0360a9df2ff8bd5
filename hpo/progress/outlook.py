"""How a budget is planned, how that changed, and why a search ended, in sentences."""

from __future__ import annotations

from collections.abc import Sequence

from hpo.history import History, State
from hpo.planning.plan import Plan
from hpo.planning.rungs import PASSES
from hpo.progress.clock import Clock
from hpo.progress.spending import GAIN, MONEY, Spending
from hpo.results.phrasing import brief
from hpo.trial import SPENT, Forecast


def beginning(plan: Plan) -> list[str]:
    """Say what a search begins from, and that there is no more to try; nothing where neither is so."""
    return [*_few(plan), *_source(plan)]


def _few(plan: Plan) -> list[str]:
    if plan.configurations is None or plan.trials != plan.configurations:
        return []
    return [f"There are {plan.configurations} configurations, with the baseline; each is tried once"]


def _source(plan: Plan) -> list[str]:
    past = plan.past
    if not past:
        return []
    number = f"{len(past.found)} configuration{'' if len(past.found) == 1 else 's'}"
    if past.lists:
        known = f"{number} that did well on other recipes ({past.sources})"
        return [f"The space has no priors: begins from {known}; warm_start=off begins anew"]
    return [f"Begins from what {_listed(past.searches)} found ({number}); warm_start=off begins anew"]


def opening(plan: Plan, history: History) -> list[str]:
    """Return what a budget is for, before the search starts or goes on; nothing where there is none."""
    if plan.budget is None:
        return []
    planned = _planned(plan, history)
    used = [f"used: {plan.budget.told(planned.used, plan.epochs)}"] if history.forecast else []
    return [*used, _searching(plan, planned), _afterwards(plan, planned), *_sooner(plan)]


def _planned(plan: Plan, history: History) -> Forecast:
    """Return how the rest is planned: what was planned under other terms may count in another unit."""
    last = history.forecast
    if last and last.terms == plan.terms:
        return last
    return Spending(plan, history, Clock(plan.search.used, pace=0)).forecast()


def _searching(plan: Plan, planned: Forecast) -> str:
    most = "" if plan.trials is None else f", {plan.trials} at most"
    number = "as many" if planned.trials is None else f"about {planned.trials}"
    trials = f"{number} trials of {plan.epochs} epochs" + (" as it pays for" if number == "as many" else "")
    return f"{plan.limit}: {trials}{most}{_compared(plan)}"


def _compared(plan: Plan) -> str:
    at = plan.rungs.at
    if not at:
        return ""
    share = "third or more" if plan.rungs.passes == PASSES else "half"
    epochs = "epoch" if len(at) == 1 else "epochs"
    return f"; the best {share} goes on after {epochs} {_listed(list(map(str, at)))}"


def _afterwards(plan: Plan, planned: Forecast) -> str:
    if not plan.confirm:
        return "nothing is trained with fresh seeds"
    if not planned.confirm:
        return "too little for fresh seeds: nothing is confirmed"
    known = plan.budget is not None and (not plan.budget.timed or planned.trials is not None)
    then = again(plan, planned.confirm, planned.seeds, up_to=not known)
    return f"then {then}; for that, half of the budget is kept at most"


def again(plan: Plan, confirm: int, seeds: int, *, up_to: bool = False) -> str:
    """Say who trains again, and with how many fresh seeds."""
    knee = ", the knee" if plan.search.objective.beside else ""
    number = f"{'up to ' if up_to else ''}{seeds} fresh seed{'' if seeds == 1 else 's'}"
    return f"the best {confirm}{knee} and the baseline again with {number}"


def _sooner(plan: Plan) -> list[str]:
    equal = _at_equal_costs(plan)
    sooner = f"it ends sooner if more trials are expected to gain less{equal} than the score moves by itself"
    return [sooner] if plan.frugal else []


def _at_equal_costs(plan: Plan) -> str:
    beside = plan.search.objective.beside
    return f" at equal {_listed(beside)}" if beside else ""


def changed(plan: Plan, planned: Forecast) -> str:
    """Say how the rest of a budget is planned now."""
    if plan.budget is None:
        return ""
    trials = "" if planned.trials is None else f"about {planned.trials} trials, "
    after = again(plan, planned.confirm, planned.seeds) if planned.confirm else "none again"
    return f"now {trials}then {after}; {plan.budget.told(planned.used, plan.epochs)} used"


def now(plan: Plan, history: History) -> list[str]:
    """Return how the rest of a budget is planned, in one line; nothing where there is none."""
    if not plan.frugal:
        return []
    if history.forecast is None:
        return opening(plan, history)[:1]
    planned = _planned(plan, history)
    return [ended(plan, history) if planned.over else changed(plan, planned)]


def end(plan: Plan, history: History) -> tuple[State, str]:
    """Say what a search has come to that was not interrupted, and why."""
    if history.hopeless:
        return State.FAILED, f"Trial after trial failed: {history.hopeless}"
    if history.best is not None:
        return State.FINISHED, ended(plan, history)
    if plan.search.given:
        return State.FAILED, _fate(history)
    return State.FAILED, f"No trial came to its end ({_counted(plan, history)})."


def _counted(plan: Plan, history: History) -> str:
    """Say what became of the trials, and whether there was time for them."""
    counts = ", ".join(f"{number} {name}" for name, number in history.counts.items())
    ended = history.ended
    late = plan.limit and (not ended or any(it.ending and it.ending.reason in SPENT for it in ended))
    return (counts or "none started") + (f"; {plan.limit} was over first" if late else "")


def _fate(history: History) -> str:
    """Say how the one trial ended."""
    (ending,) = (trial.ending for trial in history.ended)
    return f"{ending.outcome}: {ending.reason}" if ending else ""


def ended(plan: Plan, history: History) -> str:
    """Say why the search ended before all trials were tried that might have been; nothing if it did not."""
    planned, asked = history.forecast, plan.setting("trials")
    if plan.configurations and len(history.searched) == plan.configurations != asked:
        return all_tried(plan)
    if planned is None or planned.over not in (GAIN, MONEY):
        return ""
    count = len(history.searched)
    if planned.over == MONEY:
        return f"{count} trials, as many as {plan.limit} pays for"
    before = next((it.trials for it in reversed(history.forecasts) if not it.over and it.trials), count)
    gain, noise = brief(planned.gain or 0.0), brief(planned.noise or 0.0)
    return (
        f"stopped after {count} of about {max(before, count)} trials: more are expected to better "
        f"{history.objective.metric}{_at_equal_costs(plan)} by {gain}, and it moves by {noise} anyway"
    )


def all_tried(plan: Plan) -> str:
    """Say that nothing is left to try."""
    return f"all {plan.configurations} configurations of the space were tried"


def _listed(words: Sequence[str]) -> str:
    return " and ".join(filter(None, (", ".join(words[:-1]), *words[-1:])))
