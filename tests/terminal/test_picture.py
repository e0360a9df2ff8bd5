"""The parts of the live view: outcomes with their reasons, a curve in a row, how busy the machine is."""

import io
import math
from dataclasses import replace

import pytest
from made_up import Story
from rich.console import Console

from hpo.history import History
from hpo.machine import usage
from hpo.planning.ordering import order
from hpo.planning.plan import Plan
from hpo.settings import SearchSettings
from hpo.terminal import spark, wording
from hpo.terminal.picture import Picture
from hpo.trial import Outcome


def test_the_outcomes_are_told_with_their_commonest_reasons():
    story = Story().trial(Outcome.FINISHED, 0.5)
    for epochs in (2, 2, 4):
        story.trial(Outcome.PRUNED, *[0.5] * epochs)
    story.trial(Outcome.FAILED, reason="RuntimeError: out of memory\nmore")
    told = "1 finished · 3 pruned (2 at epoch 2, 1 at epoch 4) · 1 failed (RuntimeError: out of memory)"
    assert wording.outcomes(story.history) == told


@pytest.mark.parametrize(
    ("values", "width", "row"),
    [
        ([4, 2, 1, 0], 10, "█▅▃▁"),
        ([1, 1], 10, "▁▁"),
        ([0, 1, 2, 3], 2, "▁█"),
        ([2, math.nan, 1, math.inf], 9, "█ ▁ "),
        ([math.nan], 9, " "),
        ([], 9, ""),
    ],
)
def test_a_curve_is_a_row_of_bars(values, width, row):
    assert spark.bars(values, width) == row


def drawn(search, plan=None, history=None):
    console = Console(width=100, file=io.StringIO())
    history = history or History(search.objective)
    console.print(Picture(Plan.of(plan or search), history, lambda: 0.0).of(search, history))
    return console.file.getvalue()


def ordered(*words, **later):
    found = order(SearchSettings.from_words(["recipe=cnn", *words]))
    return replace(found, settings={**found.settings, "at_work": 1, **later})


def test_the_heading_is_that_of_as_many_trials_as_people_wish_for():
    begun = ordered()
    assert "64 trials of 18 epochs, then the best 3" in drawn(begun)
    assert "80 trials of 18 epochs, then the best 3" in drawn(ordered(trials=80), begun)
    few = drawn(ordered(trials=10), begun)
    assert "0/10" in few
    assert "then the best" not in few


def test_of_a_time_limit_what_earlier_sessions_took_is_used_up():
    again = replace(ordered("timeout=20m"), ran=900.0)
    assert "15 min 00 s of 20 min 00 s, 5 min 00 s left" in drawn(again)


def test_the_machine_tells_how_busy_it_is(tmp_path, monkeypatch):
    use = usage.processors()
    assert 0 <= use.share <= 1
    assert 0 < use.used <= use.total
    program = tmp_path / "nvidia-smi"
    program.write_text("#!/bin/sh\necho 87, 3072, 81920\necho 0, 0, 81920\n")
    program.chmod(0o755)
    monkeypatch.setenv("PATH", str(tmp_path))
    assert [wording.use("gpu", it) for it in usage.gpus()] == [
        "gpu 87% memory 3.0 of 80.0 GiB",
        "gpu 0% memory 0.0 of 80.0 GiB",
    ]
    program.write_text("#!/bin/sh\necho '[N/A], 3072, 81920'\n")
    assert [wording.use("gpu", it) for it in usage.gpus()] == ["gpu memory 3.0 of 80.0 GiB"]
    program.write_text("#!/bin/sh\necho Failed to initialize NVML: Driver/library version mismatch\n")
    assert usage.gpus() == []
    monkeypatch.setenv("PATH", "")
    assert usage.gpus() == []
