"""What tracking reads: a ledger, or anything that answers like one."""

from __future__ import annotations

from typing import Protocol

from hpo.history import Search
from hpo.trial import Record


class Source(Protocol):
    """The two questions that tracking asks of a ledger, and what it has to say."""

    def search(self, name: str) -> Search:
        """Return the search of this name and where it stands."""

    def records(self, search: Search, after: int = 0) -> list[Record]:
        """Return its records with a number above `after`, in order."""

    def note_uploaded(self, search: Search, seq: int) -> None:
        """Take note that MLflow has all records up to this one."""
