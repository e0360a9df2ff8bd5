"""What a search was made of and what is there now: recipe, space, settings, versions, and how they differ."""

from __future__ import annotations

import difflib
import json
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, Final

from hpo import recipe as recipes
from hpo.config import Value
from hpo.errors import InputError, Problem
from hpo.history import FORKED_FROM, Search
from hpo.planning.ordering import order, versions
from hpo.planning.past import PAST
from hpo.planning.plan import OPTION, OVERRIDE, SPACE_FILE, Plan
from hpo.planning.started import STARTED, started_from
from hpo.settings import ResumeSettings, SearchSettings

FREE: Final = (
    *("budget", "trials", "timeout", "workers", "cluster", "priority"),
    *("report_within", "checkpoint_every", "checkpoints"),
    *("confirm", "confirm_seeds", "require", "memory"),
)
"""Settings that may change from session to session: how long and on how much, not what is searched."""
_DECISIVE: Final = ("hpo", "python", "torch", "optuna")
"""What proposals and curves come from; of Python, the minor version."""
_TOLD_OTHERWISE: Final = (
    *("space", SPACE_FILE, "lag", "threads", "at_work", "beside", "held", PAST, FORKED_FROM),
    *FREE,
)
_LINES: Final = 60


@dataclass(frozen=True)
class Change:
    """One thing that is not as it was: what it is, and how it differs, line by line."""

    what: str
    lines: tuple[str, ...]

    def __str__(self) -> str:
        shown = self.lines[:_LINES]
        rest = len(self.lines) - len(shown)
        return "\n".join((self.what, *shown, *([f"… {rest} lines more"] if rest else [])))


def reorder(search: Search, given: ResumeSettings) -> Search:
    """Order a search again, from what is there now and with the words that are given now.

    A file that is not there any more, as on another machine, is as it was.

    Raises:
        InputError: what is there now cannot be searched.
    """
    if search.given:
        return _reorder_training(search, given)
    file = str(search.settings.get(SPACE_FILE, ""))
    found = "space" in given.words_given or Path(file).is_file()
    recipe = _recipe(search, given)
    words = _words(search, recipe, given.words_given, overridden=found)
    located = {} if "space" in given.words_given or not found else {"space": file}
    settings = SearchSettings.model_validate({**words, **located})
    now = order(settings, recipe, "" if found else search.space)
    return replace(now, settings={**now.settings, "space": words["space"]})


def _reorder_training(search: Search, given: ResumeSettings) -> Search:
    recipe = _recipe(search, given)
    another = f"start another: hpo train recipe={recipe.name} …"
    if given.words_given:
        message = f"A training that goes on takes no words. With others, {another}"
        raise InputError(Problem(" ".join(given.words_typed), message))
    objective = search.objective if recipe.source == search.source else recipe.objective
    before = Plan.of(search)
    started, damaged = started_from(before.space)
    if damaged:
        raise InputError(*damaged)
    gone = {f"{OPTION}{name}" for name in before.data_options if name not in recipe.data}
    kept = {name: it for name, it in search.settings.items() if name not in gone}
    named = replace(search, recipe=recipe.name, path=recipe.path, source=recipe.source)
    now = replace(named, objective=objective, versions=versions(), settings={**kept, **started})
    try:
        Plan.of(now)
    except InputError as error:
        message = f"Its configuration does not fit the recipe as it is now. Put that back, or {another}"
        raise InputError(*error.problems, Problem(search.name, message)) from None
    return now


def _recipe(search: Search, given: ResumeSettings) -> recipes.Recipe:
    """Return the recipe as it is now, or as it was where its file is gone."""
    if given.recipe:
        return recipes.find(given.recipe)
    there = Path(search.path).is_file()
    return recipes.find(search.path) if there else recipes.read(search.source, search.path)


def _words(
    search: Search, recipe: recipes.Recipe, given: Mapping[str, Any], *, overridden: bool
) -> dict[str, Any]:
    """Return the words of an order with those given now.

    A space that is taken as it was has its old overrides in it already. An option that the recipe has no
    more is none of its words.
    """
    known = {name: it for name, it in search.settings.items() if name in SearchSettings.model_fields}
    options = _below(search.settings, OPTION)
    gathered = {
        "recipe_options": {name: it for name, it in options.items() if name in recipe.arguments},
        "space_overrides": _below(search.settings, OVERRIDE) if overridden else {},
    }
    joined = {name: {**words, **given.get(name, {})} for name, words in gathered.items()}
    return {"space": "", "recipe": search.path, **known, **given, **joined}


def _below(settings: Mapping[str, Value], prefix: str) -> dict[str, str]:
    """Return the words with a prefix, as they were typed."""
    found = {name: it for name, it in settings.items() if name.startswith(prefix)}
    return {
        name.removeprefix(prefix): it if isinstance(it, str) else json.dumps(it) for name, it in found.items()
    }


def changes(search: Search, now: Search) -> list[Change]:
    """Compare a search with one that is ordered now."""
    found = (
        Change(f"recipe {search.path}", tuple(_diff(search.source, now.source))),
        Change("space", tuple(_diff(search.space, now.space))),
        Change("settings", tuple(_changed_settings(search.settings, now.settings))),
        Change("versions", tuple(changed_versions(search.versions))),
    )
    return [change for change in found if change.lines]


def refusal(search: Search, found: Sequence[Change], *words: str) -> Problem:
    """Return the refusal to go on with a search whose parts have changed."""
    fork = " ".join(("hpo resume", search.name, *words, "allow_change=true"))
    advice = "It was started with other things than are here now. Put them back, or search anew with these:"
    told = "\n\n".join(map(str, found))
    return Problem(search.name, f"{advice}\n    {fork}\n\n{told}")


def _diff(before: str, after: str) -> Iterator[str]:
    lines, lines_now = before.splitlines(), after.splitlines()
    return difflib.unified_diff(lines, lines_now, "at the start", "now", lineterm="")


def _changed_settings(before: Mapping[str, Value], after: Mapping[str, Value]) -> Iterator[str]:
    """Compare settings; what is younger than the search was at its default.

    An option that is not said any more is one that the recipe has no more.
    """
    unknown = {STARTED} - before.keys()  # an older search has not noted it
    for name in sorted({*before, *after} - set(_TOLD_OTHERWISE) - unknown):
        field = SearchSettings.model_fields.get(name)
        default = field.default if field else None
        was = before.get(name, default)
        now = after.get(name, default if name.startswith(OPTION) else was)
        if was != now:
            yield f"{name}: {_shown(was)} → {_shown(now)}"


def _shown(value: object) -> str:
    return "not set" if value is None else json.dumps(value) if isinstance(value, bool) else str(value)


def changed_versions(before: Mapping[str, str]) -> Iterator[str]:
    """Say which versions of what decides proposals and curves are others now."""
    after = versions()
    for name in _DECISIVE:
        was, now = (_decisive(name, known.get(name, "")) for known in (before, after))
        if was != now:
            yield f"{name}: {before.get(name, 'unknown')} → {after[name]}"


def _decisive(name: str, version: str) -> str:
    return ".".join(version.split(".")[:2]) if name == "python" else version
