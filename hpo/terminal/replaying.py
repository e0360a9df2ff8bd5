"""What `hpo replay` prints."""

from __future__ import annotations

from collections.abc import Iterator

from rich.console import Group, RenderableType
from rich.text import Text

from hpo.replay import Comparison, Decisions, Difference

_BEYOND = {
    "timeout": "stopped by the clock",
    "budget": "stopped by the budget",
    "lost": "given up after their workers died",
}


def page(found: Decisions | Comparison) -> RenderableType:
    """Return what was recomputed or trained again, how it differs, and whether that was to be expected."""
    lines = _decisions(found) if isinstance(found, Decisions) else _comparison(found)
    return Group(*(Text(line) for line in lines))


def _decisions(found: Decisions) -> Iterator[str]:
    yield from map(_difference, found.differences)
    verdict = f"{len(found.differences)} of them differ" if found.differences else "all equal"
    yield (
        f"{found.search}: {_counted(found.proposals, 'proposal')} and {_counted(found.verdicts, 'verdict')} "
        f"recomputed, {verdict}"
    )
    for what, count in found.beyond.items():
        yield f"not recomputed, since no record decides it: {_counted(count, 'trial')} {_BEYOND[what]}"
    if found.differences:
        yield from (f"this may be why: {change}" for change in found.versions)


def _difference(found: Difference) -> str:
    place = f"trial {found.trial}" + (f", epoch {found.epoch}" if found.epoch else "")
    return f"{place}, {found.what}\n    recorded    {found.recorded}\n    recomputed  {found.recomputed}"


def _comparison(found: Comparison) -> Iterator[str]:
    head = f"trial {found.trial}: {_counted(found.epochs, 'epoch')} trained again, "
    yield head + (
        "equal in each bit" if found.gap == 0 else f"differ by {found.gap:.2g} at most ({found.where})"
    )
    if found.gap:
        yield f"losses differ by {found.drift:.2g} at most, relative to their size"
    if found.ending:
        yield f"it ended otherwise now: {found.ending}"
    if found.began:
        yield f"it diverged: {found.began}"
    yield from (f"may round otherwise: {reason}" for reason in found.reasons if found.gap)
    if not found.expected:
        yield "That is more than rounding." if found.reasons else "It should be equal in each bit."


def _counted(number: int, what: str) -> str:
    return f"{number} {what}{'' if number == 1 else 's'}"
