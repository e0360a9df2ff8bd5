"""Optuna's storage of a search, of which only a part is shown to samplers and pruners.

What a sampler computes grows with the trials that it sees, so it sees a bounded number of them, chosen by a
rule that knows nothing but numbers and endings: it is the same when a study is rebuilt.
"""

from __future__ import annotations

import copy
from collections.abc import Callable, Collection, Container, Iterable, Iterator, Mapping, Set
from contextlib import contextmanager
from itertools import islice
from typing import Any, Final

from optuna.distributions import BaseDistribution
from optuna.storages import InMemoryStorage
from optuna.trial import FrozenTrial, TrialState

BEST: Final = 32
LATEST: Final = 64
SPREAD: Final = 64
"""What a sampler that models trials sees of them: the best, the latest, and some of all times."""


class Storage(InMemoryStorage):
    """Keeps all trials, and shows some of them to whoever asks within `showing`."""

    def __init__(self) -> None:
        super().__init__()
        self._ids: list[int] = []
        self._trials: list[FrozenTrial] = []
        self._shown: Callable[[], Collection[int]] | None = None
        self._having: Set[str] = frozenset()

    @property
    def size(self) -> int:
        """The number of trials."""
        return len(self._ids)

    def id(self, number: int) -> int:
        """Return a trial's id by its number."""
        return self._ids[number]

    def trial(self, number: int) -> FrozenTrial:
        """Return a trial by its number, not copied."""
        return self._trials[number]

    def create_new_trial(self, study_id: int, template_trial: FrozenTrial | None = None) -> int:
        """Take in a trial and return its id."""
        self._ids.append(super().create_new_trial(study_id, template_trial))
        self._trials = self._studies[study_id].trials  # the list itself: to ask for each trial takes long
        return self._ids[-1]

    def begin(
        self,
        params: dict[str, Any],
        distributions: dict[str, BaseDistribution],
        attributes: Mapping[str, Any],
    ) -> None:
        """Take in a trial that is under way, with all that a sampler would have noted; nothing is copied."""
        (study,) = self._studies
        self.create_new_trial(study)
        trial = self._trials[-1]
        trial.params, trial.distributions, trial.system_attrs = params, distributions, dict(attributes)

    def measured(self, number: int, epoch: int, score: float) -> None:
        """Take in a trial's score; in place, for Optuna copies the whole curve, and nobody keeps one."""
        self._trials[number].intermediate_values[epoch] = score

    def end(self, number: int, state: TrialState, score: float | None) -> None:
        """Take in how a trial ended, and to what score, as Optuna's own `tell` would."""
        self.set_trial_state_values(self._ids[number], state, None if score is None else [score])

    def curve(self, number: int) -> Mapping[int, float]:
        """Return a trial's scores by epoch."""
        return self._trials[number].intermediate_values

    def last_epoch(self, number: int) -> int:
        """Return the last epoch after which a trial was measured; 0 if there is none."""
        return max(self._trials[number].intermediate_values, default=0)

    def notes(self, number: int) -> dict[str, Any]:
        """Return what a sampler or a pruner noted of a trial that must be found again after a restart."""
        attributes = self._trials[number].system_attrs
        # CMA-ES keeps its state as a pickle; it is computed again on restoring, never stored. What TPE notes
        # for other processes is in the trial's parameters.
        return {name: it for name, it in attributes.items() if not name.startswith(("cma:", "tpe:"))}

    @contextmanager
    def showing(self, shown: Callable[[], Collection[int]]) -> Iterator[None]:
        """Show only trials with these numbers meanwhile; they are found out once somebody looks."""
        self._shown = shown
        try:
            yield
        finally:
            self._shown = None

    @contextmanager
    def having(self, parameters: Set[str]) -> Iterator[None]:
        """Of those that are shown, show only trials with all of these parameters meanwhile."""
        self._having = parameters
        try:
            yield
        finally:
            self._having = frozenset()

    def get_all_trials(
        self,
        study_id: int,
        deepcopy: bool = True,  # noqa: FBT001, FBT002 - Optuna's own signature
        states: Container[TrialState] | None = None,
    ) -> list[FrozenTrial]:
        """Return the trials of these states that are shown."""
        if self._shown is None or states == (TrialState.WAITING,):  # those wait to be proposed: no past
            return super().get_all_trials(study_id, deepcopy, states)
        trials = [self._trials[number] for number in sorted(self._shown())]
        if self._having:
            trials = [trial for trial in trials if trial.params.keys() >= self._having]
        if states is not None:
            trials = [trial for trial in trials if trial.state in states]
        return copy.deepcopy(trials) if deepcopy else trials


def telling(size: int, best: Iterable[int]) -> Collection[int]:
    """Return the numbers of the trials that a sampler sees of so many: of few, all.

    Args:
        size: how many there are.
        best: those that ended, best first.
    """
    if size <= BEST + LATEST + SPREAD:
        return range(size)
    step = 1 << (size // SPREAD).bit_length()
    return {*islice(best, BEST), *range(size - LATEST, size), *range(0, size, step)}
