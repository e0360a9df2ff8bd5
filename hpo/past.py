"""What a search begins from: the best that earlier ones found, in the words of its own space."""

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
    """The names of earlier searches, and `found`: parameters of the new space, all or some, best first."""

    searches: tuple[str, ...] = ()
    found: tuple[Mapping[str, Value], ...] = ()

    def __bool__(self) -> bool:
        return bool(self.found)

    @property
    def noted(self) -> dict[str, Value]:
        """The setting that keeps it; none if there is nothing to begin from."""
        return {PAST: json.dumps(asdict(self))} if self else {}

    @classmethod
    def of(cls, settings: Mapping[str, Value]) -> Past:
        """Read it from a search's settings."""
        held = json.loads(str(settings.get(PAST, "{}")))
        return cls(**{name: tuple(items) for name, items in held.items()})
