"""A single training on the screen: about ten rows, whatever it is trained for."""

from __future__ import annotations

import io
from dataclasses import replace
from types import SimpleNamespace

import pytest
from made_up import SGD
from rich.console import Console

from hpo.history import History, Search, State
from hpo.planning.ordering import order_training
from hpo.planning.plan import Plan
from hpo.recipe import Objective
from hpo.results import summary
from hpo.settings import TrainSettings
from hpo.terminal import overview, training, wording
from hpo.terminal.live import LiveView, viewer
from hpo.trial import GIVEN, Attempt, Ending, Outcome, Point, Proposal

OBJECTIVE = Objective("maximize", "accuracy")
MEMORY = {"parameters": 1000, "gradients": 1000, "state": 2000, "average": 1008, "total": 5008}
SEARCH = Search(
    "cnn-1",
    "cnn",
    "",
    "",
    "",
    OBJECTIVE,
    {"sampler": GIVEN, "seed": 3, "device": "cpu"},
    {},
    state=State.FINISHED,
    ran=12.0,
)


def history(epochs: int, outcome: Outcome | None = None) -> History:
    found = History(OBJECTIVE, [Proposal(0, SGD, GIVEN), Attempt(0, "host/1")])
    for epoch in range(1, epochs + 1):
        loss = 0.01966219 / epoch
        point = Point(
            0, epoch, 0.9, loss, 2 * loss, 5.5555e-5, 1e-7, 0.5, 1.0, {"accuracy": 0.9}, clipped_share=0.25
        )
        found.add(point)
    if outcome:
        found.add(Ending(0, outcome, score=0.9, notes={"memory": {"predicted": MEMORY, "measured": MEMORY}}))
    return found


def console() -> Console:
    return Console(width=80, file=io.StringIO(), color_system=None)


def page(renderable) -> str:
    screen = console()
    screen.print(renderable)
    return screen.file.getvalue()


@pytest.fixture
def plan() -> Plan:
    """A training of a recipe whose memory can be predicted."""
    return Plan.of(ready("recipe=linear", "epochs=30"))


def ready(*words: str) -> Search:
    search = order_training(TrainSettings.from_words(words))
    return replace(search, name="line", settings={**search.settings, "threads": 1, "device": "cpu"})


@pytest.mark.parametrize("epochs", [1, 7, 10, 11, 18, 30, 99, 700, 1000, 123_456])
def test_about_ten_epochs_are_shown_with_round_numbers_and_the_last(epochs):
    points = [SimpleNamespace(epoch=epoch) for epoch in range(1, epochs + 1)]
    found = [point.epoch for point in training.shown(points, epochs)]
    assert min(epochs, 4) <= len(found) <= 11
    assert found[-1] == epochs
    step = training.stride(epochs)
    assert all(epoch % step == 0 for epoch in found[:-1])
    assert str(step).strip("0") in ("1", "2", "5")


def test_lines_come_as_epochs_do_and_the_last_one_at_the_end(plan):
    screen = console()
    view = training.Lines(screen)
    view.start(plan, History(OBJECTIVE))
    for epochs in (0, 3, 12, 12, 17):
        view.update(plan.search, history(epochs))
    view.finish()
    lines = screen.file.getvalue().splitlines()
    assert lines[0] == "line  linear · minimize loss · 30 epochs · cpu"
    assert lines[2] == "memory predicted 32 bytes (parameters 16 · gradients 16 · optimizer state 0)"
    assert lines[3].split()[1:4] == ["train_loss", "accuracy", "loss"]
    assert [line.split()[0] for line in lines[4:]] == ["5", "10", "15", "17"]


def test_a_line_is_whole_in_a_file_and_cut_off_where_a_terminal_ends(plan):
    for terminal in (False, True):
        screen = Console(file=io.StringIO(), width=40, force_terminal=terminal, color_system=None)
        view = training.Lines(screen)
        view.start(plan, history(0))
        view.update(plan.search, history(5))
        last = screen.file.getvalue().splitlines()[-1]
        assert (len(last) > 60) is not terminal, last
        assert last.endswith("…") is terminal


def test_a_sentence_is_one_line_in_a_file_and_wraps_in_a_terminal(plan):
    for terminal in (False, True):
        screen = Console(file=io.StringIO(), width=40, force_terminal=terminal, color_system=None)
        training.Lines(screen).start(plan, history(0))
        lines = screen.file.getvalue().splitlines()
        assert any(line.startswith("memory predicted") and len(line) > 60 for line in lines) is not terminal
        assert (max(map(len, lines)) <= 40) is terminal


def test_a_resumed_training_goes_on_below_its_heading(plan):
    screen = console()
    view = training.Lines(screen)
    view.start(plan, history(12))
    view.update(plan.search, history(20))
    rows = screen.file.getvalue().splitlines()[3:]
    assert [line.split()[0] for line in rows] == ["epoch", "15", "20"]


def test_the_picture_tells_the_time_left(plan):
    clock = iter([0.0, 20.0])
    picture = training.Picture(plan, History(OBJECTIVE), lambda: next(clock))
    assert (
        page(picture.of(plan.search, history(10))).splitlines()[-1].strip() == "epoch 10/30, 20 s, 40 s left"
    )


def test_the_view_suits_the_plan(plan):
    assert isinstance(viewer(plan), training.Lines)
    view = LiveView(Console(file=io.StringIO(), force_terminal=True, width=80), picture=training.Picture)
    view.start(plan, history(3))
    view.finish()


def test_a_recipe_whose_model_fails_is_told_and_not_raised(plan):
    broken = plan.search.source.replace("line = nn.Linear", "line = nn.Liner")
    found = training.foretold(replace(plan, search=replace(plan.search, source=broken)))
    assert found.startswith("memory not predicted: AttributeError: ")


def test_the_page_of_a_training_fits():
    text = page(training.show(SEARCH, history(18, Outcome.FINISHED), ["store=x"]))
    lines = [line.rstrip() for line in text.splitlines()]
    assert lines[0] == "cnn-1  finished"
    assert lines[1].startswith("cnn · maximize accuracy · cpu · seed 3 · 18 epochs in 12 s")
    assert "   18   0.0021847       0.9  0.0010923  5.555e-5       1e-7        0.5    25%" in lines
    assert "hpo export cnn-1 to=train_cnn-1.py store=x  the winner as plain PyTorch code" in lines
    assert "optimizer state 2,000 · averaged weights 1,008" in " ".join(text.split())


def test_a_training_that_failed_is_not_to_be_resumed():
    failed = replace(SEARCH, state=State.FAILED, reason="diverged: loss nan")
    text = page(training.show(failed, history(2, Outcome.DIVERGED)))
    assert "hpo resume" not in text
    assert text.startswith("cnn-1  failed  diverged: loss nan")


def test_a_search_shows_the_memory_of_its_winner():
    found = page(overview.show(replace(SEARCH, settings={"trials": 1}), history(2, Outcome.FINISHED)))
    assert "Trial 0: memory predicted 5,008 bytes" in found
    assert summary.describe(SEARCH, history(2, Outcome.FINISHED))["best"]["memory"]["measured"] == MEMORY


def test_losses_have_the_digits_of_papers():
    assert [wording.loss(value) for value in (0.0196622, 2.3, 5e-9, 1e6)] == [
        "0.0196622",
        "2.3000000",
        "5e-9",
        "1e6",
    ]
