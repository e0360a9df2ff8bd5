"""From the user's words to a search that can start: everything is checked here, before anything runs.

`order` turns settings into a `Search`, which is what the ledger keeps; what that means to the code is its
`Plan`. A resumed search takes the same road from its row in the ledger. A single training (`order_training`)
is a search whose space holds one configuration.
"""

from __future__ import annotations

import importlib.metadata
import platform
from collections.abc import Mapping
from dataclasses import replace
from typing import Final

from hpo import depot, shipped
from hpo import recipe as recipes
from hpo import space as spaces
from hpo.config import Config, Value
from hpo.errors import InputError, Problem, did_you_mean
from hpo.history import Search
from hpo.planning import goals
from hpo.planning.contradictions import contradictions
from hpo.planning.options import of_model_or_loss, plain_value, read_options
from hpo.planning.plan import OPTION, OVERRIDE, SPACE_FILE, TRIALS
from hpo.planning.started import started_from, untold
from hpo.recipe import Recipe
from hpo.results.requirement import parse
from hpo.settings import SearchSettings, TrainSettings
from hpo.space import Points, Space
from hpo.training.words import demanding, taken_names, vocabulary_of
from hpo.training.words.schedule_words import THEN
from hpo.trial import GIVEN
from hpo.vocabulary import Vocabulary, position_of

_LIBRARIES: Final = ("hpo", "torch", "optuna", "ray", "scikit-learn", "numpy")


def order(
    settings: SearchSettings, recipe: Recipe | None = None, space_text: str = "", *, there: bool = False
) -> Search:
    """Check everything that a search needs and return it, not yet written down.

    Args:
        settings: what was typed.
        recipe: the recipe, if that is not to be found by the settings.
        space_text: the space as YAML, if that is not to be found by the settings.
        there: whether it is for a service, whose files are others than those here.

    Raises:
        InputError: with every mistake in recipe, options, space and baseline.
    """
    recipe = recipe or recipes.find(settings.recipe)
    options, problems = read_options(recipe, settings.recipe_options)
    objective, misread = goals.read(settings.objective, recipe)
    problems += misread + contradictions(settings) + _not_measured(recipe, settings.require)
    problems += taken_names(recipe)
    vocabulary = demanding(vocabulary_of(recipe, settings.parallel))
    fixed = of_model_or_loss(recipe, {name: settings.recipe_options[name] for name in options})
    problems += vocabulary.check(recipe.baseline, f"{shipped.near(recipe.path)}  baseline")
    problems += _said_twice(fixed, settings.space_overrides, OVERRIDE)
    try:
        space = _space(settings, space_text, vocabulary, fixed)
    except InputError as error:
        raise InputError(*problems, *error.problems) from None
    problems += _nothing_to_search(space, settings.space)
    space = _inheriting(recipe.baseline, space, settings.space, vocabulary)
    started, damaged = ({}, untold(space, recipe.baseline)) if there else started_from(space, recipe.baseline)
    problems += damaged
    if problems:
        raise InputError(*problems)
    search = _search(replace(recipe, objective=objective), space, settings, options)
    words = _space_words(settings, space_text)
    return replace(search, settings={**search.settings, **words, **started})


def _space(settings: SearchSettings, text: str, vocabulary: Vocabulary, fixed: Mapping[str, str]) -> Space:
    """Read a search's space, with the overrides and with what recipe options fix in it."""
    overrides = {**settings.space_overrides, **fixed}
    if text:
        return spaces.read(text, "space", vocabulary, overrides)
    return spaces.find(settings.space, vocabulary, overrides)


def _space_words(settings: SearchSettings, text: str) -> dict[str, str]:
    """Return the settings that tell where the space came from: its file, if it has one, and the overrides."""
    words = {f"{OVERRIDE}{path}": value for path, value in settings.space_overrides.items()}
    return words if text else {**words, SPACE_FILE: str(spaces.locate(settings.space).resolve())}


def order_training(settings: TrainSettings, recipe: Recipe | None = None) -> Search:
    """Check everything that a single training needs and return it as a search of one configuration.

    What the words leave open is as in the recipe's baseline; but a branch that they name anew, such as
    another optimizer, takes its own defaults. The recipe is found by the settings if none is given.

    Raises:
        InputError: with every mistake in recipe, options and configuration.
    """
    recipe = recipe or recipes.find(settings.recipe)
    options, problems = read_options(recipe, settings.recipe_options)
    problems += taken_names(recipe)
    vocabulary = demanding(vocabulary_of(recipe)).saying([*recipe.baseline, *settings.config])
    fixed = of_model_or_loss(recipe, options)
    problems += _said_twice(fixed, settings.config)
    given = {name: plain_value(text) for name, text in settings.config.items()}
    config = _reconfigured(recipe.baseline, vocabulary, {**given, **fixed})
    problems += vocabulary.check(recipe.baseline, f"{shipped.near(recipe.path)}  baseline") or [
        _as_typed(problem, settings.config) for problem in vocabulary.check(config, "")
    ]
    if problems:
        raise InputError(*problems)
    space = Space.of(vocabulary.defaults(config), vocabulary.branches)
    started, damaged = started_from(space)
    if damaged:
        raise InputError(*damaged)
    search = _search(recipe, space, settings, options)
    return replace(search, settings={**search.settings, **started})


def _reconfigured(baseline: Config, vocabulary: Vocabulary, given: Mapping[str, Value]) -> Config:
    """Put words into a baseline; what it says of a branch goes with the branch."""
    anew = [name for name in vocabulary.branches if name in given and given[name] != baseline.get(name)]
    kept = {name: value for name, value in baseline.items() if name.partition(".")[0] not in anew}
    return Config(kept) | given


def _as_typed(problem: Problem, words: Mapping[str, str]) -> Problem:
    """Point at the word that was typed, where there was one."""
    name = problem.where.strip()
    return replace(problem, where=f"{name}={words[name]}" if name in words else name)


def _search(
    recipe: Recipe, space: Space, settings: SearchSettings | TrainSettings, options: Mapping[str, Value]
) -> Search:
    return Search(
        name=settings.name or "",
        recipe=recipe.name,
        path=recipe.path,
        source=recipe.source,
        space=space.to_yaml(),
        objective=recipe.objective,
        settings=_words(settings) | {f"{OPTION}{name}": value for name, value in options.items()},
        versions=versions(),
    )


def _words(settings: SearchSettings | TrainSettings) -> dict[str, Value]:
    """Return the settings that shape the search itself, not where it is kept."""
    elsewhere = {"recipe", "name", "store", "service", "junit", "recipe_options", "space_overrides", "config"}
    of_one = {"budget": "", "trials": 1, "timeout": None, "sampler": GIVEN, "pruner": "none"}
    of_all = {**settings.model_dump(exclude=elsewhere), "checkpoints": depot.whole(settings.checkpoints)}
    words = {**of_one, **of_all}
    return words if words["trials"] or words["budget"] else {**words, "trials": TRIALS}


def _said_twice(fixed: Mapping[str, Value], others: Mapping[str, str], prefix: str = "") -> list[Problem]:
    twice = [name for name in fixed if name in others]
    message = "Fixed by recipe.{0} and set by {1}: give only one of them."
    return [
        Problem(f"{prefix}{name}", message.format(name.partition(".")[2], f"{prefix}{name}"))
        for name in twice
    ]


def _not_measured(recipe: Recipe, required: str) -> list[Problem]:
    known = {"loss", recipe.objective.metric, *recipe.metrics}
    return [
        Problem(f"require={it}", f"This recipe does not measure {it.metric}.{did_you_mean(it.metric, known)}")
        for it in parse(required)
        if it.metric not in known
    ]


def _nothing_to_search(space: Space, word: str) -> list[Problem]:
    if space.parameters:
        return []
    message = "Nothing is searched here: every trial would be the same. Write a range, such as"
    return [Problem(f"space={word}", f"{message} clip_norm: {{log: [0.1, 10]}}, or train once: hpo train")]


def _inheriting(baseline: Config, space: Space, where: str, vocabulary: Vocabulary) -> Space:
    """Return the space with what the baseline says of all that the space leaves open.

    A point that names an option of a branch speaks of the branch, and a schedule of what follows it. What
    only some points name is as in the baseline in the others.
    """
    listed = {key: node for key, node in space.nodes.items() if isinstance(node, Points)}
    named = [name for points in listed.values() for point in points.configs for name in point]
    said = {*space.nodes, *named, *(name.partition(".")[0] for name in named)}
    if "schedule" in said:
        said.update(key for key in vocabulary.branches if position_of(key, THEN))
    left = Space.of(baseline, vocabulary.branches).nodes.items()
    inherited = {key: node for key, node in left if key not in said}
    alone = {name: it for name, it in baseline.items() if name.partition(".")[0] not in vocabulary.branches}
    of_points = {name: it for name, it in alone.items() if name in named}
    filled = {key: points.filled(of_points) for key, points in listed.items()}
    return spaces.read(Space({**space.nodes, **filled, **inherited}).to_yaml(), where, vocabulary)


def versions() -> dict[str, str]:
    """Return the versions of what a search is computed with."""
    libraries = {name: importlib.metadata.version(name) for name in _LIBRARIES}
    return {"python": platform.python_version(), **libraries}
