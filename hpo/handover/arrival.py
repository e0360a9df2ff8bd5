"""A search that comes back from MLflow, into a ledger that does not have it."""

from __future__ import annotations

import shlex
from dataclasses import replace

from hpo.ledger import Ledger, take_in
from hpo.settings import FetchSettings


def fetch(settings: FetchSettings) -> str:
    """Write a search of MLflow's down in this ledger, and say what can be done with it.

    Raises:
        InputError: MLflow has no such search, or not all of it, or its name is taken here.
        HpoError: MLflow cannot be read.
    """
    ledger = Ledger(settings.store)
    from hpo import tracking

    search, records, sent = tracking.fetch(settings.name, settings.tracking)
    taken = take_in(ledger, replace(search, name=settings.to or search.name), records)
    words = shlex.join(["hpo", "show", taken.name])
    where = " ".join([words, *settings.store_words])
    told = f"{taken.name}: {len(records)} records of MLflow's are in the ledger"
    if sent > len(records):
        told += f", of {sent}: the search went on after this copy was kept, and no newer one is there"
    return f"{told}. Look at it: {where}"
