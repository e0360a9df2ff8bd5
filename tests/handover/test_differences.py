"""`hpo diff`: what is not the same, and nothing else."""

import json
from dataclasses import replace

import pytest
from made_up import ADAMW, Story, search

from hpo import cli
from hpo.trial import CONFIRMATION, Outcome


class Two:
    """A ledger of two searches that differ in their seed, in a second trial and in one of a fresh seed."""

    def __init__(self, _):
        pass

    def search(self, name):
        first = search()
        anew = {"seed": 5, "beside": 7, "held": 0.5, "lag": 3}
        return first if name == "cnn-1" else replace(first, name=name, settings={**first.settings, **anew})

    def history(self, found):
        told = Story()
        told.trial(Outcome.FINISHED, 0.9, 0.5)
        if found.name == "cnn-2":
            told.trial(Outcome.FINISHED, 0.9, 0.25, config=ADAMW)
            told.trial(None, 0.9, 0.5, origin=CONFIRMATION, seed=1)
        return told.history


@pytest.fixture
def diff(monkeypatch, capsys):
    monkeypatch.setattr("hpo.differences.Ledger", Two)

    def compared(*words):
        assert cli.main(["diff", *words, "--json"]) == 0
        found = json.loads(capsys.readouterr().out)
        return {(row["part"], row["name"]): (row["a"], row["b"]) for row in found["rows"]}, found["texts"]

    return compared


def test_two_trials_differ_in_score_and_configuration(diff):
    rows, texts = diff("cnn-2/0", "cnn-2/1")
    assert rows["configuration", "optimizer"] == ("sgd", "adamw")
    assert rows["trial", "loss"] == (0.5, 0.25)
    assert {part for part, _ in rows} == {"trial", "configuration"}
    assert texts == {}


def test_two_searches_differ_in_settings_counts_and_winner(diff):
    rows, _ = diff("cnn-1", "cnn-2")
    assert rows["settings", "seed"][1] == 5
    assert [name for part, name in rows if part == "settings"] == ["seed"]
    assert rows["search", "trials"] == (1, 2)
    assert rows["winner", "number"] == (0, 1)


def test_a_trial_and_a_search_differ_as_the_trial_and_the_winner(diff):
    rows, _ = diff("cnn-2/0", "cnn-2")
    assert rows == diff("cnn-2/0", "cnn-2/1")[0]


def test_trials_of_one_configuration_differ_in_their_seeds(diff):
    rows, _ = diff("cnn-2/0", "cnn-2/2")
    assert rows["trial", "seed"] == (None, 1)
    assert not [name for part, name in rows if part == "configuration"]


def test_what_is_the_same_is_said_to_be(diff, capsys):
    assert diff("cnn-1", "cnn-1") == ({}, {})
    assert cli.main(["diff", "cnn-1", "cnn-1"]) == 0
    assert "cnn-1 and cnn-1 are the same" in capsys.readouterr().out


def test_a_person_reads_values_as_a_space_writes_them(diff, monkeypatch, capsys):
    found, settings = Two.search, {"deterministic": True, "cluster": ""}
    monkeypatch.setattr(
        Two,
        "search",
        lambda self, name: replace(found(self, name), settings=settings if name == "cnn-2" else {}),
    )
    assert cli.main(["diff", "cnn-1", "cnn-2"]) == 0
    out = capsys.readouterr().out
    rows = {name: values for name, *values in map(str.split, filter(str.strip, out.splitlines()))}
    assert rows["deterministic"] == ["-", "true"]
    assert rows["cluster"] == ["-", "-"]
    assert "True" not in out


def test_texts_are_compared_line_by_line(diff, monkeypatch):
    found = Two.search
    monkeypatch.setattr(
        Two, "search", lambda self, name: replace(found(self, name), source=f"epochs = {len(name)}\n{name}")
    )
    assert "-cnn-1\n+cnn-2" in diff("cnn-1", "cnn-2")[1]["recipe"]


@pytest.mark.parametrize("word", ["cnn-1/x", "cnn-1/", "/3"])
def test_what_names_nothing_is_refused(word, capsys):
    assert cli.main(["diff", "cnn-1", word]) == 2
    assert "ust be" in capsys.readouterr().err


def test_a_trial_that_is_not_there_is_refused(diff, capsys):
    assert cli.main(["diff", "cnn-1", "cnn-1/7"]) == 2
    assert "There is no trial 7 in cnn-1" in capsys.readouterr().err
