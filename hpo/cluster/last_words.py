"""Why a worker's process ended, as far as it could say so itself, and else by what is left.

A crash (SIGSEGV, SIGABRT …) is written down by Python's faulthandler, `os._exit` by a note of ours; only
SIGKILL leaves nothing.
"""

from __future__ import annotations

import faulthandler
import os
import re
import signal
import sys
from contextlib import suppress
from pathlib import Path
from typing import Final, NoReturn, TextIO

_FLAGS: Final = 5  # their place after a process's state in /proc/…/stat, see proc(5)
_EXITING: Final = 0x4  # PF_EXITING of Linux
_GAVE_UP: Final = "gave up: "
_OPEN: Final[list[TextIO]] = []  # a faulthandler's file stays open as long as the process lives


def leave_last_words(folder: str) -> None:
    """Let this process write down there why it ends."""
    file = _path(folder, os.getpid()).open("w", encoding="utf-8", buffering=1)
    _OPEN.append(file)
    faulthandler.enable(file, all_threads=False)
    process, leave = os.getpid(), os._exit

    def noted(status: int) -> NoReturn:
        if os.getpid() == process:  # and not a child of it
            frame = sys._getframe(1)
            print(f"os._exit({status}) ({frame.f_code.co_filename}:{frame.f_lineno})", file=file)
        leave(status)

    os._exit = noted


def give_up(why: str) -> NoReturn:
    """End this process, which has left its last words, for this reason."""
    print(f"{_GAVE_UP}{why}", file=_OPEN[-1])
    os._exit(1)


def read_last_words(folder: str, process: int, killed_before: int) -> str:
    """Return why a worker's process ended; `killed_before` is what `killed_for_memory` was when it began."""
    path = _path(folder, process)
    said = path.read_text(encoding="utf-8", errors="replace") if path.exists() else ""
    if said.startswith(_GAVE_UP):
        return f"its worker {said.splitlines()[0]}"
    if said.startswith("os._exit"):
        return f"its worker ended by {said.splitlines()[0]}"
    if crash := re.match(r"Fatal Python error: (.*)", said):
        return f"its worker crashed: {crash[1]}{_where(said)}"
    if _lives(process):
        return "its worker failed"
    short = killed_for_memory() > killed_before
    why = "as the system did for lack of memory" if short else "by someone, or for lack of memory"
    return f"its worker was killed (SIGKILL), {why}"


def _where(said: str) -> str:
    line = re.search(r'File "(.*)", line (\d+)', said)
    return f" ({line[1]}:{line[2]})" if line else ""


def kill(process: int) -> None:
    """End a process at once; SIGKILL reaches also one that is stopped."""
    with suppress(ProcessLookupError):
        os.kill(process, signal.SIGKILL)


def killed_for_memory() -> int:
    """Return how many processes this system has killed for lack of memory; 0 if it does not say."""
    try:
        found = re.search(r"^oom_kill (\d+)", Path("/proc/vmstat").read_text(encoding="ascii"), re.MULTILINE)
    except OSError:
        return 0
    return int(found[1]) if found else 0


def _lives(process: int) -> bool:
    """Whether a process runs, and is not on its way out: then its lines are cut before it is gone."""
    try:
        state, *others = Path(f"/proc/{process}/stat").read_text(encoding="utf-8").rpartition(")")[2].split()
    except OSError:
        return False
    return state not in "ZX" and not int(others[_FLAGS]) & _EXITING


def _path(folder: str, process: int) -> Path:
    return Path(folder, f"hpo-last-words-{process}")
