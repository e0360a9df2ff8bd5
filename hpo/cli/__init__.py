"""The command line, `hpo VERB [NAME] key=value …`: words in, text out.

Each verb reads its words into settings, calls the one function that does the work, and prints what comes
back. What a verb needs is imported inside it, so that help and refusals take a fraction of a second.
"""

from __future__ import annotations

import os
import sys
from collections.abc import Sequence
from io import TextIOWrapper

import typer

from hpo.cli import beginning, handing_over, looking, searching, service  # to import them makes the verbs
from hpo.cli.frame import VERBS, app
from hpo.errors import HpoError, InputError

__all__ = ["VERBS", "beginning", "handing_over", "looking", "main", "searching", "service"]


def main(arguments: Sequence[str] | None = None) -> int:
    """Run one command line and return its exit status."""
    words = sys.argv[1:] if arguments is None else arguments
    _open_what_is_closed()
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, TextIOWrapper):
            stream.reconfigure(errors="replace")  # a page with a "?" in it is better than none
    try:
        # Not a short option of typer's, which would find an h in -epochs=3 as well.
        app(["--help" if word == "-h" else word for word in words], prog_name="hpo")
    except HpoError as error:
        typer.echo(_complaint(error), err=True)
        return error.exit_code
    except SystemExit as end:  # how typer ends everything else
        return int(end.code or 0)
    return 0


def _open_what_is_closed() -> None:
    """Have standard streams that were closed lead nowhere, for this process and those that it starts.

    Else the next file to be opened gets their number, and what is printed goes into it.
    """
    for name, mode in (("stdin", "r"), ("stdout", "w"), ("stderr", "w")):
        if getattr(sys, name) is None:
            nowhere = open(os.devnull, mode)  # noqa: SIM115 - open to the end; it gets the lowest free number
            os.set_inheritable(nowhere.fileno(), True)  # noqa: FBT003 - it takes no keyword
            setattr(sys, name, nowhere)


def _complaint(error: HpoError) -> str:
    if not isinstance(error, InputError):
        return f"hpo: {error}"
    count = len(error.problems)
    return f"hpo: nothing was started, {count} problem{'s' if count > 1 else ''}:\n{error}"
