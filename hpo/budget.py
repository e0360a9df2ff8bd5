"""What a search may cost, all in all: time, hours of CPUs or GPUs, or trainings.

`20m` and `1h30m` are time on the clock, `8cpu-h` and `4gpu-h` hours of all the CPUs or GPUs that its workers
hold, and `30trainings` so many full trainings: a trial that is stopped early takes its share of one.
"""

from __future__ import annotations

import math
import re
from dataclasses import dataclass
from typing import Final

from hpo.errors import nearest

SECONDS: Final = "s"
TRAININGS: Final = "trainings"
CPU_HOURS, GPU_HOURS = "cpu-h", "gpu-h"

_NUMBER: Final = r"[0-9]+(?:\.[0-9]*)?|\.[0-9]+"
_CLOCK: Final = {"h": 3600, "m": 60, "s": 1}
_HOUR: Final = 3600
_FORMS: Final = (
    (TRAININGS, r"([0-9]+)trainings?"),
    (CPU_HOURS, rf"({_NUMBER})cpu-h"),
    (GPU_HOURS, rf"({_NUMBER})gpu-h"),
)
_SPELLED: Final = {"hours": "h", "minutes": "m", "min": "m", "seconds": "s", "sec": "s"}


@dataclass(frozen=True)
class Budget:
    """So many seconds, hours of CPUs or GPUs, or trainings: an `amount` of a `unit`."""

    amount: float
    unit: str

    @classmethod
    def parse(cls, text: str) -> Budget:
        """Read a budget as it is typed.

        Raises:
            ValueError: it is none; the message says what it must be.
        """
        found = _read(text)
        if found is None:
            forms = "20m, 1h30m, 4gpu-h, 8cpu-h or 30trainings"
            raise ValueError(f"must be a budget such as {forms}, got {text!r}.{_meant(text)}")
        return found

    def __str__(self) -> str:
        if self.unit == SECONDS:
            return _clock(self.amount)
        return f"{_brief(self.amount)}{self.unit.removesuffix('s') if self.amount == 1 else self.unit}"

    @property
    def timed(self) -> bool:
        """Whether a clock decides."""
        return self.unit != TRAININGS

    @property
    def of_devices(self) -> bool:
        """Whether the time of each CPU or GPU counts."""
        return self.unit in (CPU_HOURS, GPU_HOURS)

    def limit(self, epochs: int) -> float:
        """Return it in what is counted: seconds, seconds of devices, or epochs, so many to a training."""
        return self.amount * {SECONDS: 1, TRAININGS: epochs}.get(self.unit, _HOUR)

    def told(self, used: float, epochs: int) -> str:
        """Return how much of it was used, in its own unit.

        >>> Budget(30, "trainings").told(54, epochs=18)
        '3 of 30 trainings'
        """
        if self.unit == SECONDS:
            return f"{_clock(round(used))} of {self}"
        share = used / self.limit(epochs)
        return f"{_brief(float(f'{share * self.amount:.3g}'))} of {_brief(self.amount)} {self.unit}"


def clock_seconds(text: str) -> float:
    """Return the seconds of a time such as 90s, 20m, 1.5h or 1h30m; 0 if it is none."""
    match = re.fullmatch("".join(rf"(?:({_NUMBER}){unit})?" for unit in _CLOCK), text)
    numbers = match.groups() if match else [None] * len(_CLOCK)
    return sum(float(it or 0) * seconds for it, seconds in zip(numbers, _CLOCK.values(), strict=True))


def _read(text: str) -> Budget | None:
    amounts = [(clock_seconds(text), SECONDS)]
    for unit, form in _FORMS:
        match = re.fullmatch(form, text)
        amounts.append((float(match[1]) if match else 0.0, unit))
    return next((Budget(amount, unit) for amount, unit in amounts if 0 < amount < math.inf), None)


def _clock(seconds: float) -> str:
    """Return a time as it can be typed: `1h30m`."""
    minutes, rest = divmod(seconds, 60)
    hours, minutes = divmod(int(minutes), 60)
    parts = {"h": hours, "m": minutes, "s": rest}
    return "".join(f"{_brief(number)}{unit}" for unit, number in parts.items() if number) or "0s"


def _brief(number: float) -> str:
    """Return a number as it can be typed: whole, if it is, and without an exponent."""
    return f"{number:.12f}".rstrip("0").rstrip(".")


def _meant(text: str) -> str:
    """Offer what a text may have meant."""
    match = re.fullmatch(rf"({_NUMBER})\s*([a-z-]+)", text.strip().lower())
    if not match:
        return ""
    number, word = match.groups()
    if word.startswith("trial"):
        return f" So many configurations are trials={number}."
    near = _SPELLED.get(word) or nearest(word, (*_CLOCK, CPU_HOURS, GPU_HOURS, TRAININGS))[14:-1]
    offered = f"{number}{near}"
    return f" Did you mean {offered}?" if near and _read(offered) else ""
