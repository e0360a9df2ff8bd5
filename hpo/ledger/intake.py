"""Taking in a search that another ledger has written."""

from __future__ import annotations

import os
import socket
from collections.abc import Sequence
from dataclasses import replace

from sqlalchemy import insert
from sqlalchemy.exc import IntegrityError

from hpo.errors import InputError, Problem
from hpo.history import Search
from hpo.ledger.ledger import Ledger
from hpo.ledger.rows import search_row, write
from hpo.ledger.schema import searches, sessions
from hpo.trial import Forecast, Record


def take_in(ledger: Ledger, search: Search, records: Sequence[Record]) -> Search:
    """Write down a search that came from elsewhere, with all its records, in one transaction.

    It stands where it stood there, and can be resumed, replayed and exported as there.

    Raises:
        InputError: there is a search of its name here, or nothing can be written here.
    """
    ledger.make_ready()
    whole = replace(search, uploaded=records[-1].seq if records else 0)
    try:
        with ledger.engine.begin() as connection:
            number = connection.scalar(insert(searches).values(search_row(whole)).returning(searches.c.id))
            write(connection, int(number or 0), records)
            connection.execute(insert(sessions).values(_session(whole, int(number or 0), records)))
    except IntegrityError:
        message = "There is a search of this name here. Give the one from elsewhere another: to=…"
        raise InputError(Problem(search.name, message)) from None
    return ledger.search(search.name)


def _session(search: Search, number: int, records: Sequence[Record]) -> dict[str, object]:
    """Return a session in place of those that are not known here, which ended as the last of them did."""
    last = records[-1].at if records else search.created
    planned = (it.used for it in reversed(records) if isinstance(it, Forecast))
    used = search.used or next(planned, None)
    return {
        "search_id": number,
        "host": socket.gethostname(),
        "pid": os.getpid(),
        "started": search.created,
        "ended": last,
        "state": search.state.value,
        "reason": search.reason,
        "used": used and used / (search.devices if search.of_devices else 1.0),
        "devices": search.devices,
    }
