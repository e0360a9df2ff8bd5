"""A recipe's own options, as they are typed: `recipe.width=64`."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import TypeVar

from hpo.config import Value
from hpo.errors import Problem, did_you_mean
from hpo.planning.plan import OPTION
from hpo.recipe import Recipe

Given = TypeVar("Given", bound=Value)


def of_model_or_loss(recipe: Recipe, options: Mapping[str, Given]) -> dict[str, Given]:
    """Return those options that belong in a configuration, by their names there."""
    return {
        f"{owner}.{name}": options[name]
        for owner, own in recipe.options.items()
        for name in options
        if name in own
    }


def read_options(recipe: Recipe, given: Mapping[str, str]) -> tuple[dict[str, Value], list[Problem]]:
    """Return the options that a recipe knows, as values, and what is wrong with the others."""
    known = recipe.arguments
    options: dict[str, Value] = {}
    problems = []
    for name, text in given.items():
        where = f"{OPTION}{name}={text}"
        if name not in known:
            hint = did_you_mean(name, known)
            problems.append(Problem(where, f"The recipe {recipe.name} has no option of this name.{hint}"))
            continue
        value = plain_value(text)
        if _fits(value, known[name]):
            options[name] = value
        else:
            kind = type(known[name]).__name__
            problems.append(Problem(where, f"Must be of type {kind}, as its default {known[name]!r} is."))
    return options, problems


def plain_value(text: str) -> Value:
    """Read a word as a number, true, false or null if it is one."""
    try:
        value = json.loads(text, parse_constant=str)
    except ValueError:
        return text
    return value if isinstance(value, bool | int | float | str | None) else text


def _fits(value: Value, default: Value) -> bool:
    if default is None or type(value) is type(default):
        return True
    return isinstance(default, float) and isinstance(value, int) and not isinstance(value, bool)
