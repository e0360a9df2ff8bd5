import json
import os
import subprocess
import sys
from types import ModuleType, SimpleNamespace

import pytest

from hpo import __version__, cli
from hpo.errors import InterruptedSearch, SearchError
from hpo.history import History, Search
from hpo.recipe import Objective

OBJECTIVE = Objective("minimize", "loss")
FOUND = Search("cnn-1", "cnn", "", "", "", OBJECTIVE, {"trials": 64, "seed": 0}, {}, created=1000.0)
RESULT = SimpleNamespace(search=FOUND, history=History(OBJECTIVE))


def hpo(*words: str, cwd=None) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-m", "hpo", *words]
    return subprocess.run(command, capture_output=True, text=True, cwd=cwd, timeout=30, check=False)


@pytest.fixture
def conductor(monkeypatch):
    """A stand-in for `hpo.conductor.conductor` that notes how it was called."""
    module = ModuleType("hpo.conductor.conductor")
    module.calls = []

    def note(*words, answer=RESULT):
        module.calls.append(words)
        return (answer.search, answer.history) if answer is RESULT else answer

    def run(search, store, viewer, tell):
        tell(RESULT)
        return note(search.recipe, search.settings["trials"])

    def resume(given, viewer, tell, hear):
        tell(RESULT)
        return note(given.search, given.store)

    module.run, module.resume = run, resume
    module.export = lambda it, _: note(it.name, it.store, it.trial, it.to, it.weights, answer="Written.")
    monkeypatch.setitem(sys.modules, "hpo.conductor.conductor", module)
    monkeypatch.setitem(sys.modules, "hpo.handover.handover", module)
    return module


def test_a_refusal_starts_nothing(tmp_path):
    done = hpo("search", "recipe=cnn", "trails=20", "--seed", "3", cwd=tmp_path)
    assert done.returncode == 2
    assert done.stdout == ""
    assert done.stderr.splitlines() == [
        "hpo: nothing was started, 2 problems:",
        "--seed 3",
        "    Write seed=3.",
        "trails=20",
        "    Unknown key. Did you mean trials?",
    ]
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize(
    "words",
    [
        [],
        ["--help"],
        ["search", "recipe=cn"],
        ["search", "recipe=cnn", "space.lr=1"],
        ["train", "recipe=cnn", "optimizer.lr=x"],
    ],
)
def test_the_command_line_and_its_refusals_import_nothing_heavy(words):
    """That is why they take a fraction of a second; benchmarks/start.py measures it."""
    heavy = ["torch", "ray", "mlflow", "optuna", "sqlalchemy", "rich", "numpy", "pandas"]
    imported = f"[name for name in {heavy} if name in sys.modules]"
    code = f"import sys, hpo.cli; hpo.cli.main({words}) if {words} else None; print({imported})"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.endswith("[]\n")


@pytest.mark.parametrize("words", [["serach", "recipe=cnn"], ["--trials", "20"], ["-x"], ["lsit"]])
def test_an_unknown_verb_is_refused(words, capsys):
    assert cli.main(words) == 2
    lines = capsys.readouterr().err.splitlines()
    assert lines[:2] == ["hpo: nothing was started, 1 problem:", words[0]]
    assert lines[2].startswith("    There is no verb of this name.")
    assert "Known: audit, check, completion, compress, copy" in lines[2]


def test_an_unknown_verb_is_guessed(capsys):
    assert cli.main(["serach"]) == 2
    assert "Did you mean search?" in capsys.readouterr().err


@pytest.mark.parametrize("verb", cli.VERBS)
def test_each_verb_takes_the_keys_of_its_settings(verb, capsys):
    assert cli.main([verb, "zebra=1"]) == 2
    known = ", ".join(cli.VERBS[verb][0].known()) or "none"
    assert f"zebra=1\n    Unknown key. Known: {known}." in capsys.readouterr().err


@pytest.mark.parametrize("verb", cli.VERBS)
def test_each_verb_has_help_that_fits(verb, capsys):
    kind, example = cli.VERBS[verb]
    assert cli.main([verb, "--help"]) == 0
    page = capsys.readouterr().out
    assert example in page
    assert all(key in page or key.upper() in page for key in kind.known())
    assert max(map(len, page.splitlines())) <= 80


@pytest.mark.parametrize("words", [["--help"], ["-h"]])
def test_the_first_page_shows_all_that_can_be_typed(words, capsys):
    assert cli.main(words) == 0
    page = capsys.readouterr().out
    assert all(example in page for _, example in cli.VERBS.values())
    assert "  sampler=blend " in page
    assert max(map(len, page.splitlines())) <= 80


def test_nothing_typed_shows_the_first_page(capsys):
    assert cli.main([]) == 2
    assert capsys.readouterr().err.startswith("Usage: hpo VERB")


@pytest.mark.parametrize("words", [["version"], ["--version"]])
def test_version(words, capsys):
    assert cli.main(words) == 0
    assert capsys.readouterr().out == f"hpo {__version__}\n"


@pytest.mark.parametrize(("verb", "suffix"), [("recipes", ".py"), ("spaces", ".yaml")])
def test_what_ships_is_listed(verb, suffix, capsys):
    assert cli.main([verb, "--json"]) == 0
    assert all(item["path"].endswith(suffix) for item in json.loads(capsys.readouterr().out))
    assert cli.main([verb]) == 0


def test_a_search_prints_its_page(conductor, capsys):
    assert cli.main(["search", "recipe=cnn", "trials=3"]) == 0
    assert conductor.calls == [("cnn", 3)]
    assert capsys.readouterr().out.startswith("cnn-1  running")


@pytest.mark.parametrize(
    "words", [["search", "recipe=cnn"], ["search", "recipe=cnn", "--json"], ["resume", "cnn-1"]]
)
def test_a_search_whose_page_finds_no_room_does_all_else_and_says_so(
    conductor, tmp_path, monkeypatch, capsys, words
):
    with open("/dev/full", "w") as full:
        monkeypatch.setattr(sys, "stdout", full)
        assert cli.main([*words, f"junit={tmp_path}/hpo.xml"]) == 1
    said = "hpo: Standard output does not take it all: No space left on device.\n"
    assert capsys.readouterr().err == said
    assert len(conductor.calls) == 1
    assert (tmp_path / "hpo.xml").exists()


@pytest.mark.parametrize("words", [["recipes"], ["recipes", "--json"]])
def test_a_page_that_nobody_reads_ends_quietly(monkeypatch, capsys, words):
    read, write = os.pipe()
    os.close(read)
    with os.fdopen(write, "w") as closed:
        monkeypatch.setattr(sys, "stdout", closed)
        assert cli.main(words) == 1
    assert capsys.readouterr().err == ""


def test_closed_streams_lead_nowhere_also_for_what_is_started():
    started = "import sys; print(sys.stdin, sys.stderr)"
    code = f"from hpo import cli; cli.main(['recipes']); import subprocess, sys; {started}; "
    code += f"subprocess.run([sys.executable, '-c', '{started}'])"
    closing = ["sh", "-c", '"$0" -c "$1" 0<&- 2>&-', sys.executable, code]
    done = subprocess.run(closing, capture_output=True, text=True, timeout=60, check=True)
    assert "cnn" in done.stdout
    assert not [line for line in done.stdout.splitlines() if "None" in line]


def test_a_search_prints_json_for_programs(conductor, capsys):
    assert cli.main(["search", "recipe=cnn", "--json"]) == 0
    described = json.loads(capsys.readouterr().out)
    assert (described["name"], described["best"]) == ("cnn-1", None)


def test_a_search_is_resumed_by_name(conductor, capsys):
    assert cli.main(["resume", "cnn-1", "store=sqlite:///x.db"]) == 0
    assert conductor.calls == [("cnn-1", "sqlite:///x.db")]
    assert "hpo show cnn-1 store=sqlite:///x.db" in capsys.readouterr().out


def test_the_winner_is_exported(conductor, capsys):
    assert cli.main(["export", "cnn-1", "to=train.py", "trial=3", "store=sqlite:///x.db"]) == 0
    assert conductor.calls == [("cnn-1", "sqlite:///x.db", 3, "train.py", "")]
    assert "Written." in capsys.readouterr().out


def test_weights_are_left_in_a_file_of_a_name_that_says_so(conductor, capsys):
    assert cli.main(["export", "cnn-1", "to=train.py", "weights=w.safetensors", "store=sqlite:///x.db"]) == 0
    assert conductor.calls == [("cnn-1", "sqlite:///x.db", None, "train.py", "w.safetensors")]
    assert cli.main(["export", "cnn-1", "to=train.py", "weights=w.pt"]) == 2
    assert "Must be a file such as weights.safetensors, got 'w.pt'." in capsys.readouterr().err


@pytest.mark.parametrize(
    ("error", "status", "message"),
    [
        (SearchError("cnn-1: every trial failed"), 1, "hpo: cnn-1: every trial failed\n"),
        (
            InterruptedSearch("cnn-1", "store=sqlite:///x.db"),
            130,
            "hpo: interrupted; all that ended is kept. Go on with\n"
            "    hpo resume cnn-1 store=sqlite:///x.db\n",
        ),
        (KeyboardInterrupt(), 130, ""),
    ],
)
def test_a_search_that_does_not_end_well(conductor, capsys, error, status, message):
    def run(search, store, viewer, tell):
        raise error

    conductor.run = run
    assert cli.main(["search", "recipe=cnn"]) == status
    streams = capsys.readouterr()
    assert (streams.out, streams.err) == ("", message)


def test_an_unexpected_error_is_not_hidden(conductor):
    conductor.run = lambda *_: 1 / 0
    with pytest.raises(ZeroDivisionError):
        cli.main(["search", "recipe=cnn"])


def test_the_list_of_an_empty_folder_writes_nothing(tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    monkeypatch.delenv("HPO_STORE", raising=False)
    assert cli.main(["list", "--json"]) == 0
    assert json.loads(capsys.readouterr().out) == []
    assert cli.main(["show", "cnn-1"]) == 2
    assert "There is no search of this name" in capsys.readouterr().err
    assert not list(tmp_path.iterdir())


def test_mlflow_is_brought_level(monkeypatch, tmp_path, capsys):
    tracking = ModuleType("hpo.tracking")
    tracking.sync = lambda ledger, name, uri: {("cnn-1", "sqlite:///m.db"): 7}[name, uri]
    monkeypatch.setitem(sys.modules, "hpo.tracking", tracking)
    store = f"store=sqlite:///{tmp_path}/x.db"
    assert cli.main(["sync", "cnn-1", "tracking=sqlite:///m.db", store]) == 0
    assert capsys.readouterr().out == "7 records sent.\n"


def test_a_running_server_is_only_named(monkeypatch, capsys):
    tracking = ModuleType("hpo.tracking")
    tracking.ui = lambda uri: (uri, [], {})
    monkeypatch.setitem(sys.modules, "hpo.tracking", tracking)
    assert cli.main(["ui", "tracking=http://host:5000"]) == 0
    assert capsys.readouterr().out == "Open http://host:5000\n"


@pytest.mark.parametrize(
    ("words", "message"),
    [
        ([], "Name a search"),
        (["cnn-1", "space=schedules"], "one of them"),
        (["cnn-1", "recipe=cnn"], "This goes with space="),
        (["cnn-1"], "There is no search of this name"),
        (["space=cnn"], "name the recipe as well"),
    ],
)
def test_plot_says_what_it_needs(words, message, tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    monkeypatch.delenv("HPO_STORE", raising=False)
    assert cli.main(["plot", *words]) == 2
    assert message in capsys.readouterr().err


def test_plot_draws_a_space_and_names_the_file(tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    assert cli.main(["plot", "space=cnn", "recipe=cnn", "to=mine"]) == 0
    assert capsys.readouterr().out == "mine/schedules.png\n"
    assert (tmp_path / "mine" / "schedules.png").stat().st_size > 10_000


def test_plot_says_where_it_cannot_write(tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "taken").touch()
    assert cli.main(["plot", "space=sgd", "to=taken"]) == 2
    assert "to=taken\n    Cannot write here" in capsys.readouterr().err
