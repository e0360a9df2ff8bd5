"""Where Tune asks for work: it is passed on to the referee. Importing this imports Tune."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from ray.tune.search import Searcher

from hpo.cluster.inquiry import Inquiry


class Asking(Searcher):
    """Passes Tune's question for work on, and tells whose worker died."""

    def __init__(self, inquiry: Inquiry) -> None:
        super().__init__(metric="done", mode="max")
        self._inquiry = inquiry

    def suggest(self, trial_id: str) -> Any:
        """Return a shift, nothing for now, or that there will be no more."""
        answer = self._inquiry.answer(trial_id)
        if answer == "now":
            return {"shift": trial_id}
        return Searcher.FINISHED if answer == "never" else None

    def on_trial_complete(
        self,
        trial_id: str,
        result: dict[str, Any] | None = None,
        error: bool = False,  # noqa: FBT001, FBT002
    ) -> None:
        """Take in that a shift is over."""
        if error or result is not None:
            self._inquiry.end(trial_id, failed=error)
        else:  # it was withdrawn before it had a worker
            self._inquiry.withdraw(trial_id)

    def save(self, checkpoint_path: str) -> None:
        """Save nothing: the ledger has it all."""
        Path(checkpoint_path).touch()

    def restore(self, checkpoint_path: str) -> None:
        """Restore nothing: Tune's own resume is not used."""
