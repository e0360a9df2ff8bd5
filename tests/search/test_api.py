"""hpo in Python: the same words, the same refusals, and results as tables and pages."""

import subprocess
import sys

import pytest

import hpo
from hpo.api import SearchWords, TrainingWords
from hpo.conductor import upload
from hpo.settings import SearchSettings, TrainSettings


@pytest.fixture(autouse=True)
def folder(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    monkeypatch.delenv("HPO_STORE", raising=False)
    monkeypatch.setattr(upload.Upload, "start", lambda _: None)  # MLflow is not looked at here
    return tmp_path


def test_importing_it_imports_nothing_heavy():
    heavy = ["torch", "ray", "mlflow", "optuna", "sqlalchemy", "pandas", "sklearn", "rich", "pydantic"]
    code = f"import sys, hpo; hpo.InputError; print([name for name in {heavy} if name in sys.modules])"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout == "[]\n"


def test_everything_that_is_named_is_there():
    assert all(getattr(hpo, name) for name in hpo.__all__)
    with pytest.raises(AttributeError, match="no attribute 'zebra'"):
        hpo.zebra  # noqa: B018


def test_its_words_are_those_of_the_command_line():
    groups = {"recipe_options", "space_overrides", "config"}
    here = {"recipe", "options", "overrides"}
    for words, settings, apart in (
        (SearchWords, SearchSettings, {"junit"}),
        (TrainingWords, TrainSettings, set()),
    ):
        assert {*words.__annotations__} | here == {*settings.model_fields} - groups - apart | here


def test_a_word_that_means_nothing_here_is_refused():
    with pytest.raises(hpo.InputError, match=r"look at result\.requirements"):
        hpo.search("mlp", junit="hpo.xml")


def test_a_training_comes_back_with_its_curve(folder, capfd):
    result = hpo.train("linear", {"optimizer": "sgd", "optimizer.lr": 0.1}, epochs=20, show=False)
    assert capfd.readouterr().err == ""
    assert (result.name, result.state) == ("linear-1", "finished")
    assert result.best.config["optimizer.lr"] == 0.1
    assert result.best.metrics["loss"] == result.best.score == result.epochs["validation_loss"].iloc[-1]
    assert result.epochs["epoch"].tolist() == list(range(1, 21))
    assert result.trials.loc[0, "optimizer"] == "sgd"
    assert repr(result).startswith("<hpo.Result linear-1: finished, 1 trials, best 0.")


def test_it_is_loaded_again_and_shown(folder):
    first = hpo.train("linear", epochs=8, show=False, name="mine")
    again = hpo.load("mine")
    assert again.best == first.best
    assert again.trials.equals(first.trials)
    assert "<strong>mine</strong>" in again._repr_html_()
    assert again.advice == []
    assert again.report().read_text(encoding="utf-8").startswith("<!doctype html>")
    assert (folder / "mine.html").exists()


def test_its_pictures_are_figures(folder):
    plot = hpo.train("linear", epochs=8, show=False).plot
    for name, draw in plot.all().items():
        if name == "batch_norm":
            with pytest.raises(hpo.HpoError, match="no batch"):
                draw()
        else:
            draw().savefig(folder / f"{name}.png")
            assert (folder / f"{name}.png").stat().st_size > 10_000


def test_what_is_wrong_is_said_as_on_the_command_line(folder):
    with pytest.raises(hpo.InputError) as caught:
        hpo.search("cnn", trials=0, sampler="tpee", overrides={"optimizer": "sgdd"})
    said = str(caught.value)
    assert "trials=0\n    Must be a whole number" in said
    assert "Did you mean tpe?" in said
    with pytest.raises(hpo.InputError, match="Did you mean cnn"):
        hpo.search("cn")
    with pytest.raises(hpo.InputError, match="There is no search of this name"):
        hpo.load("cnn-1")
    assert not list(folder.iterdir())


def test_words_of_python_mean_what_they_mean_on_the_command_line(monkeypatch):
    ordered = []
    monkeypatch.setattr("hpo.api.run", lambda search, store, viewing: ordered.append((search, store)))
    hpo.search(
        "cnn",
        trials=7,
        deterministic=True,
        space="sgd",
        store="sqlite:///x.db",
        options={"width": 32},
        overrides={"clip_norm": {"log": [0.1, 10]}, "optimizer.sgd.nesterov": False},
    )
    (search, store), *_ = ordered
    assert store == "sqlite:///x.db"
    assert (search.settings["trials"], search.settings["deterministic"]) == (7, True)
    assert search.settings["recipe.width"] == 32
    assert "clip_norm: {log: [0.1, 10.0]}" in search.space
    assert "nesterov: false" in search.space
