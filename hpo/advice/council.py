"""All who advise, and in which order they are heard."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Final

from hpo.advice.advice import Advice
from hpo.advice.budget import starved, warmups
from hpo.advice.curves import curves
from hpo.advice.divergence import divergence
from hpo.advice.edges import edges
from hpo.advice.effects import effects
from hpo.advice.facts import Facts
from hpo.advice.optimizers import optimizers
from hpo.errors import InputError
from hpo.history import History, Search
from hpo.planning.plan import Plan

FEWEST: Final = 12
"""Ended trials below which a search is too small for any advice."""


def advise(search: Search, history: History) -> list[Advice]:
    """Return what there is to say of a search, what would change most first; often nothing."""
    if search.given or sum(history.counts.values()) < FEWEST:
        return []
    try:
        plan = Plan.of(search)
    except InputError:  # written by an hpo that took other words; its pages are shown all the same
        return []
    return list(_heard(Facts(plan, history)))


def _heard(facts: Facts) -> Iterator[Advice]:
    yield from divergence(facts)
    yield from edges(facts)
    yield from warmups(facts)
    yield from curves(facts)
    yield from optimizers(facts)
    yield from starved(facts)
    yield from effects(facts)
