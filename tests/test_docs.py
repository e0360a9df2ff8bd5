"""What the documents say is so: reference pages are up to date, the site builds, commands and code run."""

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
from typing import get_args

import pytest

from hpo import recipe
from hpo.config import Config
from hpo.training import plain
from hpo.training.engine import Member, Task
from hpo.training.execution import execute
from hpo.training.words import VOCABULARY, vocabulary_of
from hpo.trial import Record

ROOT = Path(__file__).parent.parent
README = (ROOT / "README.md").read_text(encoding="utf-8")
BIN = Path(sys.executable).parent


def page(name):
    return (ROOT / "docs" / name).read_text(encoding="utf-8")


def blocks(language, text=README):
    """A page's fenced blocks in one language, with the text before each."""
    parts = re.split(rf"```{language}\n(.*?)```", text, flags=re.S)
    return list(zip(parts[0::2], parts[1::2], strict=False))


def commands(text=README):
    """A page's commands; of those that hand over to a shell, what hpo does."""
    lines = "".join(block for _, block in blocks("sh", text)).splitlines()
    whole = [line.partition("#")[0].partition(" | ")[0].strip() for line in lines if "# gpu" not in line]
    return [re.sub(r'^eval "\$\((.*)\)"$', r"\1", line) for line in whole]


def write_files(text, folder):
    """Write what a page says to save, under the names that it says."""
    for language in ("python", "yaml"):
        for before, code in blocks(language, text):
            named = re.search(r"Save this as\s`([\w/]+\.\w+)`:\s*$", before)
            if named:
                path = folder / named[1]
                path.parent.mkdir(exist_ok=True)
                path.write_text(code)


REFERENCE = runpy.run_path(str(ROOT / "docs" / "reference.py"))


@pytest.mark.parametrize("name", ["spaces.md", "optimizers.md", "schedules.md"])
def test_the_reference_is_what_the_code_says(name):
    assert REFERENCE["pages"]().keys() == {"spaces.md", "optimizers.md", "schedules.md"}
    text = (ROOT / "docs" / name).read_text(encoding="utf-8")
    assert text == REFERENCE["pages"]()[name], "run python docs/reference.py"


def test_every_kind_of_record_that_watching_prints_is_named():
    told = page("operations.md")
    assert [it for it in get_args(Record) if f"`{it.__name__.lower()}`" not in told] == []


def test_the_reference_leaves_no_word_out():
    assert sorted(name for names in REFERENCE["VALUES"].values() for name in names) == sorted(
        VOCABULARY.values
    )
    text = "".join(REFERENCE["pages"]().values())
    words = [word for branch in ("optimizer", "schedule") for word in VOCABULARY.branches[branch]]
    assert [word for word in words if f"\n## `{word}`\n" not in text] == []


def test_the_example_of_own_words_is_sound(tmp_path, monkeypatch):
    """The recipe of the README with the words of docs/recipes.md trains with them."""
    own = blocks("python", page("recipes.md"))[0][1]
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


@pytest.mark.filterwarnings("ignore")  # those of others
def test_the_site_builds_without_a_warning(tmp_path):
    mkdocs = [sys.executable, "-m", "mkdocs", "build", "--strict", "--site-dir", str(tmp_path)]
    done = subprocess.run(mkdocs, cwd=ROOT, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    pages = {path.stem for path in (ROOT / "docs").glob("*.md")}
    assert pages < {path.stem for path in tmp_path.glob("*.html")}
    assert 'href="recipes.html"' in (tmp_path / "index.html").read_text(encoding="utf-8")
    assert 'href="index.html#fine-tune"' in (tmp_path / "scripts.html").read_text(encoding="utf-8")
    fetched = re.findall(r'(?:src|<link[^>]*href)="(https?:[^"]*)', (tmp_path / "index.html").read_text())
    assert fetched == []  # it is whole without a network


@pytest.mark.parametrize("name", ["tutorial.md", "scripts.md"])
def test_the_recipes_of_a_page_are_sound(tmp_path, name):
    """Recipes are read, not run, so this needs none of the libraries that they import."""
    write_files(page(name), tmp_path)
    found = list(tmp_path.glob("recipes/*.py"))
    assert found
    for path in found:
        mine = recipe.read(path.read_text(), str(path))
        vocabulary = vocabulary_of(mine)
        assert vocabulary.check(vocabulary.defaults(mine.baseline), "") == []


@pytest.mark.slow
@pytest.mark.timeout(900)
def test_every_command_of_the_readme_runs(tmp_path):
    """Typed in order into an empty folder; searches are cut short."""
    write_files(README, tmp_path)
    ran = [run(command, tmp_path) for command in commands() if not command.startswith("make ")]
    assert len(ran) > 8


@pytest.mark.slow
@pytest.mark.timeout(900)
def test_every_command_of_the_tutorial_runs(tmp_path):
    write_files(page("tutorial.md"), tmp_path)
    ran = [run(command, tmp_path) for command in commands(page("tutorial.md"))]
    assert len(ran) > 8
    assert (tmp_path / "numerals-2.html").exists()


@pytest.mark.slow
@pytest.mark.timeout(900)
@pytest.mark.parametrize("library", ["lightning", "transformers"])
def test_a_recipe_from_a_script_of_another_library_trains(tmp_path, library):
    pytest.importorskip(library, reason=f"{library} is not installed, so its recipe is only read")
    write_files(page("scripts.md"), tmp_path)
    [name] = [
        path.stem
        for path in tmp_path.glob("recipes/*.py")
        if f"import {library}" in path.read_text() or f"from {library}" in path.read_text()
    ]
    assert f"hpo search recipe={name}" in commands(page("scripts.md"))
    run(f"hpo search recipe={name}", tmp_path)


@pytest.mark.slow
@pytest.mark.timeout(900)
@pytest.mark.parametrize("name", ["advice.md", "concepts.md", "operations.md", "recipes.md"])
def test_every_command_of_a_page_runs(tmp_path, name):
    """After one search, of which these pages speak."""
    run("hpo search recipe=cnn", tmp_path)
    for command in commands(page(name)):
        run(command, tmp_path)


@pytest.mark.slow
@pytest.mark.timeout(300)
def test_the_code_of_the_page_on_python_runs(tmp_path):
    [(_, code)] = blocks("python", page("python.md"))
    path = tmp_path / "mine.py"
    path.write_text(code.replace("trials=20", "trials=2, epochs=1, show=False"))
    run(f"{sys.executable} {path}", tmp_path)
    assert (tmp_path / "mlp-1.html").exists()


def run(command, folder):
    environment = {**os.environ, "PATH": f"{BIN}:{os.environ['PATH']}"}
    environment.pop("MLFLOW_TRACKING_URI", None)
    words = shlex.split(command)
    if words[:2] == ["hpo", "ui"]:
        return visit(words, folder, environment)
    if words[:2] == ["hpo", "search"]:
        words = [word for word in words if not word.startswith("trials=")] + ["trials=2", "epochs=1"]
    done = subprocess.run(words, cwd=folder, env=environment, capture_output=True, text=True)
    finished_already = words[:2] in (["hpo", "resume"], ["hpo", "stop"]) and "is finished" in done.stderr
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
