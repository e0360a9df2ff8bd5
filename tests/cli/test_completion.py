"""The shell completes what can be typed: verbs, keys, recipes, spaces, searches."""

import os
import shutil
import subprocess
import sys
from dataclasses import replace

import pytest

from hpo import cli
from hpo.cli.completion import SCRIPTS, complete
from hpo.history import Search
from hpo.ledger import Ledger
from hpo.recipe import Objective

SEARCH = Search("cnn-1", "cnn", "", "", "", Objective("minimize", "loss"), {"trials": 1}, {})


@pytest.fixture(autouse=True)
def folder(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    monkeypatch.delenv("HPO_STORE", raising=False)
    return tmp_path


@pytest.mark.parametrize(
    ("line", "expected"),
    [
        ("hpo se", ["search"]),
        ("hpo search rec", ["recipe="]),
        ("hpo search recipe=cn", ["recipe=cnn"]),
        (
            "hpo search recipe=cnn space=ada",
            [f"space=ada{it}" for it in ("delta", "factor", "grad", "m", "max", "mw")],
        ),
        (
            "hpo search recipe=cnn sampler=",
            [f"sampler={it}" for it in ("blend", "cmaes", "gp", "qmc", "random", "tpe")],
        ),
        ("hpo search recipe=cnn fuse=o", ["fuse=off"]),
        ("hpo search deterministic=t", ["deterministic=true"]),
        ("hpo search recipe=cnn reci", []),
        ("hpo export cnn-1 as=op", ["as=optuna"]),
        ("hpo new ", ["recipe", "space", "kind="]),
        ("hpo copy rn", ["rnn"]),
        ("hpo space s", ["suggest", "step=", "store="]),
        ("hpo zebra ", []),
        ("hpo completion z", ["zsh"]),
    ],
)
def test_a_word_is_completed(line, expected):
    assert complete(line, cli.VERBS) == expected


def test_nothing_typed_offers_every_verb():
    assert complete("hpo ", cli.VERBS) == sorted(cli.VERBS)


def test_names_are_those_of_the_ledger():
    assert complete("hpo show c", cli.VERBS) == []
    ledger = Ledger("sqlite:///hpo.db")
    ledger.create_search(SEARCH)
    ledger.create_search(replace(SEARCH, name="mlp-1"))
    ledger.close()
    assert complete("hpo show c", cli.VERBS) == ["cnn-1"]
    assert complete("hpo resume ml", cli.VERBS) == ["mlp-1"]
    assert complete("hpo space suggest ", cli.VERBS)[:2] == ["cnn-1", "mlp-1"]


@pytest.mark.parametrize("shell", SCRIPTS)
def test_each_shell_has_a_script(shell, capsys):
    assert cli.main(["completion", shell]) == 0
    script = capsys.readouterr().out
    assert "hpo completion line=" in script
    if shutil.which(shell):
        subprocess.run([shell, "-n"], input=script, text=True, check=True)


@pytest.mark.parametrize(("line", "expected"), [("hpo sea", ["search"]), ("hpo search recipe=cn", ["cnn"])])
def test_bash_gets_its_words(line, expected, folder):
    (folder / "hpo").write_text(f'#!/bin/sh\nexec "{sys.executable}" -m hpo "$@"\n')
    (folder / "hpo").chmod(0o700)
    call = f'COMP_LINE="{line}" COMP_POINT={len(line)}\n_hpo\nprintf "%s\\n" "${{COMPREPLY[@]}}"'
    asked = f"{SCRIPTS['bash']}\n{call}"
    environment = {**os.environ, "PATH": f"{folder}:{os.environ['PATH']}"}
    done = subprocess.run(["bash", "-c", asked], env=environment, capture_output=True, text=True, check=True)
    assert done.stdout.split() == expected
