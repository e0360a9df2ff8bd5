import io
import os
import sys
from contextlib import suppress
from itertools import pairwise

import made_up
import pytest
from made_up import ADAMW, OBJECTIVE, SGD, Story, awkward, plan, search, typical
from rich.cells import cell_len
from rich.console import Console

from hpo.advice import Advice, Topic
from hpo.history import History, State
from hpo.recipe import Objective
from hpo.results import phrasing, summary
from hpo.terminal import advising, overview, tables
from hpo.terminal.live import LineView, LiveView, Picture, viewer
from hpo.trial import WARNING, Attempt, Outcome

HISTORIES = awkward()


def recorder(width: int = 80, *, terminal: bool = False) -> Console:
    return Console(width=width, file=io.StringIO(), force_terminal=terminal, color_system=None, height=40)


def text(console: Console) -> str:
    return console.file.getvalue()


def drawn(history: History, width: int = 80) -> str:
    console = recorder(width)
    console.print(Picture(plan(), History(OBJECTIVE), lambda: 0.0).of(search(), history))
    return text(console)


def told(history: History, width: int = 80) -> str:
    console = recorder(width, terminal=True)
    view = LineView(console)
    view.start(plan(), History(OBJECTIVE))
    view.update(search(), history)
    view.finish()
    return text(console)


def shown(history: History, width: int = 80, state: State = State.FINISHED) -> str:
    console = recorder(width)
    console.print(overview.show(search(state), history))
    console.print(tables.searches([summary.describe_briefly(search(state), history)]))
    return text(console)


@pytest.mark.parametrize("width", [40, 80])
@pytest.mark.parametrize("name", HISTORIES)
@pytest.mark.parametrize("view", [drawn, told, shown])
def test_every_view_fits_every_history(view, name, width):
    page = view(HISTORIES[name], width)
    assert max(map(cell_len, page.splitlines())) <= width
    assert "\x1b" not in page


@pytest.mark.parametrize("kind", [LineView, LiveView])
def test_a_warning_is_told_once_and_not_again_in_the_next_session(kind):
    console, history = recorder(200), typical()
    for _ in range(2):
        view = kind(console)
        view.start(plan(), history)
        for number in (0, 1):
            history.add(Attempt(number, "host/1", notes={WARNING: "Trial 0 is not saved: the disk is full."}))
            view.update(search(), history)
        view.finish()
    assert text(console).count("the disk is full") == 1


def test_the_picture_tells_progress_the_best_and_the_workers():
    assert [line.rstrip() for line in drawn(typical()).splitlines()] == [
        "cnn-1  cnn · minimize loss",
        "5/64 ━━━━╸                                                     0.0 s, 0.0 s left",
        "2 finished · 1 pruned (at epoch 2) · 1 diverged · 1 failed (RuntimeError: mat1 …",
        "best  trial 2  loss 0.03125  accuracy 0.9688  █████████████████▁",
        "      adamw lr=0.0012 weight_decay=0.02 · cosine",
        "now   1 sgd lr 0.05 · 1 adamw lr 0.0012  (tpe 2)",
        "host/101  trial 5  epoch 3/18  loss 0.3  accuracy 0.7  sgd lr=0.05 momentum=0.9…",
        "host/102  trial 6  epoch 0/18  adamw lr=0.0012 weight_decay=0.02 · cosine",
    ]


def test_trials_of_one_worker_share_a_line():
    page = drawn(Story().trial(None, 0.5).trial(None, 0.4).trial(None).history)
    assert "trial 0 and 2 more  epoch 1/18" in page


def test_the_time_left_counts_what_this_session_did():
    clock = iter([0.0, 100.0])
    before = Story().trial(Outcome.FINISHED, 0.5).history
    picture = Picture(plan(), before, lambda: next(clock))
    console = recorder()
    story = Story()
    for _ in range(3):
        story.trial(Outcome.FINISHED, 0.5)
    console.print(picture.of(search(), story.history))
    # Two trials in 100 seconds; 61 are left.
    assert "1 min 40 s, 50 min 50 s left" in text(console)


def test_lines_are_told_once_and_not_again_after_a_resume():
    console = recorder(120)
    view = LineView(console)
    view.start(plan(), Story().trial(Outcome.FINISHED, 0.5).history)
    for _ in range(3):
        view.update(search(), typical())
    lines = text(console).splitlines()
    assert lines == [
        "cnn-1  cnn · minimize loss · 64 trials of 18 epochs",
        "trial   1  pruned    epoch  2  loss 0.4312   accuracy 0.5688   "
        "adamw lr=0.0012 weight_decay=0.02 · cosine",
        "trial   2  finished  epoch 18  loss 0.03125  accuracy 0.9688   "
        "adamw lr=0.0012 weight_decay=0.02 · cosine",
        "trial   3  diverged  epoch  2  loss nan      accuracy nan      "
        "loss nan at epoch 2, step 3, gradient norm 1.2e+09",
        "trial   4  failed    epoch  0  "
        "RuntimeError: mat1 and mat2 shapes cannot be multiplied (64x64 and 32x10)",
    ]


def test_the_live_view_draws_at_most_four_times_a_second_and_leaves_nothing(monkeypatch):
    now = 0.0
    drawings = []
    monkeypatch.setattr(Picture, "of", lambda self, search, history: drawings.append(now) or "picture")
    view = LiveView(recorder(terminal=True), clock=lambda: now)
    view.start(plan(), History(OBJECTIVE))
    for step in range(100):
        now = step / 50
        view.update(search(), typical())
    view.finish()
    assert len(drawings) == 8
    assert all(later - earlier >= 0.25 for earlier, later in pairwise(drawings))


def test_the_live_view_may_finish_without_a_start():
    LiveView(recorder(terminal=True)).finish()


def test_a_file_gets_whole_lines():
    console = recorder(40)
    view = LineView(console)
    view.start(plan(), History(OBJECTIVE))
    view.update(search(), typical())
    (pruned,) = [row for row in text(console).splitlines() if row.startswith("trial   1")]
    assert pruned.endswith(phrasing.short(ADAMW))


def test_lines_are_for_what_is_no_terminal(capsys):
    assert isinstance(viewer(plan()), LineView)


def closed_pipe():
    read, write = os.pipe()
    os.close(read)
    return os.fdopen(write, "w", buffering=1)


def full_disk():
    return open("/dev/full", "w", buffering=1)


@pytest.mark.parametrize("broken", [closed_pipe, full_disk])
def test_a_view_that_nobody_can_read_fails_nothing(broken, monkeypatch):
    stream = broken()
    monkeypatch.setattr(sys, "stderr", stream)
    view = viewer(plan())
    view.start(plan(), History(OBJECTIVE))
    view.update(search(), typical())
    view.finish()
    with suppress(OSError):
        stream.close()


def test_a_color_is_no_content(monkeypatch):
    monkeypatch.setenv("NO_COLOR", "1")
    console = Console(file=io.StringIO(), force_terminal=True, width=80)
    console.print(overview.show(search(), typical()))
    assert "\x1b[3" not in text(console)  # no color; bold and dim may stay


def test_what_a_search_took_is_that_of_its_sessions():
    console = recorder()
    console.print(overview.show(search(State.FINISHED, ran=38.0), typical()))
    assert "43 epochs in 38 s " in text(console)


def test_the_page_of_a_search():
    console = recorder()
    console.print(overview.show(search(State.INTERRUPTED, reason="stopped by hand"), typical(), ["store=x"]))
    assert [line.rstrip() for line in text(console).splitlines()] == [
        "cnn-1  interrupted  stopped by hand",
        "cnn · minimize loss · sampler tpe · pruner halving · seed 0",
        "7 of 64 trials: 2 finished · 1 pruned · 1 diverged · 1 failed · 2 open",
        "43 epochs over 43 s",
        "",
        "trial  loss     accuracy  config",
        "2      0.03125  0.9688    adamw lr=0.0012 weight_decay=0.02 · cosine",
        "0      0.045    0.955     sgd lr=0.05 momentum=0.9 nesterov · cosine · batch 32",
        "                          · clip 1",
        "",
        "Trial 2 beats the baseline (trial 0, loss 0.045) by 0.01375 (30.6%).",
        "",
        "1 failed, the last (trial 4): RuntimeError: mat1 and mat2 shapes cannot be",
        "multiplied (64x64 and 32x10)",
        "",
        "hpo resume cnn-1 store=x                    go on where it stopped",
        "hpo export cnn-1 to=train_cnn-1.py store=x  the winner as plain PyTorch code",
        "hpo show cnn-1 store=x                      this page",
        "hpo ui                                      all curves in MLflow",
    ]


@pytest.mark.parametrize(
    ("name", "expected"),
    [
        ("only the baseline", "The baseline (trial 0) is the best so far."),
        ("nan baseline", "The baseline (trial 0) finished, so it does not compare."),
        ("pruned baseline", "The baseline (trial 0) was pruned, so it does not compare."),
        ("running baseline", "The baseline (trial 0) is still training, so it does not compare."),
        ("zero baseline", "Trial 1 beats the baseline (trial 0, loss 0) by 1."),
    ],
)
def test_the_baseline_is_compared_only_where_it_can_be(name, expected):
    assert expected in shown(HISTORIES[name])


def test_a_metric_to_be_maximized_comes_first():
    objective = Objective("maximize", "accuracy")
    history = Story(objective).trial(Outcome.FINISHED, 0.9).trial(Outcome.FINISHED, 0.96).history
    console = recorder()
    console.print(overview.show(search(objective=objective), history))
    assert "trial  accuracy  loss" in text(console)
    assert "Trial 1 beats the baseline (trial 0, accuracy 0.9) by 0.06 (6.7%)." in text(console)


def test_priorities_are_listed_where_they_differ():
    job = {"name": "one", "state": "running", "reason": "", "submitted": 0.0, "priority": 1.0}
    console = recorder()
    console.print(tables.jobs([job]))
    assert "priority" not in text(console)
    console = recorder()
    console.print(tables.jobs([job, {**job, "name": "two", "priority": 2.5}]))
    head, *rows = text(console).splitlines()
    assert head.split() == ["name", "state", "submitted", "priority", "why"]
    assert [row.split()[-1] for row in rows] == ["1", "2.5"]


def test_an_empty_list_says_how_to_begin():
    console = recorder()
    console.print(tables.searches([]))
    assert text(console) == "There is no search yet. Start one: hpo search recipe=cnn\n"


ADVICE = [
    Advice(
        Topic.EDGE,
        f"The best sit at edge {number}",
        "4 of the best 5 lie in the highest tenth of 0.001 to 2",
        "Widen it: space.optimizer.sgd.lr='{log: [0.001, 8]}'",
    )
    for number in range(5)
]


def test_the_end_of_a_search_has_three_pieces_of_advice_at_most():
    console = recorder()
    console.print(overview.show(search(), typical(), (), advising.briefly(ADVICE, "hpo show cnn-1")))
    page = text(console)
    assert page.count("->") == 3
    assert "4 of the best 5" not in page
    assert "evidence: hpo show cnn-1" in page
    assert advising.briefly([], "hpo show cnn-1") == []


def test_the_page_of_a_search_has_all_of_them_with_their_evidence():
    console = recorder()
    console.print(overview.show(search(), typical(), (), advising.fully(ADVICE)))
    assert text(console).count("4 of the best 5 lie") == 5


def test_markup_in_names_is_text():
    config = SGD | {"model.act": "[red]relu[/bold]"}
    history = made_up.Story().trial(Outcome.FINISHED, 0.5, config=config).history
    assert "[red]relu[/bold]" in shown(history)
