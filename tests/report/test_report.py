"""A report is one sound file that needs nothing else, says what the records say, and stays small."""

from __future__ import annotations

import importlib
import re
import shlex
from dataclasses import replace
from html.parser import HTMLParser

import pytest
from made_up import awkward, several_goals
from tales import EPOCHS, falling, search, tale

from hpo import cli
from hpo.errors import InputError
from hpo.planning.ordering import order_training
from hpo.planning.plan import Plan
from hpo.report import page, write
from hpo.report.answer import train_command
from hpo.report.scale import Scale
from hpo.settings import TrainSettings
from hpo.trial import Outcome

SPACE = """
optimizer:
  one_of:
    sgd:
      lr: {log: [0.001, 10]}
      momentum: {one_minus_log: [0.01, 0.5]}
      weight_decay: {log: [1.0e-6, 0.01]}
    adamw:
      lr: {log: [1.0e-5, 0.1]}
      weight_decay: {log: [1.0e-4, 0.5]}
schedule:
  one_of: {constant: {}, cosine: {end_factor: {choice: [0, 0.1]}}, step: {gamma: {log: [0.05, 0.7]}}}
warmup: {choice: [0, 0.05, 0.1]}
clip_norm: {choice: [null, 1, 5]}
model: {width: {int: [16, 128]}, dropout: {uniform: [0, 0.5]}}
"""
EMPTY = ("area", "br", "hr", "img", "input", "link", "meta")


def curve(config, rng):
    """Most are stopped early, fast ones diverge."""
    if config["optimizer.lr"] > 3:
        return Outcome.DIVERGED, [5.0]
    losses = falling(0.1 + 0.5 * rng.random())
    return losses if rng.random() < 0.15 else (Outcome.PRUNED, losses[: rng.choice([2, 4, 8])])


class Reader(HTMLParser):
    """Checks that elements are closed in turn, and gathers what the tests ask for."""

    def __init__(self, text):
        super().__init__()
        self.open, self.ids, self.attributes, self.texts = [], [], [], []
        self.feed(text)
        self.close()
        assert not self.open

    def handle_starttag(self, tag, attrs):
        self.attributes.append((tag, dict(attrs)))
        self.ids += [value for name, value in attrs if name == "id"]
        if tag not in EMPTY:
            self.open.append(tag)

    def handle_startendtag(self, tag, attrs):
        self.attributes.append((tag, dict(attrs)))

    def handle_endtag(self, tag):
        assert self.open.pop() == tag

    def handle_data(self, data):
        self.texts.append(data)

    def of(self, tag):
        return [found for name, found in self.attributes if name == tag]


def report(facts):
    return page(facts.plan.search, facts.history)


@pytest.fixture(scope="module")
def large():
    """Five hundred trials."""
    return tale(SPACE, curve, 500)


@pytest.fixture(scope="module")
def text(large):
    return report(large)


@pytest.fixture(scope="module")
def read(text):
    return Reader(text)


def test_five_hundred_trials_take_less_than_three_megabytes(text):
    assert 100_000 < len(text.encode()) < 3_000_000


def test_of_very_many_trials_the_best_and_a_part_of_the_others_are_shown(large, monkeypatch):
    monkeypatch.setattr(importlib.import_module("hpo.report.page"), "DRAWN", 100)
    part = report(large)
    (shown,) = re.findall(r"What follows shows (\d+) of 500 trials", part)
    assert 90 <= int(shown) <= 101
    listed = [int(it) for it in re.findall(r'<tr tabindex="0" data-t="(\d+)"', part)]
    assert listed[:50] == [it.number for it in large.ranking[:50]]
    assert 0 in listed


def test_it_needs_no_network(text, read):
    outward = {
        name: value
        for _, found in read.attributes
        for name, value in found.items()
        if name in ("src", "href")
    }
    assert all(value.startswith("#") for value in outward.values())
    assert not re.findall(r"https?:|@import|url\((?!#)", text)


def test_every_link_within_leads_somewhere(read):
    assert {link["href"][1:] for link in read.of("a")} <= set(read.ids)
    assert len(read.ids) == len(set(read.ids))


def test_every_picture_has_a_name_and_every_scrolling_part_takes_the_keyboard(read):
    pictures = [found for found in read.of("svg") if "aria-hidden" not in found]
    assert len(pictures) >= 8
    assert all(found["role"] == "img" and found["aria-label"] for found in pictures)
    assert all(found["tabindex"] == "0" for found in read.of("div") if "scroll" in found.get("class", ""))
    assert all(found["tabindex"] == "0" for found in read.of("tr") if "data-t" in found)


def test_it_follows_the_light_and_prints(text):
    assert "prefers-color-scheme: dark" in text
    assert "@media print" in text
    assert 'name="viewport"' in text


def test_the_answer_comes_first(large, read):
    best = large.history.best
    said = " ".join(read.texts)
    assert f"Trial {best.number} is the best" in said
    assert "How sure?" in said
    assert read.ids[0] == "answer"


def test_each_trial_is_in_the_table_and_in_the_charts(large, read):
    rows = {found["data-t"] for found in read.of("tr") if "data-t" in found}
    assert rows == {str(number) for number in large.history.trials}
    lines = {found["data-t"] for found in read.of("polyline")}
    assert rows <= lines


def test_an_advice_stands_there_with_its_evidence(text):
    assert "diverged; elsewhere" in text
    assert "first bad at epoch 1, step 7" in text


@pytest.mark.parametrize("name", awkward())
def test_what_cannot_be_drawn_is_said(name):
    told = search("optimizer: sgd\nwarmup: {choice: [0, 0.1]}")
    Reader(page(told, awkward()[name]))


def test_what_nobody_did_better_in_weighs_nothing():
    said = report(tale(SPACE, lambda config, rng: falling(0.0), 60))
    assert "it takes 30 trials that are not all alike" in said
    assert "nan" not in said


def test_a_search_that_has_not_begun_has_a_page():
    facts = tale(SPACE, curve, 0)
    assert "No trial has finished yet" in report(facts)


def test_markup_in_names_is_text():
    facts = tale(
        "model: {table: {choice: ['<script>alert(1)</script>', wine]}, dropout: {uniform: [0, 0.5]}}",
        lambda *_: falling(0.1),
        20,
    )
    text = report(facts)
    assert "<script>alert" not in text
    assert "&lt;script&gt;alert" in text
    Reader(text)


def test_the_command_trains_the_winner_again(large):
    plan, config = large.plan, large.history.best.proposal.config
    words = shlex.split(train_command(plan, config))
    assert words[:2] == ["hpo", "train"]
    again = Plan.of(order_training(TrainSettings.from_words(words[2:])))
    assert dict(plan.vocabulary.defaults(again.baseline)) == dict(plan.vocabulary.defaults(config))
    assert again.epochs == EPOCHS


def test_it_is_written_over_an_older_one_and_says_where_it_cannot(tmp_path):
    small = tale(SPACE, curve, 8)
    for _ in range(2):
        path = write(small.plan.search, small.history, tmp_path / "a.html")
    assert path.read_text(encoding="utf-8").startswith("<!doctype html>")
    with pytest.raises(InputError, match="Cannot write here"):
        write(small.plan.search, small.history, tmp_path / "no" / "a.html")


def test_there_must_be_such_a_search(tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    assert cli.main(["report", "cnn-1"]) == 2
    assert "There is no search of this name" in capsys.readouterr().err
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize(
    ("scale", "ticks"),
    [
        (Scale(0, 1), ["0", "0.2", "0.4", "0.6", "0.8", "1"]),
        (Scale(0.5, 12.5), ["5", "10"]),
        (Scale(1e-6, 1, log=True), ["1e-6", "1e-5", "1e-4", "1e-3", "0.01", "0.1", "1"]),
        (Scale(0.03, 0.4, log=True), ["0.05", "0.1", "0.2"]),
        (Scale(-1, 1), ["-1", "-0.5", "0", "0.5", "1"]),
    ],
)
def test_axes_have_round_numbers(scale, ticks):
    assert [text for _, text in scale.ticks] == ticks


def test_a_scale_holds_what_there_is_and_survives_what_is_not_finite():
    for values in ([], [1.0], [0.0, 0.0], [float("nan"), 2.0], [float("inf")]):
        for log in (False, True):
            scale = Scale.of(values, log=log)
            assert scale.low < scale.high
            assert scale.ticks
    assert Scale(0, 1).place(float("nan")) > 1


def test_with_more_than_one_goal_the_front_is_listed_and_drawn():
    history = several_goals()
    told = search(SPACE)
    said = page(replace(told, objective=history.objective), history)
    assert "pick=knee" in said
    assert "<td>2 MiB</td><td>4 ms</td><td>knee</td>" in said
    assert said.count("<h3>Score and ") == 2
    assert Reader(said)


def test_with_one_goal_there_is_no_front(text):
    assert "pick=" not in text
