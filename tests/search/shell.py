"""Running hpo as a user does: the command, in a folder of its own."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

HPO = Path(sys.executable).with_name("hpo")


class Folder:
    """An empty folder with a shell in it."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self.url = f"sqlite:///{path}/hpo.db"
        self.environment = {
            name: value
            for name, value in os.environ.items()
            if name not in ("HPO_STORE", "MLFLOW_TRACKING_URI", "PYTHONPATH")
        }

    def start(self, *words: str) -> subprocess.Popen[str]:
        return subprocess.Popen(
            [str(HPO), *words],
            cwd=self.path,
            env=self.environment,
            text=True,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            start_new_session=True,
        )

    def run(self, *words: str) -> subprocess.CompletedProcess[str]:
        process = self.start(*words)
        out, err = process.communicate(timeout=500)
        return subprocess.CompletedProcess(words, process.returncode, out, err)
