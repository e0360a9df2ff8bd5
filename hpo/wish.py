"""What a person asks of a search that runs, from whatever terminal: a pause, or another number of trials."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class Wish:
    """How many trials there shall be in all, and whether training is to pause after its epoch.

    `trials` None leaves their number as it is; fewer than were begun means no more than those, which is a
    stop `instead_of` so many: whoever takes it back counts on from there.
    """

    trials: int | None = None
    instead_of: int | None = None
    paused: bool = False
