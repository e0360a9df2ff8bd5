"""Figures of the page: each a chart or a few, what it shows, and why not where there is nothing to show."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class Figure:
    """A title, a sentence on what is seen, and the picture as HTML; `reason` says why there is none."""

    title: str
    caption: str
    html: str = ""
    reason: str = ""
    wide: bool = False
