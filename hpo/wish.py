"""What a person asks of a search that runs, from whatever terminal: a pause, or another number of trials."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class Wish:
    """How many trials there shall be in all, and whether training is to pause after its epoch.

    `trials` None leaves their number as it is; fewer than were begun means no more than those.
    """

    trials: int | None = None
    paused: bool = False
