"""What tracking reads: a ledger, or anything that answers like one."""

from __future__ import annotations

from typing import Protocol

from hpo.history import Search
from hpo.trial import Record


class Source(Protocol):
    """The two questions that tracking asks of a ledger."""

    def search(self, name: str) -> Search:
        """Return the search of this name and where it stands."""

    def records(self, search: Search, after: int = 0) -> list[Record]:
        """Return its records with a number above `after`, in order."""
