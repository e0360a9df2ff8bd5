"""Whether a session's driver is alive, and so where its search stands."""

from __future__ import annotations

import os
import socket
import time
from pathlib import Path
from typing import Any, Final

from sqlalchemy import ColumnElement, Double, Engine, Row, extract, func, literal

from hpo.history import State

SILENCE_SECONDS: Final = 60.0
"""A driver on another machine that was not heard of for so long is taken for dead."""


def now(engine: Engine) -> ColumnElement[float]:
    """Return the time that all who look at this ledger agree on: a server's, where machines share one."""
    if engine.dialect.name == "postgresql":
        return extract("epoch", func.clock_timestamp()).cast(Double)
    return literal(time.time())


def standing(session: Row[Any] | None, at: float) -> tuple[State, str]:
    """Return where a search stands by its latest session, and why; it is looked `at` by the ledger's clock.

    On this machine the process decides, on another one the driver's heartbeat. A session of an older hpo
    has none, and is taken at its word.
    """
    if session is None:
        return State.INTERRUPTED, "never started"
    if session.state is not None:
        return State(session.state), session.reason or ""
    driver = f"process {session.pid} on {session.host}"
    silence = at - session.heartbeat if session.heartbeat else None
    heard = "" if silence is None else f", last heard of {max(silence, 0):.0f} s ago"
    if session.host == socket.gethostname():
        dead = not _lives(session.pid, session.born)
    else:
        dead = silence is not None and silence > SILENCE_SECONDS
    return (
        (State.INTERRUPTED, f"its driver ({driver}{heard}) died") if dead else (State.RUNNING, driver + heard)
    )


def lasted(session: Row[Any]) -> float:
    """Return for how many seconds a session ran: to its end or, if it was killed, as far as was noted."""
    if session.ended is None and session.devices is not None:
        return float(session.used)
    last = session.ended or session.heartbeat or session.started
    return max(float(last - session.started), 0.0)


def took(session: Row[Any], *, of_devices: bool) -> float | None:
    """Return the seconds that a session used, or those `of_devices` that it had; None if none were noted."""
    if session.used is None:
        return None
    return float(session.used) * ((session.devices or 1.0) if of_devices else 1.0)


def born(pid: int) -> float | None:
    """Return when a process of this machine began, in seconds since the machine did; None if that is unknown.

    Numbers of processes are used again; with this they tell one from another. Only Linux says it.
    """
    facts = _facts(pid)
    return int(facts[19]) / os.sysconf("SC_CLK_TCK") if facts else None


def _lives(pid: int, since: float | None) -> bool:
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    except PermissionError:  # it is someone else's, and there
        pass
    facts = _facts(pid)
    ended = bool(facts) and facts[0] in "ZX"  # its parent has not taken notice yet
    return not ended and (since is None or born(pid) in (since, None))


def _facts(pid: int) -> list[str]:
    """Return what /proc/PID/stat says from the third field on, see proc(5); nothing where there is none."""
    try:
        return (
            Path(f"/proc/{pid}/stat").read_text(encoding="utf-8", errors="replace").rpartition(")")[2].split()
        )
    except OSError:
        return []
