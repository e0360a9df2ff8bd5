"""Searches that run at a service."""

from __future__ import annotations

import typer

from hpo import settings
from hpo.cli import frame, output


@frame.verb()
def submit(words: frame.Words = None) -> None:
    """Have a service run a search."""
    chosen = settings.SubmitSettings.from_words(words or ())
    from hpo.remote.submission import submit as send

    name = send(chosen)
    typer.echo(f"{name} is submitted. {output.at(chosen.service, name)}")


@frame.verb()
def status(words: frame.Words = None, *, as_json: frame.Json = False) -> None:
    """List what a service was given to do."""
    chosen = settings.ServiceSettings.from_words(words or ())
    from hpo.remote.submission import status as ask
    from hpo.terminal import tables

    jobs = [job._asdict() for job in ask(chosen)]
    output.put(tables.jobs(jobs), jobs, as_json=as_json)


@frame.verb()
def stop(words: frame.Words = None) -> None:
    """Stop a search in order, as Ctrl-C does."""
    chosen = settings.StopSettings.from_words(words or ())
    if chosen.here:
        from hpo.remote.watching import stop as end
    else:
        from hpo.remote.submission import stop as end

    typer.echo(end(chosen))
