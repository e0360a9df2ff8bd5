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

    def wait(self) -> None:
        """Return when MLflow has all of a search that is over, or after a while."""
        if self._process:
            with suppress(subprocess.TimeoutExpired):
                self._process.wait(_PATIENCE_SECONDS)

    def end(self) -> None:
        """End it; what is cut off is sent again by `hpo sync`."""
        if not self._process:
            return
        for urge in (self._process.terminate, self._process.kill):  # each less polite than the one before
            with suppress(subprocess.TimeoutExpired):
                self._process.wait(_PARTING_SECONDS)
                return
            urge()
        self._process.wait()
