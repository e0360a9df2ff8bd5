"""What has changed between the start of a search and its resumption is shown, and refused."""

import json
import sqlite3
from dataclasses import replace
from pathlib import Path

import pytest
import torch
from shell import Folder

from hpo.conductor import conductor
from hpo.errors import InputError, InterruptedSearch
from hpo.ledger import Ledger
from hpo.planning.changes import changes, reorder
from hpo.planning.ordering import order, order_training
from hpo.settings import ResumeSettings, SearchSettings, TrainSettings
from hpo.training.checkpoint import write_checkpoint

ROOT = Path(__file__).parent.parent.parent
WORDS = (
    "recipe=own",
    "space=own",
    "space.batch_size=16",
    "recipe.width=24",
    "trials=2",
    "epochs=1",
    "fuse=off",
)


@pytest.fixture
def folder(tmp_path, monkeypatch):
    """A folder with a recipe and a space of its own."""
    monkeypatch.chdir(tmp_path)
    for source, to in (
        ("recipes/mlp.py", "recipes/own.py"),
        ("search_spaces/sgd.yaml", "search_spaces/own.yaml"),
    ):
        Path(to).parent.mkdir()
        Path(to).write_text((ROOT / source).read_text())
    return tmp_path


@pytest.fixture
def search(folder):
    ledger = Ledger("sqlite:///hpo.db")
    ordered = order(SearchSettings.from_words(WORDS))
    decided = {"threads": 1, "device": "cpu", "at_work": 1}
    written = ledger.create_search(replace(ordered, settings={**ordered.settings, **decided}))
    ledger.close()
    return written


def given(*words):
    return ResumeSettings.from_words(["own-1", *words])


def found(search, *words):
    return {
        change.what.split()[0]: change.lines for change in changes(search, reorder(search, given(*words)))
    }


def edit(path, before, after):
    text = Path(path).read_text()
    assert before in text
    Path(path).write_text(text.replace(before, after))


def test_nothing_has_changed(search):
    assert found(search) == {}


def test_nothing_has_changed_seen_from_another_folder(search, tmp_path, monkeypatch):
    (tmp_path / "elsewhere").mkdir()
    monkeypatch.chdir(tmp_path / "elsewhere")
    assert found(search) == {}


def test_how_long_and_on_how_much_is_free(search):
    assert found(search, "trials=100", "workers=7", "timeout=1h") == {}


def test_the_recipe(search):
    edit("recipes/own.py", "import torch\n", "import torch  # what else\n")
    assert set(found(search)) == {"recipe"}
    assert {"-import torch", "+import torch  # what else"} <= set(found(search)["recipe"])


def test_the_space_with_what_was_put_into_it(search):
    edit("search_spaces/own.yaml", "1e-3", "1e-4")
    assert set(found(search)) == {"space"}
    assert sum(line.startswith("+ ") for line in found(search)["space"]) == 1


def test_a_recipe_and_a_space_that_are_gone_are_as_they_were(search):
    Path("recipes/own.py").unlink()
    Path("search_spaces/own.yaml").unlink()
    assert found(search) == {}
    assert set(found(search, "space.batch_size=64")) == {"space", "settings"}


@pytest.mark.parametrize(
    ("word", "line"),
    [
        ("seed=1", "seed: 0 → 1"),
        ("pruner=none", "pruner: ladder → none"),
        ("epochs=5", "epochs: 1 → 5"),
        ("deterministic=true", "deterministic: false → true"),
        ("space.batch_size=64", "space.batch_size: 16 → 64"),
        ("recipe.width=8", "recipe.width: 24 → 8"),
    ],
)
def test_words_given_now(search, word, line):
    assert found(search, word)["settings"] == (line,)


def test_the_weights_from_which_training_starts(folder):
    write_checkpoint("start.safetensors", {"net.0.weight": torch.ones(2)}, {})
    ordered = order(SearchSettings.from_words([*WORDS, "space.start=start.safetensors"]))
    younger = {name: it for name, it in ordered.settings.items() if name != "start_sha256"}
    assert found(ordered) == {}
    write_checkpoint("start.safetensors", {"net.0.weight": torch.zeros(2)}, {})
    (line,) = found(ordered)["settings"]
    assert line.startswith(f"start_sha256: {ordered.settings['start_sha256']} → ")
    assert found(replace(ordered, settings=younger)) == {}


def hashed(ordered, path="start.safetensors"):
    """Whether other weights in a file are a change."""
    assert found(ordered) == {}
    write_checkpoint(path, {"net.0.weight": torch.zeros(2)}, {})
    return any(line.startswith("start_sha256: ") for line in found(ordered).get("settings", ()))


def test_the_weights_from_which_only_some_points_start(folder):
    write_checkpoint("start.safetensors", {"net.0.weight": torch.ones(2)}, {})
    points = "{points: [{optimizer.lr: 0.1}, {optimizer.lr: 0.1, start: start.safetensors}]}"
    Path("search_spaces/own.yaml").write_text(points.replace("{points", "points").removesuffix("}"))
    assert hashed(order(SearchSettings.from_words(WORDS)))


def test_the_weights_from_which_only_the_baseline_starts(folder):
    write_checkpoint("start.safetensors", {"net.0.weight": torch.ones(2)}, {})
    edit("recipes/own.py", "baseline = {", 'baseline = {"start": "start.safetensors", ')
    assert hashed(order(SearchSettings.from_words([*WORDS, "space.start=null"])))


def test_the_weights_from_which_a_training_starts(folder):
    write_checkpoint("start.safetensors", {"net.0.weight": torch.ones(2)}, {})
    assert hashed(order_training(TrainSettings.from_words(["recipe=own", "start=start.safetensors"])))


def test_versions_of_what_decides(search):
    older = {**search.versions, "torch": "2.0.0", "numpy": "1.0.0", "python": "3.1.7"}
    lines = found(replace(search, versions=older))["versions"]
    assert [line.split(":")[0] for line in lines] == ["python", "torch"]
    python = search.versions["python"].rpartition(".")[0]
    assert found(replace(search, versions={**search.versions, "python": f"{python}.99"})) == {}


def test_what_cannot_be_searched_is_refused_as_at_the_start(search):
    edit("search_spaces/own.yaml", "momentum", "momentun")
    with pytest.raises(InputError, match="momentum"):
        reorder(search, given())


def test_a_search_of_an_older_hpo_has_not_changed(search):
    """It did not keep the path of its space, nor settings that came later."""
    younger = {"space_file", "space.batch_size", "deterministic"}
    kept = {name: value for name, value in search.settings.items() if name not in younger}
    assert found(replace(search, settings=kept)) == {}


def test_a_training(folder):
    ordered = order_training(TrainSettings.from_words(["recipe=own", "epochs=1"]))
    assert found(ordered) == {}
    edit("recipes/own.py", "import torch\n", "import torch  # what else\n")
    assert set(found(ordered)) == {"recipe"}
    with pytest.raises(InputError, match="takes no words") as refused:
        reorder(ordered, given("recipe.table=wine"))
    assert str(refused.value).startswith("recipe.table=wine\n")


def test_a_training_whose_configuration_the_recipe_takes_no_more(folder):
    ordered = order_training(TrainSettings.from_words(["recipe=own", "epochs=1"]))
    text = Path("recipes/own.py").read_text()
    Path("recipes/own.py").write_text(text.replace("width", "hidden"))
    for words in ([], ["allow_change=true"]):
        with pytest.raises(InputError, match="has no 'width'") as refused:
            reorder(ordered, given(*words))
        assert "Put that back, or start another: hpo train recipe=own …" in str(refused.value)


@pytest.mark.parametrize(
    ("ordered", "of_model"),
    [
        (lambda: order(SearchSettings.from_words([*WORDS, "recipe.table=wine"])), ""),
        (
            lambda: order_training(TrainSettings.from_words(["recipe=own", "epochs=1", "recipe.table=wine"])),
            'table: str = "breast_cancer", ',
        ),
    ],
    ids=["search", "training"],
)
def test_an_option_that_the_recipe_has_no_more(folder, ordered, of_model):
    search = ordered()
    head, model = Path("recipes/own.py").read_text().split('def model(table: str = "breast_cancer", ')
    rest = model.replace('table: str = "breast_cancer"', "").replace("(table)", '("wine")')
    Path("recipes/other.py").write_text(f"{head}def model({of_model}{rest}")
    anew = given("recipe=other", "allow_change=true")
    assert found(search, "recipe=other")["settings"] == ("recipe.table: wine → not set",)
    assert "recipe.table" not in reorder(search, anew).settings


def test_of_a_fork_nothing_is_in_mlflow_yet(folder):
    ledger = Ledger("sqlite:///hpo.db")
    ordered = order_training(TrainSettings.from_words(["recipe=own", "epochs=1"]))
    ledger.note_uploaded(ledger.create_search(ordered), 312)
    edit("recipes/own.py", "import torch\n", "import torch  # what else\n")

    def look(plan):
        raise InterruptedSearch(plan.search.name)

    with pytest.raises(InterruptedSearch, match="own-1-2"):
        conductor.resume(given("allow_change=true"), look)
    assert ledger.search("own-1-2").uploaded == 0
    assert ledger.search("own-1").uploaded == 312
    ledger.close()


def test_the_fork_of_a_long_name_fits_into_the_ledger(folder):
    ledger, name = Ledger("sqlite:///hpo.db"), "n" * 100
    ordered = order_training(TrainSettings.from_words(["recipe=own", "epochs=1", f"name={name}"]))
    ledger.create_search(ordered)
    edit("recipes/own.py", "import torch\n", "import torch  # what else\n")

    def look(plan):
        raise InterruptedSearch(plan.search.name)

    with pytest.raises(InterruptedSearch):
        conductor.resume(ResumeSettings.from_words([name, "allow_change=true"]), look)
    assert [len(it.name) <= 100 for it in ledger.searches()] == [True, True]
    ledger.close()


def test_a_training_is_forked_with_another_recipe(folder):
    ledger = Ledger("sqlite:///hpo.db")
    ledger.create_search(order_training(TrainSettings.from_words(["recipe=own", "epochs=1"])))
    Path("recipes/other.py").write_text(f"{Path('recipes/own.py').read_text()}\n")

    def look(plan):
        raise InterruptedSearch(plan.search.name)

    with pytest.raises(InterruptedSearch, match="own-1-2"):
        conductor.resume(given("recipe=other", "allow_change=true"), look)
    forked = ledger.search("own-1-2")
    ledger.close()
    assert (forked.recipe, forked.path) == ("other", str(folder / "recipes" / "other.py"))


def test_the_refusal_says_what_to_do_and_starts_nothing(search):
    with pytest.raises(InputError) as refused:
        conductor.resume(given("seed=1"), lambda plan: None)
    assert "hpo resume own-1 seed=1 allow_change=true" in str(refused.value)
    assert "seed: 0 → 1" in str(refused.value)
    with sqlite3.connect("hpo.db") as database:
        assert database.execute("SELECT count(*) FROM sessions").fetchone() == (0,)
    database.close()


def test_a_search_of_a_cluster_goes_on_without_it(search):
    class GoingOnError(Exception):
        """It begins to train."""

    def view(plan):
        raise GoingOnError

    ledger = Ledger("sqlite:///hpo.db")
    ledger.note_settings(search, {"cluster": "127.0.0.1:1"})
    ledger.close()
    with pytest.raises(InputError, match="or write cluster=off for a Ray of our own"):
        conductor.resume(given(), view)
    with pytest.raises(GoingOnError):
        conductor.resume(given("cluster=off", "workers=1"), view)


@pytest.mark.slow
def test_a_fork_begins_anew_and_a_finished_search_takes_more_trials(folder):
    """As a user does it, with the command."""
    shell = Folder(folder)
    done = shell.run("search", *WORDS, "workers=1")
    assert done.returncode == 0, done.stderr
    refused = shell.run("resume", "own-1", "trials=2")
    assert (refused.returncode, "trials=4" in refused.stderr) == (2, True)
    forked = shell.run("resume", "own-1", "seed=1", "allow_change=true")
    assert forked.returncode == 0, forked.stderr
    listed = json.loads(shell.run("list", "--json").stdout)
    assert [(it["name"], it["forked_from"], it["state"]) for it in listed] == [
        ("own-1", None, "finished"),
        ("own-1-2", "own-1", "finished"),
    ]
    more = shell.run("resume", "own-1", "trials=4")
    assert more.returncode == 0, more.stderr
    assert "4 of 4 trials" in more.stdout
    assert shell.run("replay", "own-1").returncode == 0
    audited = shell.run("audit", "own-1")
    assert audited.returncode == 0, audited.stdout
