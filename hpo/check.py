"""Everything that is wrong with a search, before there is one: settings, recipe, space, store, machine."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any, TypeVar

from hpo import depot
from hpo import space as spaces
from hpo.conductor.recollection import recalling
from hpo.errors import InputError, Problem
from hpo.history import History, Search
from hpo.ledger import Ledger
from hpo.machine import hardware
from hpo.planning.contradictions import of_other_devices
from hpo.planning.ordering import order
from hpo.planning.plan import Plan
from hpo.progress import outlook
from hpo.progress.spending import Spending
from hpo.results.phrasing import short
from hpo.settings import OFF, SearchSettings

T = TypeVar("T")


def check(words: Sequence[str]) -> Plan:
    """Return what a search with these words would be; nothing is started or written.

    Raises:
        InputError: with all that is wrong; what depends on a wrong word is looked at without it.
    """
    settings, problems = _settings(words)
    search = _collect(problems, lambda: order(settings))
    if search is None:
        _collect(problems, lambda: spaces.locate(settings.space))
    _collect(problems, lambda: _machine(settings))
    _collect(problems, lambda: _store(settings))
    _collect(problems, lambda: depot.demand_package(settings.checkpoints))
    ordered = search
    if ordered and not problems:
        search = _collect(problems, lambda: recalling(Ledger(settings.store), ordered))
    if problems or search is None:
        raise InputError(*dict.fromkeys(problems))
    return Plan.of(search)


def _settings(words: Sequence[str]) -> tuple[SearchSettings, list[Problem]]:
    """Return the settings without the words that are wrong, and what is wrong with them."""
    try:
        return SearchSettings.from_words(words), []
    except InputError as error:
        wrong = {problem.where for problem in error.problems}
        try:
            return SearchSettings.from_words([it for it in words if it not in wrong]), [*error.problems]
        except InputError:
            raise error from None


def _collect(problems: list[Problem], look: Callable[[], T]) -> T | None:
    """Return what looking finds, or note what is wrong."""
    try:
        return look()
    except InputError as error:
        problems += error.problems
        return None


def _machine(settings: SearchSettings) -> None:
    if settings.cluster not in ("", OFF):
        return  # only the cluster knows what it has
    workers = settings.workers if isinstance(settings.workers, int) else None
    _, share = hardware.share_out(
        hardware.here(), workers, settings.gpus_per_trial, settings.workers_per_trial
    )
    problems = of_other_devices(settings.budget, on_gpus=bool(share.gpus))
    if problems:
        raise InputError(*problems)


def _store(settings: SearchSettings) -> None:
    ledger = Ledger(settings.store)
    if settings.name and settings.name in {it.name for it in ledger.searches()}:
        raise InputError(ledger.name_taken(settings.name))


def describe(plan: Plan) -> dict[str, Any]:
    """Return in plain data what a search would do."""
    search: Search = plan.search
    return {
        "recipe": search.recipe,
        "objective": str(search.objective),
        "trials": plan.trials,
        "budget": _budget(plan),
        "epochs": plan.epochs,
        "confirmations": plan.confirmations,
        "sampler": plan.setting("sampler"),
        "pruner": plan.setting("pruner"),
        "begins_from": list(plan.past.searches),
        "baseline": dict(plan.baseline),
        "searched": {it.name: it.node.form for it in plan.space.parameters},
    }


def _budget(plan: Plan) -> dict[str, Any] | None:
    """Return how a budget is planned before anything is known."""
    if plan.budget is None:
        return None
    planned = Spending(plan, History(plan.search.objective)).forecast()
    return {
        "limit": str(plan.budget),
        "trials": planned.trials,
        "rungs": list(plan.rungs.at),
        "confirm": planned.confirm,
        "seeds": planned.seeds,
    }


def said(plan: Plan) -> str:
    """Return the same in a few lines."""
    told = describe(plan)
    opening = [*outlook.beginning(plan), *outlook.opening(plan, History(plan.search.objective))]
    planned = "".join(f"{line}\n" for line in opening)
    listed = "\n".join(f"  {name}" for name in told["searched"])
    return (
        f"Sound: {_size(plan)}{told['objective']}, by {told['sampler']} and {told['pruner']}.\n"
        f"{planned}Trial 0 is the baseline: {short(plan.baseline)}\n"
        f"{len(told['searched'])} hyperparameters are searched:\n{listed}"
    )


def _size(plan: Plan) -> str:
    """Say how many trials there are, where that is settled."""
    if plan.frugal:
        return ""
    again = f", then up to {plan.confirmations} with fresh seeds" if plan.confirmations else ""
    return f"{plan.trials} trials of {plan.epochs} epochs{again}, "
