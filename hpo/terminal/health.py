"""What `hpo doctor` has found, a line each, and how to mend what does not work."""

from __future__ import annotations

from collections.abc import Sequence

from rich.console import Group, RenderableType
from rich.text import Text

from hpo.doctor import Finding

_WIDTH = 22


def line(finding: Finding) -> RenderableType:
    """Return one finding."""
    mark, style = (
        ("ok", "green") if finding.well else ("!!", "red") if finding.essential else ("! ", "yellow")
    )
    row = Text.assemble((mark, style), f"  {finding.name:<{_WIDTH}}", finding.found)
    return row if finding.well else Group(row, Text(f"    {'':<{_WIDTH}}{finding.remedy}", style="cyan"))


def verdict(findings: Sequence[Finding]) -> Text:
    """Return what all of them come to."""
    broken = [it.name for it in findings if not it.well and it.essential]
    doubtful = [it.name for it in findings if not it.well and not it.essential]
    if broken:
        return Text(f"A search cannot run here yet: {', '.join(broken)}.", style="bold")
    if doubtful:
        return Text(f"A search can run here, though not at its best: {', '.join(doubtful)}.", style="bold")
    return Text("A search can run here.", style="bold")
