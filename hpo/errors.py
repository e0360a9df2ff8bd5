"""What can go wrong, in words for the user.

HpoError
├── InputError           the user's words, files or names are wrong; nothing was started    exit 2
├── SearchError          a search ran and could not come to an answer                       exit 1
├── LedgerError          a ledger is damaged, or was out of reach for too long              exit 1
└── InterruptedSearch    the user stopped a search, which can go on where it stood         exit 130
"""

from __future__ import annotations

import difflib
import re
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Final

NO_PORT: Final = "its port is no number. Write / ? @ : and # in a password as %2F %3F %40 %3A and %23"


class HpoError(Exception):
    """Base of all errors that hpo raises on purpose; `exit_code` is the process's exit status.

    Its text shows no password, wherever the address in it comes from.
    """

    exit_code = 1

    def __str__(self) -> str:
        return without_password(super().__str__())


class SearchError(HpoError):
    """A search ran and could not come to an answer, for example because every trial failed."""


class LedgerError(HpoError):
    """A ledger is damaged, or was out of reach for too long; what it holds is kept."""


class InterruptedSearch(HpoError):  # noqa: N818 - stopping on request is no error
    """The user stopped a search; the message holds the line that goes on with it."""

    exit_code = 130

    def __init__(self, name: str, *words: str) -> None:
        """Take the search's name, and what else its `resume` needs, such as `store=sqlite:///other.db`."""
        super().__init__(
            f"interrupted; all that ended is kept. Go on with\n    hpo resume {' '.join((name, *words))}"
        )


@dataclass(frozen=True)
class Problem:
    """One mistake: where it is (`file:line  path` or the word typed), and what to do about it."""

    where: str
    message: str

    def __str__(self) -> str:
        return f"{self.where}\n    {self.message}" if self.where else self.message


class InputError(HpoError):
    """Everything that is wrong with the user's input, found before anything is started."""

    exit_code = 2

    def __init__(self, *problems: Problem) -> None:
        self.problems = problems
        super().__init__("\n".join(map(str, problems)))


def nearest(word: str, known: Iterable[str], *, slip: bool = False) -> str:
    """Return " Did you mean cnn?" if one of the known names is near enough, else nothing.

    With `slip`, near enough is only what a slip of the fingers makes of a name.

    >>> nearest("cn", ["cnn", "mlp"])
    ' Did you mean cnn?'
    >>> nearest("zebra", ["cnn", "mlp"])
    ''
    >>> nearest("table", ["trials"]), nearest("table", ["trials"], slip=True)
    (' Did you mean trials?', '')
    """
    matches = difflib.get_close_matches(word, sorted(known), n=1, cutoff=0.75 if slip else 0.51)
    return f" Did you mean {matches[0]}?" if matches else ""


def did_you_mean(word: str, known: Iterable[str]) -> str:
    """Return the nearest of the known names, then all of them.

    >>> did_you_mean("cn", ["cnn", "mlp"])
    ' Did you mean cnn? Known: cnn, mlp.'
    """
    names = sorted(known)
    return nearest(word, names) + (f" Known: {', '.join(names)}." if names else "")


def without_password(text: str) -> str:
    """Return an address, or a text with addresses in it, as it may be shown.

    What stands before an address' last @ may be anything: SQLAlchemy takes @, ?, / and blanks as they are.

    >>> without_password("postgresql://me:secret@host/db?password=secret")
    'postgresql://me:***@host/db?password=***'
    """
    hidden = r"(?P<user>://[^:/\s]*:)(?:\S*@|(?:(?!://)[^@\n])*@)|(?P<key>\w*passw(?:or)?d=)[^&\s]*"
    return re.sub(hidden, _masked, text)


def _masked(found: re.Match[str]) -> str:
    return f"{found['user']}***@" if found["user"] else f"{found['key']}***"
