"""Axes: from numbers to places on a chart, and the round numbers that are written beside it."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable
from dataclasses import dataclass

from hpo.results.phrasing import brief

_TICKS = 5


@dataclass(frozen=True)
class Scale:
    """Numbers from `low` to `high`, on a line from 0 to 1; `log` if each order of magnitude is as long."""

    low: float
    high: float
    log: bool = False

    @classmethod
    def of(cls, values: Iterable[float], *, log: bool = False, margin: float = 0.05) -> Scale:
        """Return a scale that holds all finite values, on a log scale only the positive ones."""
        found = [it for it in values if math.isfinite(it) and (it > 0 or not log)]
        low, high = (min(found), max(found)) if found else (1.0, 10.0)
        if log:
            spread = max(high / low, 1.1) ** margin
            return cls(low / spread, high * spread, log=True)
        spread = margin * (high - low) if high > low else abs(high) / 2 or 1.0
        return cls(low - spread, high + spread)

    def place(self, value: float) -> float:
        """Return where a value lies, 0 at the low end; one that has no place here lies far above."""
        if not math.isfinite(value) or (self.log and value <= 0):
            return 2.0
        at = math.log if self.log else float
        return min(max((at(value) - at(self.low)) / (at(self.high) - at(self.low)), -1.0), 2.0)

    @property
    def ticks(self) -> list[tuple[float, str]]:
        """Round values within, each as it is written."""
        values = self._powers() if self.log else []
        return [(value, _written(value)) for value in (values if len(values) > 1 else self._steps())]

    def _powers(self) -> list[float]:
        """Return powers of ten, with 2 and 5 times of them where there are few."""
        low, high = math.floor(math.log10(self.low)), math.ceil(math.log10(self.high))
        decades = max(1, high - low)
        digits = (1, 2, 5) if decades <= 2 else (1,)
        found = [
            float(f"{digit}e{power}")
            for power in range(low, high + 1, max(1, decades // _TICKS))
            for digit in digits
        ]
        return [value for value in found if self.low <= value <= self.high]

    def _steps(self) -> list[float]:
        """Return multiples of 1, 2 or 5 times a power of ten."""
        rough = (self.high - self.low) / _TICKS
        power = 10 ** math.floor(math.log10(rough))
        step = next(digit * power for digit in (1, 2, 5, 10) if digit * power >= rough)
        first = math.ceil(self.low / step)
        found = [float(f"{number * step:.10g}") for number in range(first, math.floor(self.high / step) + 1)]
        return [value if abs(value) >= step / 2 else 0.0 for value in found]


def _written(value: float) -> str:
    """Return a round number in few characters.

    >>> _written(0.0001), _written(0.05)
    ('1e-4', '0.05')
    """
    return min(brief(value), f"{value:.0e}".replace("e-0", "e-").replace("e+0", "e"), key=_length(value))


def _length(value: float) -> Callable[[str], tuple[bool, int]]:
    """Return what a shorter text is, of those that say the value."""
    return lambda text: (float(text) != float(f"{value:.3g}"), len(text))


def epochs(count: int) -> Scale:
    """Return the scale of a training's epochs, from 1."""
    return Scale(0.5, count + 0.5) if count > 1 else Scale(0.0, 2.0)


def wide(values: Iterable[float]) -> bool:
    """Whether positive values span more than an order of magnitude, which a linear scale would squeeze."""
    found = [value for value in values if math.isfinite(value)]
    return bool(found) and min(found) > 0 and max(found) > 10 * min(found)
