"""A curve in one line of text."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

from rich.console import Console, ConsoleOptions, RenderResult
from rich.text import Text

_BARS: Final = "▁▂▃▄▅▆▇█"
_PLAIN: Final = "_.-=+*#@"  # where the terminal's letters are few


@dataclass(frozen=True)
class Curve:
    """What is measured in each epoch, after a few words, as a row of bars."""

    words: Text
    values: Sequence[float]
    width: int = 24

    def __rich_console__(self, console: Console, options: ConsoleOptions) -> RenderResult:
        """Draw it in letters that the terminal has."""
        row = self.words.copy()
        row.append("  " + bars(self.values, self.width, _PLAIN if options.ascii_only else _BARS))
        yield row


def bars(values: Sequence[float], width: int, letters: str = _BARS) -> str:
    """Return as many letters as there are values, or `width`; a gap where a value is not finite.

    >>> bars([4, 2, 1, 0], 10), bars([1, 1], 10), bars([0, 1, 2, 3], 2)
    ('█▅▃▁', '▁▁', '▁█')
    """
    count = min(width, len(values))
    shown = [values[(place + 1) * len(values) // count - 1] for place in range(count)]
    finite = [value for value in shown if math.isfinite(value)]
    low, high = min(finite, default=0.0), max(finite, default=0.0)
    steps = (len(letters) - 1) / (high - low) if high > low else 0.0
    return "".join(letters[round((value - low) * steps)] if math.isfinite(value) else " " for value in shown)
