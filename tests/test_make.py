"""What make sets up, and with which Python."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent
NAMES = ("python3", "python3.14", "python3.13", "python3.12", "python3.11")


@pytest.fixture
def make(tmp_path):
    """Return what runs make on a machine where only these Pythons are new enough."""

    def run(*words, new_enough=()):
        for name in NAMES:
            command = f'exec "{sys.executable}" "$@"' if name in new_enough else "exit 1"
            (tmp_path / name).write_text(f"#!/bin/sh\n{command}\n")
            (tmp_path / name).chmod(0o755)
        known = {name: value for name, value in os.environ.items() if not name.startswith("MAKE")}
        environment = {**known, "PATH": f"{tmp_path}:{os.environ['PATH']}"}
        return subprocess.run(
            ["make", *words, f"VENV={tmp_path}/venv"],
            cwd=ROOT,
            env=environment,
            capture_output=True,
            text=True,
            timeout=60,
            check=False,
        )

    return run


@pytest.mark.parametrize(
    ("new_enough", "taken"),
    [(["python3", "python3.12"], "python3"), (["python3.11", "python3.12"], "python3.12")],
)
def test_the_first_python_that_is_new_enough_is_taken(make, tmp_path, new_enough, taken):
    planned = make("--dry-run", "search", new_enough=new_enough)
    assert f"\n{taken} -m venv {tmp_path}/venv\n" in planned.stdout


def test_without_one_nothing_is_set_up(make, tmp_path):
    for words in ([], ["PYTHON=python3"]):
        refused = make("search", *words)
        assert refused.returncode == 2
        assert refused.stderr.startswith(
            "hpo needs Python 3.11 or later. Install it, or name it: make PYTHON="
        )
        assert not (tmp_path / "venv").exists()
