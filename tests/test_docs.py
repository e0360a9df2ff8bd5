"""What the documents say is so: generated pages are up to date, every command of the README runs."""

import os
import re
import runpy
import shlex
import signal
import subprocess
import sys
import time
import urllib.request
from pathlib import Path

import pytest

from hpo import recipe
from hpo.config import Config
from hpo.training import plain
from hpo.training.engine import Member, Task
from hpo.training.execution import execute
from hpo.training.words import VOCABULARY, vocabulary_of

ROOT = Path(__file__).parent.parent
README = (ROOT / "README.md").read_text(encoding="utf-8")
BIN = Path(sys.executable).parent


def blocks(language):
    """The README's fenced blocks in one language, with the text before each."""
    parts = re.split(rf"```{language}\n(.*?)```", README, flags=re.S)
    return list(zip(parts[0::2], parts[1::2], strict=False))


def commands():
    lines = "".join(block for _, block in blocks("sh")).splitlines()
    return [line.partition("#")[0].strip() for line in lines if "# gpu" not in line]


REFERENCE = runpy.run_path(str(ROOT / "docs" / "reference.py"))


@pytest.mark.parametrize("name", ["spaces.md", "optimizers.md", "schedules.md"])
def test_the_reference_is_what_the_code_says(name):
    assert REFERENCE["pages"]().keys() == {"spaces.md", "optimizers.md", "schedules.md"}
    text = (ROOT / "docs" / name).read_text(encoding="utf-8")
    assert text == REFERENCE["pages"]()[name], "run python docs/reference.py"


def test_the_reference_leaves_no_word_out():
    assert sorted(name for names in REFERENCE["VALUES"].values() for name in names) == sorted(
        VOCABULARY.values
    )
    text = "".join(REFERENCE["pages"]().values())
    words = [word for branch in ("optimizer", "schedule") for word in VOCABULARY.branches[branch]]
    assert [word for word in words if f"\n## `{word}`\n" not in text] == []


def test_the_example_of_own_words_is_sound(tmp_path, monkeypatch):
    """The recipe of the README with the words of docs/recipes.md trains with them."""
    own = re.findall(r"```python\n(.*?)```", (ROOT / "docs" / "recipes.md").read_text(), flags=re.S)[0]
    [(_, mine)] = blocks("python")
    found = recipe.read(f"{mine}\n\n{own}", "mine.py")
    values = {"optimizer": "Lion", "schedule": "sawtooth", "batch_size": 32}
    config = vocabulary_of(found).defaults(Config(values))
    assert vocabulary_of(found).check(config, "") == []
    module = execute(found.source, found.path)
    task = Task(module, module.data(), found.objective, epochs=8, seed=0)
    points = [points[0] for points in plain.train(task, [Member(0, config | {"optimizer.lr": 3e-3})])]
    assert points[-1].loss < 0.8 * points[0].loss


@pytest.mark.parametrize("command", [line for line in commands() if line.startswith("make ")])
def test_make_passes_its_words_on(command):
    _, verb, *words = shlex.split(command)
    assert sorted(planned(*shlex.split(command))) == sorted([".venv/bin/hpo", verb, *words])


def test_make_passes_a_space_in_a_word_on():
    word = "space.optimizer.sgd.lr={log: [1e-3, 1e-1]}"
    assert word in planned("make", "search", "recipe=cnn", word)


def planned(*command):
    """The last command that make would run, as words."""
    # These tests may themselves be run by make, whose words are not meant for this one.
    environment = {name: value for name, value in os.environ.items() if not name.startswith("MAKE")}
    make = [*command, "--dry-run", "--no-print-directory"]
    done = subprocess.run(make, cwd=ROOT, env=environment, capture_output=True, text=True, check=True)
    return shlex.split(done.stdout.splitlines()[-1])


def test_links_lead_somewhere():
    for target in re.findall(r"\]\(([^)#:]+)\)", README):
        assert (ROOT / target).exists(), target


@pytest.mark.slow
@pytest.mark.timeout(900)
def test_every_command_of_the_readme_runs(tmp_path):
    """Typed in order into an empty folder; searches are cut short."""
    for language in ("python", "yaml"):
        for before, text in blocks(language):
            path = tmp_path / re.findall(r"`([\w/]+\.\w+)`", before)[-1]
            path.parent.mkdir()
            path.write_text(text)
    ran = [run(command, tmp_path) for command in commands() if not command.startswith("make ")]
    assert len(ran) > 8


def run(command, folder):
    environment = {**os.environ, "PATH": f"{BIN}:{os.environ['PATH']}"}
    environment.pop("MLFLOW_TRACKING_URI", None)
    words = shlex.split(command)
    if words[:2] == ["hpo", "ui"]:
        return visit(words, folder, environment)
    if words[:2] == ["hpo", "search"]:
        words += ["trials=2", "epochs=1"]
    done = subprocess.run(words, cwd=folder, env=environment, capture_output=True, text=True)
    finished_already = words[:2] == ["hpo", "resume"] and "is finished" in done.stderr
    assert done.returncode == 0 or finished_already, f"{command}\n{done.stdout}\n{done.stderr}"
    return done


def visit(words, folder, environment):
    """Start the page, open it, and stop it."""
    server = subprocess.Popen(
        words, cwd=folder, env=environment, text=True, stdout=subprocess.PIPE, start_new_session=True
    )
    address = server.stdout.readline().split()[-1]
    assert address.startswith("http://127.0.0.1:")
    try:
        for _ in range(240):
            try:
                with urllib.request.urlopen(address, timeout=5) as answer:
                    assert answer.status == 200
                    return answer
            except OSError:
                time.sleep(0.25)
        raise TimeoutError(address)
    finally:
        os.killpg(server.pid, signal.SIGTERM)
        server.communicate(timeout=30)
