"""Keeping MLflow level with a search, whatever ails the server."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from threading import Event
from typing import TYPE_CHECKING, Final

from hpo.errors import HpoError, LedgerError, without_password
from hpo.tracking.places import calm, default_uri, make_whole
from hpo.tracking.source import Source

if TYPE_CHECKING:
    from hpo.tracking.tracker import Tracker

# The longest wait between two tries, in seconds, and how many failures in a row are enough once the search
# is over: about four minutes of an unreachable server.
SLOWEST: Final = 30.0
TRIES: Final = 12


def sync(source: Source, name: str, uri: str = "") -> int:
    """Bring MLflow level with the ledger; return the number of records that were sent.

    Raises:
        HpoError: there is no such search, or MLflow does not take it.
    """
    try:
        return _tracker(source, name, uri).upload()
    except HpoError:
        raise
    except Exception as error:  # the store may be MLflow's own, with any error of its database
        again = f"What was sent is kept; go on with: hpo sync {name}"
        raise HpoError(f"{told(error)}. {again}") from error


def follow(
    source: Source, name: str, uri: str = "", *, poll: float = 0.5, stop: Event | None = None
) -> str | None:
    """Upload until the search is over and all of it is in; return None, or why that was given up.

    An error of MLflow is no reason to stop, however long it lasts: the search may outlast it. A ledger that
    is out of reach is given up after some minutes. Setting `stop` ends it after the batch that is under way.

    Raises:
        HpoError: there is no such search.
    """
    tracker, stop, failures = _tracker(source, name, uri), stop or Event(), 0
    while not stop.is_set():
        error = _attempt(tracker, stop)
        failures = failures + 1 if error else 0
        if tracker.over and (error is None or failures > TRIES):
            return error
        stop.wait(min(poll * 2 ** min(failures, 10), SLOWEST))
    return None


def _attempt(tracker: Tracker, stop: Event) -> str | None:
    try:
        for _ in tracker.batches():
            if stop.is_set():
                break
    except LedgerError as error:  # its driver waits as well, but not for ever
        tracker.over = True
        return str(error)
    except HpoError:
        raise
    except Exception as error:  # noqa: BLE001 - a search never suffers from what ails MLflow
        return told(error)
    return None


@contextmanager
def explained() -> Iterator[None]:
    """Say what ails MLflow's store, which may be its own, with any error of its database.

    Raises:
        HpoError: with that in one line.
    """
    try:
        yield
    except HpoError:
        raise
    except Exception as error:
        raise HpoError(told(error)) from error


def told(error: Exception) -> str:
    """Say in one line what ails MLflow, whose errors repeat its address."""
    said = str(error).strip().partition("\n")[0]
    return f"MLflow: {type(error).__name__}: {without_password(said)}"


def _tracker(source: Source, name: str, uri: str) -> Tracker:
    source.search(name)  # a name that is not there is refused before MLflow is imported, which takes seconds
    calm()
    from hpo.tracking.tracker import Tracker

    uri = uri or default_uri()
    make_whole(uri)
    return Tracker(source, name, uri)
