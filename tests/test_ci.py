"""A search as a test in a build server: exit status, JUnit file, and the examples of docs/ci.md."""

import re
import shlex
from pathlib import Path
from xml.etree import ElementTree

import pytest
import yaml
from made_up import confirmed, search
from shell import Folder

from hpo import api, cli
from hpo.errors import SearchError
from hpo.results import junit
from hpo.results.requirement import judge, parse

PAGE = (Path(__file__).parent.parent / "docs" / "ci.md").read_text(encoding="utf-8")
ACTION, HOOKS = (yaml.safe_load(text) for text in re.findall(r"```yaml\n(.*?)```", PAGE, flags=re.S))
SHELL = re.findall(r"```sh\n(.*?)```", PAGE, flags=re.S)
STEPS = [step["run"] for step in ACTION["jobs"]["search"]["steps"] if "run" in step]
COMMANDS = [
    *(line for text in SHELL for line in text.splitlines()),
    *(step for step in STEPS if step.startswith("hpo ")),
    *(hook["entry"] for repo in HOOKS["repos"] for hook in repo["hooks"]),
]


@pytest.fixture
def mine(tmp_path, monkeypatch, capsys):
    """A folder with a recipe and a space of one's own."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.delenv("HPO_STORE", raising=False)
    for kind in ("recipe", "space"):
        assert cli.main(["new", kind, "mine"]) == 0
    capsys.readouterr()
    return tmp_path


def test_the_examples_have_the_form_that_their_readers_want():
    assert set(ACTION) == {"name", True, "jobs"}  # YAML 1.1 reads the word on as true
    assert all("uses" in step or "run" in step for step in ACTION["jobs"]["search"]["steps"])
    for repo in HOOKS["repos"]:
        for hook in repo["hooks"]:
            assert {"id", "name", "entry", "language"} <= set(hook)
            assert re.compile(hook["files"]).search("recipes/mine.py")


@pytest.mark.parametrize("command", [it for it in COMMANDS if it.startswith("hpo check")])
def test_what_is_checked_is_sound(command, mine, capsys):
    assert cli.main(shlex.split(command)[1:]) == 0
    assert "Sound" in capsys.readouterr().out


def test_a_metric_that_is_not_measured_is_refused_before_anything_starts(mine, capsys):
    assert cli.main(["search", "recipe=mine", "require=acuracy>=0.9", "trials=0"]) == 2
    assert cli.main(["search", "recipe=mine", "require=acuracy>=0.9"]) == 2
    said = capsys.readouterr().err
    assert "This recipe does not measure acuracy. Did you mean accuracy?" in said
    assert cli.main(["search", "recipe=mine", "require=accuracy=0.9"]) == 2
    assert "'accuracy>=0.97'" in capsys.readouterr().err
    assert not (mine / "hpo.db").exists()


def test_a_file_in_a_folder_that_is_not_there_is_refused(mine, capsys):
    assert cli.main(["search", "recipe=mine", "junit=out/hpo.xml"]) == 2
    assert "in a folder that is there" in capsys.readouterr().err


@pytest.fixture
def ran(monkeypatch):
    """Let `hpo search` come at once to a search that is made up: loss 0.3 with fresh seeds."""
    history = confirmed(0.3, 0.31, 0.29)

    def run(ordered, store, viewing, tell):
        settings = {**search().settings, "require": ordered.settings["require"]}
        found = api.Result(search(settings=settings), history)
        tell(found)
        return found

    monkeypatch.setattr(api, "run", run)


@pytest.mark.parametrize(("bound", "status"), [("0.3", 0), ("0.25", 1)])
def test_a_winner_that_is_not_good_enough_fails(mine, ran, capsys, bound, status):
    words = ["search", "recipe=mine", f"require=loss<={bound}", "junit=hpo.xml"]
    assert cli.main(words) == status
    mark = "✗" if status else "✓"
    assert f"{mark} required loss<={bound}: 0.3 (median of 3 fresh seeds)" in capsys.readouterr().out
    suite = ElementTree.parse("hpo.xml").find("testsuite")
    assert (suite.get("tests"), suite.get("failures")) == ("2", str(status))


def test_without_a_requirement_nothing_is_judged(mine, ran):
    assert cli.main(["search", "recipe=mine"]) == 0
    assert not (mine / "hpo.xml").exists()


def test_a_search_that_comes_to_no_answer_is_a_failure_in_the_file_too(mine, monkeypatch):
    def run(ordered, store, viewing, tell):
        raise SearchError("mine-1: No trial came to its end (3 failed).")

    monkeypatch.setattr(api, "run", run)
    assert cli.main(["search", "recipe=mine", "junit=hpo.xml"]) == 1
    (failure,) = ElementTree.parse("hpo.xml").iter("failure")
    assert failure.get("message") == "mine-1: No trial came to its end (3 failed)."


def test_a_junit_file_names_each_requirement(tmp_path):
    judged = judge(confirmed(0.3, 0.31, 0.32), parse("loss<1, loss<0.1"))
    junit.write(str(tmp_path / "hpo.xml"), "ci", judged)
    cases = list(ElementTree.parse(tmp_path / "hpo.xml").iter("testcase"))
    assert [case.get("name") for case in cases] == ["the search comes to an answer", "loss<1", "loss<0.1"]
    assert [len(case) for case in cases] == [0, 0, 1]
    assert cases[2][0].get("message") == "missed: loss<0.1: 0.31 (median of 3 fresh seeds)"


def test_an_error_with_colours_leaves_the_file_readable(tmp_path):
    junit.write(str(tmp_path / "hpo.xml"), "ci", [], "\x1b[31mboom\x1b[0m, naïve \udcff 🙂")
    (failure,) = ElementTree.parse(tmp_path / "hpo.xml").iter("failure")
    assert failure.get("message") == "\ufffd[31mboom\ufffd[0m, naïve \ufffd 🙂"


@pytest.mark.slow
def test_every_command_of_the_page_runs(mine):
    """With fewer trials, and a requirement that anything meets."""
    for command in COMMANDS:
        short = command.replace("trials=24", "trials=2 epochs=1 confirm_seeds=2").replace("0.97", "0")
        done = Folder(mine).run(*shlex.split(short)[1:])
        assert done.returncode == 0, f"{short}\n{done.stdout}\n{done.stderr}"
    assert (mine / "hpo.html").exists()
