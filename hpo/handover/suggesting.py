"""The next space of a search in a ledger, printed or written."""

from __future__ import annotations

from pathlib import Path

from hpo.advice import advise
from hpo.advice.suggestion import suggest as next_space
from hpo.handover.destination import write_new
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
    if not settings.to:
        return text
    path = Path(settings.to)
    if path.parent == Path("search_spaces"):  # where it is found by name; a new user has no such folder yet
        path.parent.mkdir(exist_ok=True)
    return f"Written: {write_new(path, text)}"
