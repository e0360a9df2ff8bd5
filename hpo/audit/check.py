"""The result of one check."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Final

_EXAMPLES: Final = 3


@dataclass(frozen=True)
class Check:
    """What should be so, how many things were looked at, and those for which it is not."""

    name: str
    examined: int
    faults: Sequence[str] = ()

    @property
    def passed(self) -> bool:
        """Whether all is as it should be."""
        return not self.faults

    @property
    def examples(self) -> Sequence[str]:
        """The first few faults."""
        return self.faults[:_EXAMPLES]

    def describe(self) -> dict[str, Any]:
        """Return it as JSON takes it."""
        return {
            "check": self.name,
            "passed": self.passed,
            "examined": self.examined,
            "faults": len(self.faults),
            "examples": list(self.examples),
        }
