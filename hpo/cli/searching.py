"""What trains: search, train, resume, extend."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from functools import partial
from typing import TYPE_CHECKING

import typer

from hpo import settings
from hpo.cli import frame, output
from hpo.errors import SearchError

if TYPE_CHECKING:
    from hpo.results.requirement import Judgement


@frame.verb()
def search(words: frame.Words = None, *, as_json: frame.Json = False) -> None:
    """Search for the best configuration."""
    chosen = settings.SearchSettings.from_words(words or ())
    from hpo.planning.ordering import order

    ordered = order(chosen)  # what is wrong is said before anything heavy is imported
    from hpo.api import run
    from hpo.conductor.last_resort import last_resort
    from hpo.terminal.live import viewer

    told = _told_to_builds(chosen.junit, chosen.name or ordered.recipe)
    ending = output.Finale(chosen, as_json=as_json, briefly=True)
    with ending, told as judged, last_resort(viewer, chosen.store_words) as viewing:
        found = run(ordered, chosen.store, viewing, ending.tell)
        judged.extend(found.requirements)
        ending.close(found.search, found.history)
    _demand(judged)


@frame.verb()
def train(words: frame.Words = None, *, as_json: frame.Json = False) -> None:
    """Train one configuration, here and now."""
    chosen = settings.TrainSettings.from_words(words or ())
    from hpo.planning.ordering import order_training

    ordered = order_training(chosen)
    from hpo.api import run
    from hpo.conductor.last_resort import last_resort
    from hpo.terminal.live import viewer

    ending = output.Finale(chosen, as_json=as_json)
    with ending, last_resort(viewer, chosen.store_words) as viewing:
        found = run(ordered, chosen.store, viewing, ending.tell)
        ending.close(found.search, found.history)


@frame.verb()
def resume(words: frame.Words = None) -> None:
    """Go on with a search that was interrupted."""
    chosen = settings.ResumeSettings.from_words(words or ())
    if chosen.service:
        from hpo.remote.submission import go_on as go_on_there

        go_on_there(chosen)
        typer.echo(f"{chosen.search} is submitted. {output.at(chosen.service, chosen.search)}")
        return
    from hpo.conductor.conductor import resume as go_on
    from hpo.conductor.last_resort import last_resort
    from hpo.results.summary import required
    from hpo.terminal.live import viewer

    told = _told_to_builds(chosen.junit, chosen.search)
    ending = output.Finale(chosen, briefly=True)
    with ending, told as judged, last_resort(viewer, chosen.store_words) as viewing:
        found, history = go_on(chosen, viewing, ending.tell, partial(typer.echo, err=True))
        judged.extend(required(found, history))
        ending.close(found, history)
    _demand(judged)


@frame.verb()
def extend(words: frame.Words = None) -> None:
    """Train a trial on, to more epochs."""
    chosen = settings.ExtendSettings.from_words(words or ())
    from hpo.conductor.last_resort import last_resort
    from hpo.handover.extension import extend as go_further
    from hpo.terminal.live import viewer

    ending = output.Finale(chosen)
    with ending, last_resort(viewer, chosen.store_words) as viewing:
        hear = partial(typer.echo, err=True)
        ending.close(*go_further(chosen, viewing, hear, ending.tell))


@contextmanager
def _told_to_builds(path: str, name: str) -> Iterator[list[Judgement]]:
    """Write a JUnit file, if one is wanted, with what is judged within or why the search failed."""
    from hpo.results import junit

    judged: list[Judgement] = []
    try:
        yield judged
    except SearchError as failure:
        junit.write(path, name, judged, str(failure))
        raise
    junit.write(path, name, judged)


def _demand(judged: Sequence[Judgement]) -> None:
    if not all(it.passed for it in judged):
        raise typer.Exit(1)
