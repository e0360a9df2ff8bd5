"""From the user's words to a search that can start: everything is checked here, before anything runs.

`order` turns settings into a `Search`, which is what the ledger keeps; a `Plan` is what that search
means to the code. A resumed search takes the same road from its row in the ledger. A single training
(`order_training`) is a search whose space holds one configuration.
"""

from __future__ import annotations

import importlib.metadata
import json
import platform
from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any, Final, TypeVar

from hpo import goals, shipped
from hpo import recipe as recipes
from hpo import space as spaces
from hpo.budget import SECONDS, TRAININGS, Budget
from hpo.config import Config, Value
from hpo.contradictions import contradictions
from hpo.errors import InputError, Problem, did_you_mean
from hpo.history import GIVEN, Search
from hpo.recipe import MEMORY, Recipe
from hpo.requirement import parse
from hpo.rungs import Rungs, rungs
from hpo.settings import SearchSettings, TrainSettings
from hpo.space import Space
from hpo.training.checkpoint import CHECKPOINT_SUFFIX, CheckpointError, read_whole
from hpo.training.values import START, TRANSFER
from hpo.training.words import vocabulary_of
from hpo.vocabulary import Vocabulary

_TERMS: Final = ("budget", "timeout", "trials", "confirm", "confirm_seeds")

OPTION: Final = "recipe."
OVERRIDE: Final = "space."
SPACE_FILE: Final = "space_file"
"""The setting that keeps the path of the space, so that it is found again from any folder."""

Given = TypeVar("Given", bound=Value)

_ROUNDS: Final = 4
"""So often, at least, a sampler that learns is to learn something before it proposes again."""

FEWEST_SEEDS: Final = 2
"""With one there is no interval."""
_MOST_SEEDS: Final = 5
_TRIALS_TO_EACH: Final = 3

_TRIALS: Final = 64
"""Where nothing else says how many."""

_LIBRARIES: Final = ("hpo", "torch", "optuna", "ray", "scikit-learn", "numpy")


@dataclass(frozen=True)
class Plan:
    """A search, understood: its recipe, its space, and the baseline as a complete configuration."""

    search: Search
    recipe: Recipe
    vocabulary: Vocabulary
    space: Space
    baseline: Config
    data_options: Mapping[str, Value]

    @property
    def epochs(self) -> int:
        """How long a full training is."""
        return int(self.search.settings["epochs"] or self.recipe.epochs)

    @property
    def at_once(self) -> int | None:
        """How many trials a worker trains at once; None: what a measurement recommends."""
        fuse = self.search.settings.get("fuse", "off")
        if self.setting("workers_per_trial") > 1 or self.setting("deterministic"):
            return 1
        return None if fuse == "auto" else 1 if fuse == "off" else int(str(fuse))

    @property
    def at_work(self) -> int:
        """How many workers train at the same time."""
        return int(str(self.search.settings.get("at_work", 1)))

    @property
    def costs(self) -> tuple[str, ...]:
        """What is measured of each trial before it trains."""
        if self.search.given:
            return ()
        limited = (MEMORY,) if self.setting("memory") else ()
        return tuple(dict.fromkeys((*self.search.objective.beside, *limited)))

    @property
    def most_at_once(self) -> int:
        """The most that a worker may train at once and leave its share to others.

        A sampler that learns needs to see results before it proposes again.
        """
        rounds = 1 if self.setting("sampler") in ("random", "qmc") else _ROUNDS
        return max(1, self._about // (rounds * self.at_work))

    @property
    def trials(self) -> int | None:
        """How many configurations are tried at most; None: as many as the budget pays for."""
        asked = self.setting("trials")
        return int(asked) if asked else None if self.setting("budget") else _TRIALS

    @property
    def _about(self) -> int:
        """How many trials there will be, as far as that can be said before the first."""
        budget = self.budget
        if self.trials or budget is None or budget.unit != TRAININGS:
            return self.trials or _TRIALS
        return max(1, int(budget.limit(self.epochs) / 2 / self.rungs.further(self.epochs)))

    @property
    def budget(self) -> Budget | None:
        """What the search may cost, all in all, if that is bounded."""
        asked, timeout = self.setting("budget"), self.setting("timeout")
        return Budget.parse(asked) if asked else Budget(timeout, SECONDS) if timeout else None

    @property
    def limit(self) -> str:
        """The word that bounds what it costs; nothing if none does."""
        word = "budget" if self.frugal else "timeout"
        return f"{word}={self.budget}" if self.budget else ""

    @property
    def frugal(self) -> bool:
        """Whether it ends where more is not worth its cost."""
        return bool(self.setting("budget"))

    @property
    def pace(self) -> float:
        """What a second costs: as much as there are devices at work, where these count."""
        devices = self.search.settings.get("held", 1)
        return float(str(devices)) if self.budget and self.budget.of_devices else 1.0

    @property
    def terms(self) -> str:
        """The words that bound the search: a plan of its rest holds as long as they do."""
        return " ".join(f"{name}={self.setting(name)}" for name in _TERMS)

    @property
    def rungs(self) -> Rungs:
        """Where trials are compared."""
        return rungs(self.setting("pruner"), self.epochs)

    @property
    def confirm(self) -> int:
        """How many of the best are trained again with fresh seeds, beside the baseline and the knee."""
        return 0 if self.search.given else int(self.setting("confirm"))

    @property
    def fresh_seeds(self) -> range:
        """The seeds that they are trained with, each one for all of them."""
        first, asked = int(self.setting("seed")) + 1, self.setting("confirm_seeds")
        count = self._seeds_paid_for if asked == "auto" else int(asked)
        return range(first, first + (count if self.confirm else 0))

    @property
    def _seeds_paid_for(self) -> int:
        """As many as make one training for each three trials, so that a glance stays one.

        Where something is required of the winner, as many as are of use; a budget decides for itself.
        """
        if self.setting("require") or self.frugal:
            return _MOST_SEEDS
        seeds = min(_MOST_SEEDS, self._about // (_TRIALS_TO_EACH * self.candidates(self.confirm)))
        return seeds if seeds >= FEWEST_SEEDS else 0

    @property
    def confirmations(self) -> int:
        """How many trainings with fresh seeds there will be at most."""
        return self.candidates(self.confirm) * len(self.fresh_seeds)

    def candidates(self, best: int) -> int:
        """How many configurations train again with so many of the best: the baseline and any knee, too."""
        return best + (2 if self.search.objective.beside else 1)

    def setting(self, name: str) -> Any:
        """Return one of the words that the search was started with; one that is younger has its default."""
        settings = self.search.settings
        if name in settings:
            return settings[name]
        return SearchSettings.model_fields[name].get_default(call_default_factory=True)

    @classmethod
    def of(cls, search: Search) -> Plan:
        """Understand a search from what the ledger keeps of it."""
        recipe = replace(recipes.read(search.source, search.path), objective=search.objective)
        options = _below(search.settings, OPTION)
        vocabulary = vocabulary_of(recipe)
        space = spaces.read(search.space, f"space of {search.name}", vocabulary)
        return cls(
            search=search,
            recipe=recipe,
            vocabulary=vocabulary,
            space=space,
            baseline=space.first if search.given else _baseline(recipe, vocabulary, space),
            data_options={name: value for name, value in options.items() if name in recipe.data},
        )


def order(settings: SearchSettings, recipe: Recipe | None = None, space_text: str = "") -> Search:
    """Check everything that a search needs and return it, not yet written down.

    Args:
        settings: what was typed.
        recipe: the recipe, if that is not to be found by the settings.
        space_text: the space as YAML, if that is not to be found by the settings.

    Raises:
        InputError: with every mistake in recipe, options, space and baseline.
    """
    recipe = recipe or recipes.find(settings.recipe)
    options, problems = _options(recipe, settings.recipe_options)
    objective, misread = goals.read(settings.objective, recipe)
    problems += misread + contradictions(settings) + _not_measured(recipe, settings.require)
    vocabulary = vocabulary_of(recipe, settings.parallel)
    fixed = _of_model_or_loss(recipe, {name: settings.recipe_options[name] for name in options})
    problems += vocabulary.check(recipe.baseline, f"{shipped.near(recipe.path)}  baseline")
    problems += _said_twice(fixed, settings.space_overrides, "space.")
    overrides = {**settings.space_overrides, **fixed}
    try:
        if space_text:
            space = spaces.read(space_text, "space", vocabulary, overrides)
        else:
            space = spaces.find(settings.space, vocabulary, overrides)
    except InputError as error:
        raise InputError(*problems, *error.problems) from None
    problems += _nothing_to_search(space, settings.space)
    space = _inheriting(recipe.baseline, space, settings.space, vocabulary)
    problems += _damaged(space)
    if problems:
        raise InputError(*problems)
    search = _search(replace(recipe, objective=objective), space, settings, options)
    words: dict[str, Value] = {f"{OVERRIDE}{path}": text for path, text in settings.space_overrides.items()}
    if not space_text:
        words[SPACE_FILE] = str(spaces.locate(settings.space).resolve())
    return replace(search, settings={**search.settings, **words})


def order_training(settings: TrainSettings, recipe: Recipe | None = None) -> Search:
    """Check everything that a single training needs and return it as a search of one configuration.

    What the words leave open is as in the recipe's baseline; but a branch that they name anew, such as
    another optimizer, takes its own defaults. The recipe is found by the settings if none is given.

    Raises:
        InputError: with every mistake in recipe, options and configuration.
    """
    recipe = recipe or recipes.find(settings.recipe)
    options, problems = _options(recipe, settings.recipe_options)
    vocabulary = vocabulary_of(recipe).saying([*recipe.baseline, *settings.config])
    fixed = _of_model_or_loss(recipe, options)
    problems += _said_twice(fixed, settings.config)
    given = {name: _plain_value(text) for name, text in settings.config.items()}
    config = _reconfigured(recipe.baseline, vocabulary, {**given, **fixed})
    problems += vocabulary.check(recipe.baseline, f"{shipped.near(recipe.path)}  baseline") or [
        _as_typed(problem, settings.config) for problem in vocabulary.check(config, "")
    ]
    if problems:
        raise InputError(*problems)
    space = Space.of(vocabulary.defaults(config), vocabulary.branches)
    if damaged := _damaged(space):
        raise InputError(*damaged)
    return _search(recipe, space, settings, options)


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
    words = {**of_one, **settings.model_dump(exclude=elsewhere)}
    return words if words["trials"] or words["budget"] else {**words, "trials": _TRIALS}


def _of_model_or_loss(recipe: Recipe, options: Mapping[str, Given]) -> dict[str, Given]:
    """Return those options that belong in a configuration, by their names there."""
    return {
        f"{owner}.{name}": options[name]
        for owner, own in recipe.options.items()
        for name in options
        if name in own
    }


def _options(recipe: Recipe, given: Mapping[str, str]) -> tuple[dict[str, Value], list[Problem]]:
    known = {**recipe.data, **recipe.loss, **recipe.model}
    options: dict[str, Value] = {}
    problems = []
    for name, text in given.items():
        where = f"{OPTION}{name}={text}"
        if name not in known:
            hint = did_you_mean(name, known)
            problems.append(Problem(where, f"The recipe {recipe.name} has no option of this name.{hint}"))
            continue
        value = _plain_value(text)
        if _fits(value, known[name]):
            options[name] = value
        else:
            kind = type(known[name]).__name__
            problems.append(Problem(where, f"Must be of type {kind}, as its default {known[name]!r} is."))
    return options, problems


def _plain_value(text: str) -> Value:
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
    """Return the space with what the baseline says of transfer, which a space for any recipe leaves open."""
    names = [item.name for item in TRANSFER if item.name in baseline and item.name not in space.nodes]
    whole = Space({**space.nodes, **{name: spaces.Fixed(baseline[name]) for name in names}})
    return spaces.read(whole.to_yaml(), where, vocabulary) if names else space


def _damaged(space: Space) -> list[Problem]:
    """Return what is wrong with the files that training may start from."""
    node = space.nodes.get(START.name)
    paths = node.options if isinstance(node, spaces.Choice) else [getattr(node, "value", None)]
    problems = []
    for path in paths:
        if isinstance(path, str) and path.endswith(CHECKPOINT_SUFFIX):
            try:
                read_whole(path)
            except CheckpointError as error:
                problems.append(Problem(START.name, str(error)))
    return problems


def _baseline(recipe: Recipe, vocabulary: Vocabulary, space: Space) -> Config:
    """Return the baseline, complete: what it leaves open is as the space fixes it, or the default."""
    fixed = {name: node.value for name, node in space.nodes.items() if isinstance(node, spaces.Fixed)}
    vocabulary = vocabulary.saying([*recipe.baseline, *fixed])
    branches = [name for name in vocabulary.branches if name in recipe.baseline]
    open_values = {
        name: value
        for name, value in fixed.items()
        if name not in recipe.baseline and name.partition(".")[0] not in branches
    }
    chosen = {name: value for name, value in fixed.items() if name.partition(".")[0] in vocabulary.options}
    return vocabulary.defaults(Config(open_values) | recipe.baseline | chosen)


def _below(values: Mapping[str, Value], prefix: str) -> dict[str, Value]:
    return {key.removeprefix(prefix): value for key, value in values.items() if key.startswith(prefix)}


def versions() -> dict[str, str]:
    """Return the versions of what a search is computed with."""
    libraries = {name: importlib.metadata.version(name) for name in _LIBRARIES}
    return {"python": platform.python_version(), **libraries}
