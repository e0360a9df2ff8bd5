"""The process that keeps MLflow level with a search, while it runs and a while after."""

from __future__ import annotations

import os
import subprocess
import sys
from contextlib import suppress
from typing import Final

_PATIENCE_SECONDS: Final = 60.0
_PARTING_SECONDS: Final = 1.0


class Upload:
    """`python -m hpo.tracking NAME` beside a search; nobody waits for it before the search is over."""

    def __init__(self, name: str, store: str) -> None:
        self._command = [sys.executable, "-m", "hpo.tracking", name]
        self._environment = {**os.environ, "HPO_STORE": store}
        self._process: subprocess.Popen[bytes] | None = None

    def start(self) -> None:
        """Start it, unless it was."""
        if not self._process:
            quiet = subprocess.DEVNULL
            self._process = subprocess.Popen(  # noqa: S603 - our own words, no shell
                self._command, env=self._environment, stdin=quiet, stdout=quiet, stderr=quiet
            )

    def finish(self, *, wait: bool) -> None:
        """Return when it has ended: after a while, if that is waited for, or when Ctrl-C ends the wait."""
        if not self._process:
            return
        if wait:
            with suppress(KeyboardInterrupt, subprocess.TimeoutExpired):
                self._process.wait(_PATIENCE_SECONDS)
        # Each end is less polite than the one before; whatever is cut off is sent again by `hpo sync`.
        for end in (self._process.terminate, self._process.kill):
            with suppress(subprocess.TimeoutExpired):
                self._process.wait(_PARTING_SECONDS)
                return
            end()
        self._process.wait()
