"""Where Tune asks for work: it is passed on to the referee."""

from __future__ import annotations

from pathlib import Path
from typing import Any, Final

import ray

from hpo.cluster.allowance import Allowance

_VAIN: Final = 3


def asking(host: Any, workers: int, allowance: Allowance) -> Any:
    """Return what Tune asks for cohorts; the first `workers` begin before the referee has started."""
    from ray.tune.search import Searcher

    class Asking(Searcher):
        """Passes Tune's question for work on to the referee, and tells it whose worker died."""

        def __init__(self) -> None:
            super().__init__(metric="done", mode="max")
            self.suggested = 0
            self.alive: set[str] = set()  # cohorts that have a worker, or are about to
            self.in_vain = 0  # workers in a row that failed with no trial in hand

        @property
        def gave_up(self) -> bool:
            """Whether so many workers failed before they trained that the cause is not in the trials."""
            return self.in_vain >= _VAIN

        def suggest(self, trial_id: str) -> Any:
            allowance.look()
            if self.gave_up or len(self.alive) >= allowance.most:
                return Searcher.FINISHED if self.gave_up else None
            self.suggested += 1
            # The first workers need not wait for the referee to start: they load torch meanwhile.
            first = self.suggested <= workers
            ready, exhausted = (True, False) if first else ray.get(host.outlook.remote(list(self.alive)))
            allowance.eager = ready
            if ready:
                self.alive.add(trial_id)
                return {"cohort": trial_id}
            return Searcher.FINISHED if exhausted else None

        def on_trial_complete(
            self,
            trial_id: str,
            result: dict[str, Any] | None = None,
            error: bool = False,  # noqa: FBT001, FBT002
        ) -> None:
            self.alive.discard(trial_id)
            if not error and result is None:  # it was withdrawn before it had a worker
                return
            had_trials = error and ray.get(host.lost.remote(trial_id))
            self.in_vain = self.in_vain + 1 if error and not had_trials else 0

        def save(self, checkpoint_path: str) -> None:
            """Save nothing: the ledger has it all."""
            Path(checkpoint_path).touch()

        def restore(self, checkpoint_path: str) -> None:
            """Restore nothing: Tune's own resume is not used."""

    return Asking()
