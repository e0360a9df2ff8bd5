"""What a session has done where trials train. Each imports there what a session does without."""

from __future__ import annotations

import os
from collections.abc import Mapping
from typing import Any

from hpo.worker.job import Job


def referee(where: tuple[str, Mapping[str, str]], name: str, session: int) -> Any:
    """Make the referee of a session, by the store's address and what PostgreSQL's library is to find."""
    from hpo.ledger import patiently
    from hpo.referee import Referee

    store, keys = where
    os.environ.update(keys)
    return patiently(lambda: Referee(store, name, session))


def load() -> None:
    """Import what training needs, which takes its time."""
    from hpo.worker import cohort, peers  # noqa: F401


def work(job: Job, name: str, referee: Any, crew: Any = None) -> bool:
    """Train what the referee gives, with a crew if there is one, until it has no more; see `cohort.train`."""
    from hpo.worker import cohort, peers

    if crew is not None and crew.size > 1:
        return peers.train(job, name, referee, crew)
    return cohort.train(job, name, referee)
