"""The process that keeps MLflow level with a search, while it runs and a while after."""

from __future__ import annotations

import os
import subprocess
import sys
import tempfile
from contextlib import suppress
from typing import Final

from hpo.settings import StoreSettings
from hpo.terminal.console import on_stderr
from hpo.terminal.lines import tell

_PATIENCE_SECONDS: Final = 60.0
_PARTING_SECONDS: Final = 1.0


class Upload:
    """`python -m hpo.tracking NAME` beside a search; nobody waits for it before the search is over."""

    def __init__(self, name: str, store: str) -> None:
        self._sync = " ".join(["hpo sync", name, *StoreSettings(store=store).store_words])
        self._command = [sys.executable, "-m", "hpo.tracking", name]
        self._environment = {**os.environ, "HPO_STORE": store}
        self._process: subprocess.Popen[bytes] | None = None
        self._scratch: tempfile.TemporaryDirectory[str] | None = None

    def start(self) -> None:
        """Start it, unless it was."""
        if not self._process:
            quiet = subprocess.DEVNULL
            self._scratch = tempfile.TemporaryDirectory(prefix="hpo-upload-", ignore_cleanup_errors=True)
            environment = {**self._environment, "TMPDIR": self._scratch.name}  # who is killed clears nothing
            self._process = subprocess.Popen(  # noqa: S603 - our own words, no shell
                self._command, env=environment, stdin=quiet, stdout=quiet, stderr=quiet
            )

    def wait(self) -> None:
        """Return when MLflow has all of a search that is over; or after a while, and say what to do then."""
        if self._process:
            try:
                self._process.wait(_PATIENCE_SECONDS)
            except subprocess.TimeoutExpired:
                late = f"MLflow does not have all of it after {_PATIENCE_SECONDS:.0f} s, such as its pictures"
                tell(on_stderr(), f"{late}. Send the rest: {self._sync}")

    def end(self) -> None:
        """End it; what is cut off is sent again by `hpo sync`."""
        if not self._process or not self._scratch:
            return
        with self._scratch:
            self._urge(self._process)

    @staticmethod
    def _urge(process: subprocess.Popen[bytes]) -> None:
        for urge in (process.terminate, process.kill):  # each less polite than the one before
            with suppress(subprocess.TimeoutExpired):
                process.wait(_PARTING_SECONDS)
                return
            urge()
        process.wait()
