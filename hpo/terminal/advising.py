"""Advice on the screen: a line each at the end of a search, with all of its evidence on the page of one."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

from rich.console import Group
from rich.padding import Padding
from rich.text import Text

from hpo.advice import Advice

_FEW: Final = 3
_MARK: Final = "-> "
_INDENT: Final = (0, 0, 0, len(_MARK))


def briefly(advice: Sequence[Advice], look: str) -> list[Group]:
    """Return the first three findings, and how to see the rest: `look` is the command."""
    lines = [Text.assemble((_MARK, "yellow"), f"{it.finding}. {it.remedy}") for it in advice[:_FEW]]
    return [Group(*lines, Text(f"   evidence: {look}", style="dim"))] if lines else []


def fully(advice: Sequence[Advice]) -> list[Group]:
    """Return all that is advised, each with its evidence and what to do."""
    return [
        Group(
            Text.assemble((_MARK, "yellow"), (it.finding, "bold")),
            Padding(Text(it.evidence), _INDENT),
            Padding(Text(it.remedy, style="cyan"), _INDENT),
        )
        for it in advice
    ]
