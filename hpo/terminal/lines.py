"""Text that stays on one line, and text that need not."""

from __future__ import annotations

from rich.console import Console
from rich.text import Text


def line(*parts: str | tuple[str, str], style: str = "") -> Text:
    """Return text that stays on one line, cut off where the line ends."""
    return Text.assemble(*parts, style=style, no_wrap=True, overflow="ellipsis")


def say(console: Console, text: str) -> None:
    """Print one line: cut off where a terminal ends, whole in a file, which has no width."""
    if console.is_terminal:
        console.print(Text(text), no_wrap=True, overflow="ellipsis")
    else:
        console.print(Text(text), soft_wrap=True)


def tell(console: Console, sentence: str) -> None:
    """Print a sentence: in as many lines as it takes in a terminal, in one in a file."""
    console.print(Text(sentence), soft_wrap=not console.is_terminal)
