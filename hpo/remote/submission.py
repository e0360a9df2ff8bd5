"""From a laptop to a service: a search is checked here, and runs there."""

from __future__ import annotations

import time
from collections.abc import Mapping
from itertools import count
from pathlib import Path

from hpo import recipe as recipes
from hpo import shipped
from hpo import space as spaces
from hpo.cluster.jobs import Job, Service
from hpo.errors import InputError, Problem
from hpo.planning.ordering import order
from hpo.planning.plan import SPACE_FILE
from hpo.planning.started import untold
from hpo.settings import (
    PLACE_THERE,
    UNHEARD_THERE,
    ResumeSettings,
    ServiceSettings,
    StopSettings,
    SubmitSettings,
    is_there,
)
from hpo.training.words import vocabulary_of

_HERE = ("recipe", "space", "name", "service")
"""What is said in other words there."""
_CLUSTER = "cluster=auto"
"""A service trains on the cluster that it is; a search that goes on there knows that."""


def submit(given: SubmitSettings) -> str:
    """Check a search, submit it, and return its name. Its recipe and space travel as text.

    Raises:
        InputError: with everything that is wrong with it, or why the service does not take it.
    """
    ordered = order(given, there=True)
    file = Path(str(ordered.settings[SPACE_FILE]))
    files = {"recipe": _recipe(ordered.path, ordered.source), "space": _space(file)}
    service, now = Service(given.service), time.time()
    for later in count():
        name = given.name or f"{ordered.recipe}-{time.strftime('%Y%m%d-%H%M%S', time.gmtime(now + later))}"
        words = [*_words(files), f"name={name}", _CLUSTER, *given.typed(*_HERE)]
        try:
            service.submit(name, ["hpo", "search", *words], dict(files.values()), given.priority)
            break
        except InputError:
            if given.name or name not in {job.name for job in service.jobs()}:
                raise  # else it is that of another search, submitted in the same second
    return name


def go_on(given: ResumeSettings) -> None:
    """Have a service go on with a search. Another recipe or space for it travels as text.

    Raises:
        InputError: these are wrong, words were typed that mean nothing there, it runs already, or the service
            does not take it. Whether it can go on is said there.
    """
    _demand_heard(given)
    files = others(given)
    words = [*_words(files), *given.typed("search", "service", *files)]
    priority = given.priority if "priority" in given.model_fields_set else None
    command = ["hpo", "resume", given.search, *words]
    Service(given.service).go_on(given.search, command, dict(files.values()), priority)


def others(given: ResumeSettings) -> dict[str, tuple[str, str]]:
    """Return the recipe and the space that a search is to go on with, if any, each as a path and a text.

    Raises:
        InputError: they cannot be read. What else the search is made of is known there alone.
    """
    files = {}
    if given.recipe:
        recipe = recipes.find(given.recipe)
        files["recipe"] = _recipe(recipe.path, recipe.source)
        if "space" in given.model_fields_set:
            vocabulary = vocabulary_of(recipe, given.parallel)
            space = spaces.find(given.space, vocabulary, given.space_overrides)
            problems = untold(space, recipe.baseline)
            if problems:
                raise InputError(*problems)
    if "space" in given.model_fields_set:
        files["space"] = _space(spaces.locate(given.space))
    return files


def _demand_heard(given: ResumeSettings | StopSettings) -> None:
    """Refuse words that were typed and mean nothing at a service."""
    unheard = dict(UNHEARD_THERE)
    if isinstance(given, ResumeSettings) and not is_there(given.checkpoints):
        unheard["checkpoints"] = f"Must be {PLACE_THERE}, got {given.checkpoints!r}."
    typed = [key for key in unheard if key in given.model_fields_set]
    if typed:
        raise InputError(*(Problem(f"{key}={getattr(given, key)}", unheard[key]) for key in typed))


def _recipe(path: str, source: str) -> tuple[str, str]:
    """Return the path that a recipe has there, and its text."""
    return f"recipes/{Path(path).name}", source


def _space(file: Path) -> tuple[str, str]:
    return f"search_spaces/{file.name}", shipped.text(file)


def _words(files: Mapping[str, tuple[str, str]]) -> list[str]:
    return [f"{key}={path}" for key, (path, _) in files.items()]


def status(given: ServiceSettings) -> list[Job]:
    """Return what was submitted to a service.

    Raises:
        InputError: nobody answers there.
    """
    return Service(given.service).jobs()


def stop(given: StopSettings) -> str:
    """Stop a search at a service, and say whether it ran.

    Raises:
        InputError: there is none of this name, words were typed that mean nothing there, or nobody answers.
    """
    _demand_heard(given)
    ran = Service(given.service).stop(given.name)
    return f"{given.name} {'is being stopped; what trains is saved' if ran else 'had ended already'}."
