"""What a person should read at once, such as that a disk is full: told once, in any view."""

from __future__ import annotations

from rich.console import Console

from hpo.history import History
from hpo.terminal import wording
from hpo.terminal.lines import tell


class Notices:
    """Prints the warnings of a search as they come, but not those of earlier sessions."""

    def __init__(self, console: Console) -> None:
        self._console = console
        self._told: set[str] = set()

    def start(self, history: History) -> None:
        """Take in what was told before."""
        self._told = set(history.warnings)

    def tell(self, history: History) -> None:
        """Print what is new."""
        for warning in history.warnings:
            if warning not in self._told:
                self._told.add(warning)
                for line in warning.splitlines():
                    tell(self._console, wording.first_line(line))
