"""A real terminal with a program in its foreground, and its screen as a person would see it."""

from __future__ import annotations

import os
import pty
import select
import subprocess
import sys
import termios
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pyte

_UNSET = ("NO_COLOR", "COLUMNS", "LINES", "HPO_STORE", "MLFLOW_TRACKING_URI")
# Makes the terminal its own and becomes the program: a shell starts it so.
_LOGIN = """
import fcntl, os, sys, termios
fcntl.ioctl(0, termios.TIOCSCTTY, 0)
os.execv(sys.argv[1], sys.argv[1:])
"""


class Terminal:
    """A terminal of 24 rows in which a program has just been started."""

    def __init__(self, *words: str, width: int = 80, cwd: Path | None = None, **environment: str) -> None:
        self.outer, inner = pty.openpty()
        termios.tcsetwinsize(inner, (24, width))
        self.before = self.mode
        self._screen = pyte.Screen(width, 24)
        self._stream = pyte.ByteStream(self._screen)
        kept = {name: it for name, it in os.environ.items() if name not in _UNSET}
        self.program = subprocess.Popen(
            [sys.executable, "-c", _LOGIN, *words],
            cwd=cwd,
            env={**kept, "TERM": "xterm-256color", **environment},
            stdin=inner,
            stdout=inner,
            stderr=inner,
            start_new_session=True,
        )
        self._inner = inner  # held open, as a shell would

    @property
    def mode(self) -> list[Any]:
        return termios.tcgetattr(self.outer)

    @property
    def page(self) -> str:
        return "\n".join(line.rstrip() for line in self._screen.display).rstrip()

    @property
    def colors(self) -> set[str]:
        row = (cell for line in self._screen.buffer.values() for cell in line.values())
        return {cell.fg for cell in row} - {"default"}

    @property
    def cursor(self) -> bool:
        return not self._screen.cursor.hidden

    def wait(self, done: Callable[[], bool], seconds: float = 100) -> None:
        deadline = time.monotonic() + seconds
        while not done():
            assert time.monotonic() < deadline, self.page
            if select.select([self.outer], [], [], 0.02)[0]:
                self._stream.feed(os.read(self.outer, 65536))

    def shows(self, *texts: str, seconds: float = 100) -> None:
        self.wait(lambda: all(text in self.page for text in texts), seconds)

    def ends(self, seconds: float = 200) -> int:
        """Wait until the program is over, and all it has written is on the screen; return its exit status."""
        self.wait(lambda: self.program.poll() is not None, seconds)
        while select.select([self.outer], [], [], 0.1)[0]:
            self._stream.feed(os.read(self.outer, 65536))
        return self.program.returncode

    def press(self, keys: str) -> None:
        os.write(self.outer, keys.encode())

    def end(self) -> None:
        self.program.kill()
        self.program.wait()
        os.close(self.outer)
        os.close(self._inner)
