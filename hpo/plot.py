"""Pictures on request: of a search in a ledger, or of a space."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

from hpo import pictures
from hpo import recipe as recipes
from hpo import space as spaces
from hpo.errors import InputError, Problem
from hpo.ledger import Ledger
from hpo.pictures import Drawn
from hpo.planning.plan import Plan
from hpo.settings import PlotSettings
from hpo.training.words import VOCABULARY, vocabulary_of


def plot(settings: PlotSettings) -> list[Drawn]:
    """Draw what the settings name; return each picture's file, or why there is none.

    Raises:
        InputError: there is no such search, space or recipe, or the folder cannot be written to.
    """
    if (settings.name is None) == (settings.space is None):
        message = "Name a search (hpo plot cnn-1) or a space (hpo plot space=schedules): one of them."
        raise InputError(Problem("", message))
    if settings.space is None and settings.recipe is not None:
        message = "This goes with space=; a search has its recipe."
        raise InputError(Problem(f"recipe={settings.recipe}", message))
    draw = _search(settings) if settings.name else _space(settings)
    try:
        return draw(Path(settings.to))
    except OSError as error:
        problem = Problem(f"to={settings.to}", f"Cannot write here: {error.strerror}.")
        raise InputError(problem) from None


def _search(settings: PlotSettings) -> Callable[[Path], list[Drawn]]:
    ledger = Ledger(settings.store)
    search = ledger.search(settings.name or "")
    plan, history = Plan.of(search), ledger.history(search)
    return lambda folder: pictures.draw(plan, history, folder)


def _space(settings: PlotSettings) -> Callable[[Path], list[Drawn]]:
    word = settings.space or ""
    recipe = recipes.find(settings.recipe) if settings.recipe else None
    vocabulary = vocabulary_of(recipe) if recipe else VOCABULARY
    try:
        space = spaces.find(word, vocabulary, {})
    except InputError as error:
        message = "If the space has options of a recipe, name the recipe as well."
        hint = [] if recipe else [Problem("recipe=…", message)]
        raise InputError(*error.problems, *hint) from None
    return lambda folder: pictures.draw_space(f"space {word}", space, vocabulary, folder)
