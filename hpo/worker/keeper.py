"""When the trials that a worker trains are saved, and what is kept of them when they leave or end."""

from __future__ import annotations

import time
from collections.abc import Callable, Collection, Iterable, Mapping
from typing import TYPE_CHECKING, Final

from hpo.training.checkpoint import CheckpointError
from hpo.trial import Divergence, Point, Proposal
from hpo.worker.shelf import Kept, Shelf

if TYPE_CHECKING:
    from hpo.training.snapshot import Snapshot

_SHARE: Final = 0.01
"""What keeping may take of a worker's time: after a slow save, the next one waits longer."""


class Keeper:
    """Saves the trials that a worker trains, now and then.

    Args:
        shelf: where; nothing is saved without one.
        trials: that are trained.
        past: what some of them go on from, by trial.

    Attributes:
        snapshots: for the engine to fill, by trial.
    """

    def __init__(self, shelf: Shelf | None, trials: Iterable[Proposal], past: Mapping[int, Kept]) -> None:
        self.shelf, self.trials = shelf, {trial.number: trial for trial in trials}
        self.snapshots: dict[int, Callable[[], Snapshot]] | None = {} if shelf else None
        self.curves = {number: list(past[number].curve) if number in past else [] for number in self.trials}
        self._saved, self._pause = time.monotonic(), shelf.every if shelf else 0.0

    def hear(self, reports: Iterable[Point | Divergence]) -> None:
        """Take in what an epoch has measured."""
        for report in reports:
            if isinstance(report, Point) and report.epoch == len(self.curves[report.trial]) + 1:
                self.curves[report.trial].append(report)

    def leave(self, trials: Collection[int]) -> str:
        """Save trials that another worker may go on with; return what is wrong, if something is."""
        taken = [(number, (self.snapshots or {}).pop(number, None)) for number in trials]
        complaints = [self._save(number, take) for number, take in taken if take]
        return next(filter(None, complaints), "")

    def drop(self, trials: Collection[int]) -> None:
        """Keep nothing more of trials that have ended."""
        if trials and self.shelf and self.snapshots is not None:
            for trial in trials:
                self.snapshots.pop(trial, None)
            self.shelf.clear(trials)

    def end(self, trials: Collection[int]) -> None:
        """Keep nothing of trials that came to their end, but for what lasts as it stands then."""
        lasting = {number for number in trials if self.trials[number].lasts}
        for number in lasting & set(self.snapshots or ()):
            self._save(number, (self.snapshots or {})[number])  # if that fails, it can be trained again
        self.drop(set(trials) - lasting)

    @property
    def due(self) -> bool:
        """Whether it is time to save."""
        return self.shelf is not None and time.monotonic() - self._saved >= self._pause

    def save(self) -> str:
        """Save all that are under way; return what is wrong, if something is."""
        started = time.monotonic()
        complaints = [self._save(number, take) for number, take in (self.snapshots or {}).items()]
        self._saved = time.monotonic()
        if self.shelf:
            self._pause = max(self.shelf.every, (self._saved - started) / _SHARE)
        return next(filter(None, complaints), "")

    def _save(self, number: int, take: Callable[[], Snapshot]) -> str:
        try:
            kept = Kept(take(), tuple(self.curves[number]))
            if self.shelf and kept.snapshot.epoch == len(kept.curve):
                self.shelf.keep(self.trials[number], kept)
        except (CheckpointError, TypeError) as error:
            return f"Trial {number} is not saved, and trains on: {error}"
        return ""
