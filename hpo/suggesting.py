"""The next space of a search in a ledger, printed or written."""

from __future__ import annotations

from pathlib import Path

from hpo.advice import advise
from hpo.advice.suggestion import suggest as next_space
from hpo.errors import InputError, Problem
from hpo.ledger import Ledger
from hpo.settings import SpaceSettings


def suggest(settings: SpaceSettings) -> str:
    """Return the next space as YAML, or where it was written.

    Raises:
        InputError: there is no such search, or the file is there or cannot be written.
    """
    ledger = Ledger(settings.store)
    search = ledger.search(settings.name)
    name = Path(settings.to).stem if settings.to else f"{search.name}-next"
    text = next_space(search, advise(search, ledger.history(search)), settings.to or name)
    return _written(Path(settings.to), text) if settings.to else text


def _written(path: Path, text: str) -> str:
    try:
        with path.open("x", encoding="utf-8") as file:
            file.write(text)
    except FileExistsError:
        message = "This file exists and is left as it is. Choose another name, or delete it."
        raise InputError(Problem(f"to={path}", message)) from None
    except OSError as error:
        raise InputError(Problem(f"to={path}", f"Cannot write here: {error.strerror}.")) from None
    return f"Written: {path}"
