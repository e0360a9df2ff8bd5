"""What a search begins from, in the words of its space: what earlier ones found, or what is known anyway."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import Final

from hpo.config import Value

PAST: Final = "past"
"""The setting that keeps it, so that a search needs the earlier ones no more."""


@dataclass(frozen=True)
class Past:
    """What was `found`, parameters of the new space, all or some, best first; and by whom.

    These are earlier `searches`, or `lists`: spaces of configurations that do well on recipes of all kinds.
    """

    searches: tuple[str, ...] = ()
    found: tuple[Mapping[str, Value], ...] = ()
    lists: tuple[str, ...] = ()

    def __bool__(self) -> bool:
        return bool(self.found)

    @property
    def sources(self) -> str:
        """The names of those who found it."""
        return ", ".join([*self.searches, *self.lists])

    @property
    def noted(self) -> dict[str, Value]:
        """The setting that keeps it; none if there is nothing to begin from."""
        return {PAST: json.dumps(asdict(self))} if self else {}

    @classmethod
    def of(cls, settings: Mapping[str, Value]) -> Past:
        """Read it from a search's settings."""
        held = json.loads(str(settings.get(PAST, "{}")))
        return cls(**{name: tuple(items) for name, items in held.items()})
