"""What a new search may begin from: what earlier ones of its ledger found, or the lists that ship with hpo.

It is decided once, when the search is created.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from operator import itemgetter
from typing import Final

from hpo import space as spaces
from hpo.config import Value
from hpo.errors import InputError, Problem
from hpo.history import Search, State
from hpo.ledger import Ledger, best_configs
from hpo.planning.past import Past
from hpo.planning.plan import OPTION, Plan
from hpo.settings import AUTO, OFF
from hpo.space import OneOf

_LISTED: Final = ("adam", "adamw", "rmsprop", "sgd", "adagrad")
"""The optimizers of the lists; first those whose list did best on a recipe that it was not made from."""
_SEARCHES: Final = 3
_FOUND: Final = 3
"""So many earlier searches are asked for their best, and so many configurations are taken in all."""


def recalling(ledger: Ledger, search: Search) -> Search:
    """Return a search that was ordered, with what it begins from by its `warm_start`.

    Raises:
        InputError: the search that it names is not there, or found nothing that its space has words for.
    """
    word = str(search.settings.get("warm_start", OFF))
    if word == OFF or search.settings["sampler"] != "blend":
        return search
    plan = Plan.of(search)
    past = _by_itself(ledger, plan) if word == AUTO else _of_one(ledger, plan, word)
    return replace(search, settings={**search.settings, **past.noted})


def _by_itself(ledger: Ledger, plan: Plan) -> Past:
    """Take what like searches found; without any, and where no expert has spoken, the lists."""
    past = _of_like_ones(ledger, plan)
    return past if past or plan.space.expected else _of_lists(plan)


def _of_lists(plan: Plan) -> Past:
    """Return the best of each list whose optimizer the space has, then the second best and so on.

    What a list says outside the space is left out, and with it a configuration that says nothing else.
    """
    optimizer = plan.space.nodes.get("optimizer")
    branches = optimizer.branches if isinstance(optimizer, OneOf) else {}
    ranked: list[tuple[int, str, Mapping[str, Value]]] = []
    for name in (f"five_{word}" for word in _LISTED if word in branches):
        places = map(plan.space.locate, spaces.find(name, plan.vocabulary, {}).listed)
        ranked += ((rank, name, params) for rank, params in enumerate(places) if _tells(params))
    taken = sorted(ranked, key=itemgetter(0))[:_FOUND]
    return Past(found=tuple(it for *_, it in taken), lists=tuple(sorted({name for _, name, _ in taken})))


def _tells(params: Mapping[str, Value]) -> bool:
    """Whether these have a number of the optimizer's own, without which the rest says little."""
    return any(name.startswith("optimizer.") for name in params)


def _of_one(ledger: Ledger, plan: Plan, name: str) -> Past:
    where = f"warm_start={name}"
    try:
        past = _gathered(ledger, plan, [ledger.search(name)])
    except InputError as error:
        raise InputError(*(replace(it, where=where) for it in error.problems)) from None
    if not past:
        message = "No trial of it came to its end with anything that is searched here: leave this out."
        raise InputError(Problem(where, message))
    return past


def _of_like_ones(ledger: Ledger, plan: Plan) -> Past:
    """Ask the latest like ones, before them those of the same options; none if a rule is to decide all."""
    search = plan.search
    if search.settings["deterministic"]:
        return Past()
    like = [it for it in reversed(ledger.searches()) if _alike(search, it)]
    return _gathered(ledger, plan, sorted(like, key=lambda it: _terms(it) != _terms(search))[:_SEARCHES])


def _alike(search: Search, other: Search) -> bool:
    """Whether another search came to its end on the same recipe, or one of its name, for the same goals."""
    same = other.recipe == search.recipe or other.source == search.source
    ended = other.state is State.FINISHED and not other.given
    return same and ended and other.objective == search.objective


def _terms(search: Search) -> dict[str, Value]:
    """Return what a recipe was told of model, data and epochs."""
    settings = search.settings
    return {name: it for name, it in settings.items() if name == "epochs" or name.startswith(OPTION)}


def _gathered(ledger: Ledger, plan: Plan, others: Sequence[Search]) -> Past:
    """Return the best of each, then the second best and so on, each configuration once."""
    once: dict[str, tuple[str, Mapping[str, Value]]] = {}
    for _, place, params in sorted(_located(ledger, plan, others), key=itemgetter(0, 1)):
        once.setdefault(str(params), (others[place].name, params))
    taken = list(once.values())[:_FOUND]
    return Past(tuple(sorted({name for name, _ in taken})), tuple(params for _, params in taken))


def _located(
    ledger: Ledger, plan: Plan, others: Sequence[Search]
) -> Iterator[tuple[int, int, Mapping[str, Value]]]:
    """Yield the rank, the search's place and the parameters of what has any words of the plan's space.

    The baseline is left out: it is tried anyway.
    """
    known: tuple[Mapping[str, Value], ...] = ({}, plan.space.locate(plan.baseline))
    for place, other in enumerate(others):
        for rank, config in enumerate(best_configs(ledger, other, _FOUND)):
            params = plan.space.locate(config)
            if params not in known:
                yield rank, place, params
