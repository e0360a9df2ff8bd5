"""More than one goal: from the words `objective=loss,memory,seconds` to what a search is for."""

from __future__ import annotations

from collections.abc import Iterator

from hpo.errors import Problem, did_you_mean
from hpo.recipe import BETTER, COSTS, DIRECTIONS, Objective, Recipe


def listed(text: str) -> list[str]:
    """Return the goals that are named in a text, with commas between them."""
    return [part.strip() for part in text.split(",")] if text else []


def read(text: str, recipe: Recipe) -> tuple[Objective, list[Problem]]:
    """Return what a search of a recipe is for, and what is wrong with how that was said.

    Args:
        text: a measure of the recipe's, maybe with its direction, and costs: `maximize f1,memory`; nothing
            for the recipe's own objective.
        recipe: what is trained.
    """
    first, *beside = listed(text) or [str(recipe.objective)]
    where = f"objective={text}"
    direction, _, metric = first.rpartition(" ")
    problems = [Problem(where, it) for it in (*_misled(direction, metric, recipe), *_no_costs(beside))]
    if problems:
        return recipe.objective, problems
    return Objective(direction or _direction(metric, recipe), metric, tuple(beside)), []


def _direction(metric: str, recipe: Recipe) -> str:
    """Return which way a measure is better, if that is known."""
    return recipe.objective.direction if metric == recipe.objective.metric else BETTER.get(metric, "")


def _misled(direction: str, metric: str, recipe: Recipe) -> Iterator[str]:
    """Say what is wrong with the first goal."""
    known = {"loss", recipe.objective.metric, *recipe.metrics}
    if metric in COSTS and metric not in known:
        measure = recipe.objective.metric
        yield f"The first goal is what the recipe measures, costs follow it: objective={measure},{metric}."
    elif metric not in known:
        yield f"This recipe does not measure {metric or 'that'}.{did_you_mean(metric, known)}"
    elif direction and direction not in DIRECTIONS:
        yield f"A direction is minimize or maximize, got {direction!r}."
    elif not (direction or _direction(metric, recipe)):
        yield f"Is more of it better? Write objective='maximize {metric}' or 'minimize {metric}'."


def _no_costs(beside: list[str]) -> Iterator[str]:
    for name in dict.fromkeys(beside):
        if name not in COSTS:
            known = did_you_mean(name, COSTS)
            yield f"What follows the first goal is a cost, {name or 'nothing'} is none.{known}"
        elif beside.count(name) > 1:
            yield f"{name} is named twice."
