"""One piece of advice, and the change of a space that follows from it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum
from typing import Any

from hpo.space.writing import inline


class Topic(StrEnum):
    """What an advice is about."""

    DIVERGENCE = "divergence"
    EDGE = "edge"
    BUDGET = "budget"
    CURVE = "curve"
    OPTIMIZER = "optimizer"
    EFFECT = "effect"


@dataclass(frozen=True)
class Change:
    """What a place in a space is to be: `path` as in `space.PATH=`, `form` as plain YAML values."""

    path: str
    form: object

    @property
    def text(self) -> str:
        """The form as YAML on one line."""
        return inline(self.form)

    @property
    def word(self) -> str:
        """The change as a word of a command line."""
        quote = "'" if isinstance(self.form, Mapping) else ""
        return f"space.{self.path}={quote}{self.text}{quote}"


@dataclass(frozen=True)
class Advice:
    """A finding, the numbers it rests on, what to do, and the trials that show it.

    `changes` are those of the space that the advice amounts to, if any.
    """

    topic: Topic
    finding: str
    evidence: str
    remedy: str
    trials: tuple[int, ...] = ()
    changes: tuple[Change, ...] = ()

    def describe(self) -> dict[str, Any]:
        """Return the advice as JSON has it."""
        return {
            "topic": self.topic.value,
            "finding": self.finding,
            "evidence": self.evidence,
            "remedy": self.remedy,
            "trials": list(self.trials),
            "changes": {change.path: change.form for change in self.changes},
        }
