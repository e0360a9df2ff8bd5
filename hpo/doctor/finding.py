"""What one look has found."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any


@dataclass(frozen=True)
class Finding:
    """What was looked at, what was found, and how to mend it; nothing to mend means it works.

    What is not `essential` may stay as it is: a search runs all the same.
    """

    name: str
    found: str
    remedy: str = ""
    essential: bool = True

    @property
    def well(self) -> bool:
        """Whether it works."""
        return not self.remedy

    def describe(self) -> dict[str, Any]:
        """Return it as JSON has it."""
        return {
            "name": self.name,
            "found": self.found,
            "well": self.well,
            "essential": self.essential,
            "remedy": self.remedy,
        }
