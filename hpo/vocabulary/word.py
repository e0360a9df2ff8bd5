"""One word of a vocabulary: the values that it takes, their types and bounds, and which go together."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final

from hpo.config import Value
from hpo.errors import nearest

_KINDS: Final[Mapping[type | None, str]] = {
    float: "a number",
    int: "a whole number",
    bool: "true or false",
    str: "a word",
    None: "a value",
}


@dataclass(frozen=True)
class Hyperparameter:
    """One value: its type, default, and open or closed bounds.

    `kind` is `float` (whole numbers are welcome too), `int`, `bool` or `str`; None means any plain value.
    """

    name: str
    kind: type | None
    default: Value
    doc: str
    low: float = -math.inf
    high: float = math.inf
    open_low: bool = False
    open_high: bool = False
    choices: tuple[str, ...] = ()
    optional: bool = False
    words: tuple[str, ...] = ()  # that may stand in place of a value: `full`
    suffix: str = ""  # of a file that may be named in place of a value

    def complaint(self, value: Value) -> str | None:
        """Return what is wrong with a value, or None."""
        if self.kind is None or (value is None and self.optional) or value in self.words:
            return None
        if self.suffix and isinstance(value, str) and value.endswith(self.suffix):
            return None
        if not _is_a(value, self.kind):
            return f"{self.name} must be {self.expected}, got {value!r}."
        if (self.choices or self.suffix) and value not in self.choices:
            return f"{self.name} must be {self.expected}, got {value!r}.{nearest(str(value), self.choices)}"
        if isinstance(value, int | float) and not self._admits(value):
            return f"{self.name} must be {self.expected}, got {value!r}."
        return None

    def _admits(self, value: float) -> bool:
        above = value > self.low if self.open_low else value >= self.low
        below = value < self.high if self.open_high else value <= self.high
        return above and below and math.isfinite(value)

    @property
    def expected(self) -> str:
        """What a value must be, in words: `a number in (0, inf)`."""
        text = _KINDS[self.kind]
        if self.choices:
            text = "one of " + ", ".join(self.choices)
        elif self.kind in (float, int) and (self.low, self.high) != (-math.inf, math.inf):
            left = "(" if self.open_low or math.isinf(self.low) else "["
            right = ")" if self.open_high or math.isinf(self.high) else "]"
            text += f" in {left}{self.low:g}, {self.high:g}{right}"
        file = [f"a file PATH{self.suffix}"] if self.suffix else []
        named = [text] if self.choices or not file else []
        return " or ".join([*named, *file, *self.words, *(["null"] if self.optional else [])])


def _is_a(value: Value, kind: type) -> bool:
    if isinstance(value, bool) or kind is bool:
        return isinstance(value, bool) and kind is bool
    return isinstance(value, int | float) if kind is float else isinstance(value, kind)


@dataclass(frozen=True)
class But:
    """Every value but this one."""

    value: Value


@dataclass(frozen=True)
class Contradiction:
    """Values that are each allowed, but not together, and the rule that forbids it."""

    values: Mapping[str, Value | But]
    rule: str

    def applies(self, values: Mapping[str, Value]) -> bool:
        """Whether all of these values are the ones that may not stand together."""
        return all(name in values and _is(values[name], wanted) for name, wanted in self.values.items())


def _is(value: Value, wanted: Value | But) -> bool:
    return value != wanted.value if isinstance(wanted, But) else value == wanted


@dataclass(frozen=True)
class Word:
    """A named choice (an optimizer, a schedule) and the hyperparameters that it takes."""

    name: str
    doc: str
    hyperparameters: tuple[Hyperparameter, ...] = ()
    reference: str = ""
    contradictions: tuple[Contradiction, ...] = ()

    def __getitem__(self, name: str) -> Hyperparameter:
        return next(item for item in self.hyperparameters if item.name == name)

    @property
    def names(self) -> tuple[str, ...]:
        """The names of its hyperparameters."""
        return tuple(item.name for item in self.hyperparameters)

    def broken_rules(self, values: Mapping[str, Value]) -> list[str]:
        """Return the rules that these values break, together with the defaults of those left out."""
        full = {item.name: item.default for item in self.hyperparameters} | dict(values)
        return [one.rule for one in self.contradictions if one.applies(full)]
