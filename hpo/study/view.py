"""Optuna's memory of a search, from which trials can be hidden for a moment."""

from __future__ import annotations

from collections.abc import Callable, Container, Iterator
from contextlib import contextmanager

from optuna.storages import InMemoryStorage
from optuna.trial import FrozenTrial, TrialState


class Memory(InMemoryStorage):
    """Keeps all trials, and shows some of them to whoever asks within `showing`."""

    def __init__(self) -> None:
        super().__init__()
        self._shown: Callable[[int], bool] | None = None

    @contextmanager
    def showing(self, shown: Callable[[int], bool] | None) -> Iterator[None]:
        """Show only trials with such numbers meanwhile; None: all."""
        self._shown = shown
        try:
            yield
        finally:
            self._shown = None

    def get_all_trials(
        self,
        study_id: int,
        deepcopy: bool = True,  # noqa: FBT001, FBT002 - Optuna's own signature
        states: Container[TrialState] | None = None,
    ) -> list[FrozenTrial]:
        """Return the trials of these states that are shown."""
        trials = super().get_all_trials(study_id, deepcopy, states)
        return trials if self._shown is None else [it for it in trials if self._shown(it.number)]
