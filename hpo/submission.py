"""From a laptop to a service: a search is checked here, and runs there."""

from __future__ import annotations

import time
from pathlib import Path

from hpo import shipped
from hpo.cluster.jobs import Job, Service
from hpo.history import Search
from hpo.ordering import order
from hpo.plan import SPACE_FILE
from hpo.settings import ResumeSettings, ServiceSettings, StopSettings, SubmitSettings

_HERE = ("recipe", "space", "name", "store", "cluster", "service")
"""What is said in other words there, or is decided there."""


def submit(given: SubmitSettings) -> str:
    """Check a search, submit it, and return its name. Its recipe and space travel as text.

    Raises:
        InputError: with everything that is wrong with it, or why the service does not take it.
    """
    ordered = order(given)
    name = given.name or f"{ordered.recipe}-{time.strftime('%Y%m%d-%H%M%S', time.gmtime())}"
    files = _files(ordered)
    words = [f"{key}={path}" for key, (path, _) in files.items()] + [f"name={name}", *given.typed(*_HERE)]
    Service(given.service).submit(name, ["hpo", "search", *words], dict(files.values()), given.priority)
    return name


def go_on(given: ResumeSettings) -> None:
    """Have a service go on with a search.

    Raises:
        InputError: it runs already, or the service does not take it. Whether it can go on is said there.
    """
    words = given.typed("search", "store", "cluster", "service")
    priority = given.priority if "priority" in given.model_fields_set else None
    Service(given.service).go_on(given.search, ["hpo", "resume", given.search, *words], priority)


def _files(ordered: Search) -> dict[str, tuple[str, str]]:
    """Return the recipe and the space, each with the path it has there, and its text."""
    space = Path(str(ordered.settings[SPACE_FILE]))
    return {
        "recipe": (f"recipes/{Path(ordered.path).name}", ordered.source),
        "space": (f"search_spaces/{space.name}", shipped.text(space)),
    }


def status(given: ServiceSettings) -> list[Job]:
    """Return what was submitted to a service.

    Raises:
        InputError: nobody answers there.
    """
    return Service(given.service).jobs()


def stop(given: StopSettings) -> str:
    """Stop a search at a service, and say whether it ran.

    Raises:
        InputError: there is none of this name, or nobody answers.
    """
    ran = Service(given.service).stop(given.name)
    return f"{given.name} {'is being stopped; what trains is saved' if ran else 'had ended already'}."
