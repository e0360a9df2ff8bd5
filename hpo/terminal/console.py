"""Standard error as a console that nobody need read to the end."""

from __future__ import annotations

import sys
from contextlib import suppress
from typing import IO, Any, cast

from rich.console import Console


def on_stderr() -> Console:
    """Return a console on standard error; what that cannot take is lost, and nothing fails for it."""
    return Console(file=sys.stderr and cast("IO[str]", _Lasting(sys.stderr)), stderr=True)


class _Lasting:
    """A stream without errors: its terminal or its pipe may be closed, or its disk full."""

    def __init__(self, stream: IO[str]) -> None:
        self._stream = stream

    def __getattr__(self, name: str) -> Any:
        return getattr(self._stream, name)

    def write(self, text: str) -> int:
        with suppress(OSError):
            self._stream.write(text)
        return len(text)

    def flush(self) -> None:
        with suppress(OSError):
            self._stream.flush()
