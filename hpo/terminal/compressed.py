"""What `hpo compress` prints."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from rich.console import Group, RenderableType
from rich.table import Table
from rich.text import Text

if TYPE_CHECKING:  # imports torch
    from hpo.serving.compressing import Variant


def page(variants: Sequence[Variant], kept: str) -> RenderableType:
    """Return all forms in one table, the model as it is first, and below it what could not be made."""
    measures = list(variants[0].measured or {})
    table = Table(box=None, pad_edge=False)
    table.add_column("form")
    for heading in ("bytes", "zipped", "ms", *measures):
        table.add_column(heading, justify="right")
    for it in variants:
        if it.measured is not None:
            figures = [f"{it.size:,}", f"{it.zipped:,}", f"{it.latency:.3f}"]
            table.add_row(it.name, *figures, *(f"{it.measured[name]:.6g}" for name in measures))
    absent = [Text(f"{it.name} could not be made: {it.reason}") for it in variants if it.reason]
    about = "ms: a batch of 32 in ONNX Runtime, one thread. Measures are of validation data."
    return Group(table, Text(), Text(about), *absent, Text(kept))
