"""Keys as they are pressed, and the terminal left as it was, whatever becomes of this process."""

from __future__ import annotations

import os
import re
import select
import subprocess
import sys
import termios
from typing import Any, Final, TextIO

# Waits in a session of its own until this process lets go of the pipe, also by dying. If the terminal is then
# still as this process had set it, and no shell has taken it back, it is set as it was before.
_GUARD: Final = """
trap '' INT HUP TERM QUIT
read -r before && read -r ours && cat > /dev/null
if [ "$(stty -g <&2)" = "$ours" ]; then stty "$before" <&2; printf '\\033[?25h' >&2; fi
"""
_SEQUENCE: Final = re.compile(r"\x1b[\[O]?[0-9;]*.?")  # what keys such as the arrows send


class Keys:
    """Reads single keys of a terminal, without Enter, while this process is in its foreground.

    Where there is no terminal, no key is pressed. Ctrl-C, Ctrl-Z and what is printed stay as they are.
    """

    def __init__(self, stream: TextIO | None = None) -> None:
        stream = stream or sys.stdin
        self._terminal = stream.fileno() if stream and stream.isatty() else None
        self._before: list[Any] = []
        self._guard: subprocess.Popen[bytes] | None = None

    @property
    def heard(self) -> bool:
        """Whether a key that is pressed now will be noticed."""
        return self._guard is not None and self._in_front

    def start(self) -> None:
        """Listen from now on."""
        if self._terminal is None or not self._in_front:
            return
        self._before = termios.tcgetattr(self._terminal)
        try:
            before = self._said()
            self._listen()
            self._guard = _guard(self._terminal, before, self._said())
        except (OSError, subprocess.SubprocessError):  # no shell here: better no keys than a spoiled terminal
            self._restore()

    def pressed(self) -> str:
        """Return the keys that were pressed since the last call."""
        if self._terminal is None or not self.heard:
            return ""
        self._listen()  # a shell that had the terminal meanwhile has set it otherwise
        typed = ""
        while select.select([self._terminal], [], [], 0)[0]:
            found = os.read(self._terminal, 1024)
            if not found:
                break
            typed += found.decode(errors="ignore")
        return _SEQUENCE.sub("", typed)

    def finish(self) -> None:
        """Leave the terminal as it was; to be called more than once does no harm."""
        if self._guard and self._guard.stdin:
            self._restore()
            self._guard.stdin.close()
            self._guard.wait()
            self._guard = None

    @property
    def _in_front(self) -> bool:
        """Whether the terminal is ours: whoever reads from it in the background is stopped."""
        try:
            return self._terminal is not None and os.tcgetpgrp(self._terminal) == os.getpgrp()
        except OSError:  # it is closed, or not this process's own
            return False

    def _listen(self) -> None:
        mode = termios.tcgetattr(self._terminal)  # type: ignore[arg-type]
        quiet = mode[3] & ~(termios.ICANON | termios.ECHO)
        if mode[3] != quiet:
            mode[3] = quiet
            termios.tcsetattr(self._terminal, termios.TCSANOW, mode)  # type: ignore[arg-type]

    def _restore(self) -> None:
        if self._before and self._in_front:
            termios.tcsetattr(self._terminal, termios.TCSADRAIN, self._before)  # type: ignore[arg-type]

    def _said(self) -> bytes:
        """Return how the terminal is set, in stty's own words."""
        return subprocess.run(
            ["stty", "-g"],  # noqa: S607 - of the system, wherever it is
            stdin=self._terminal,
            capture_output=True,
            check=True,
            timeout=5,
        ).stdout


def _guard(terminal: int, before: bytes, ours: bytes) -> subprocess.Popen[bytes]:
    guard = subprocess.Popen(  # noqa: S603 - our own words
        ["sh", "-c", _GUARD],  # noqa: S607 - of the system, wherever it is
        stdin=subprocess.PIPE,
        stdout=subprocess.DEVNULL,
        stderr=terminal,
        start_new_session=True,
    )
    assert guard.stdin  # noqa: S101 - for the types
    guard.stdin.write(before + ours)
    guard.stdin.flush()
    return guard
