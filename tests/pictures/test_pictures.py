"""Pictures show what was measured, and the winner at work is the winner."""

import math
from dataclasses import replace
from functools import partial

import matplotlib.image
import pytest
import torch
from sklearn.linear_model import LinearRegression

from hpo.conductor import inprocess
from hpo.config import Config
from hpo.history import History
from hpo.ledger import Ledger
from hpo.pictures import Gallery, draw, draw_space
from hpo.pictures.curves import gradient_norms, losses
from hpo.pictures.pareto import pareto
from hpo.pictures.probes import Winner, batch_norm, fit
from hpo.pictures.schedules import factors, schedules
from hpo.pictures.style import NotDrawnError
from hpo.planning.ordering import order_training
from hpo.planning.plan import Plan
from hpo.recipe import Objective
from hpo.referee import Referee
from hpo.settings import TrainSettings
from hpo.space import read
from hpo.training.loop.batches import load
from hpo.training.loop.loop import evaluate
from hpo.training.words import VOCABULARY
from hpo.trial import COSTS, GIVEN, Attempt, Ending, Outcome, Point, Proposal
from hpo.worker.cohort import train as train_cohort
from hpo.worker.job import Job


@pytest.fixture(scope="module")
def trained(tmp_path_factory):
    """Train with these words in a ledger of its own; return the plan and the history."""

    def train(*words):
        ledger = Ledger(f"sqlite:///{tmp_path_factory.mktemp('ledger')}/hpo.db")
        search = order_training(TrainSettings.from_words(words))
        search = replace(search, settings={**search.settings, "threads": 1, "device": "cpu"})
        search = ledger.create_search(search)
        plan = Plan.of(search)
        referee = Referee(ledger.url, search.name, ledger.open_session(search))
        inprocess.train(referee, partial(train_cohort, Job.of(plan)), lambda: False, resumed=False)
        history = ledger.history(search)
        ledger.close()
        return plan, history

    return train


@pytest.fixture(scope="module")
def cnn(trained):
    return trained("recipe=cnn", "epochs=2", "clip_norm=1", "name=digits")


@pytest.fixture(scope="module")
def line(trained):
    return trained("recipe=linear", "optimizer.lr=0.5", "epochs=400")


def winner_of(plan, history):
    return Winner(plan, 0, history.trials[0].proposal.config)


def made_up():
    """A search with a trial for each way to end, one of which diverged."""
    history = History(Objective("minimize", "loss"))
    for number, (outcome, curve) in enumerate(
        [
            (Outcome.FINISHED, [3.0, 2.0, 1.0]),
            (Outcome.PRUNED, [3.5]),
            (Outcome.DIVERGED, [3.0, math.inf]),
            (None, [2.9]),
            (Outcome.FINISHED, [3.0, 1.0, 0.5]),
        ]
    ):
        history.add(Proposal(number, Config({"clip_norm": 0.5}), GIVEN))
        history.add(Attempt(number, "host/1"))
        for epoch, loss in enumerate(curve, start=1):
            history.add(Point(number, epoch, loss, loss, loss * 0.9, 0.1, 4 * loss, 0.5, 0.1, {}, 0.75))
        if outcome:
            history.add(Ending(number, outcome, score=curve[-1]))
    return history


def lines(panel):
    """What is drawn, by label; the faint lines have none that is shown."""
    return {line.get_label(): list(line.get_ydata()) for line in panel.get_lines()}


class TestCurves:
    def test_the_best_are_named_and_the_others_are_faint(self):
        train, validation = losses("cnn-1", made_up()).axes
        found = lines(validation)
        assert found["trial 4: loss 0.5"] == [3.0, 1.0, 0.5]
        assert found["trial 0: loss 1"] == [3.0, 2.0, 1.0]
        faint = [line for line in train.get_lines() if line.get_alpha()]
        assert [len(line.get_xdata()) for line in faint] == [1, 2, 1]
        assert [text.get_text() for text in train.figure.texts][-1] == (
            "cnn-1: the best in colour; faint: 1 pruned, 1 diverged, 1 running"
        )

    def test_a_divergence_does_not_stretch_the_axis(self):
        train, _ = losses("cnn-1", made_up()).axes
        assert train.get_ylim()[1] < 4

    def test_losses_below_zero_are_shown(self):
        history = History(Objective("minimize", "loss"))
        history.add(Proposal(0, Config({}), GIVEN))
        history.add(Attempt(0, "host/1"))
        for epoch, loss in enumerate([1.0, -1.0, -2.5], start=1):
            history.add(Point(0, epoch, loss, loss, loss, 0.1, 4.0, 0.5, 0.1, {}, 0.75))
        history.add(Ending(0, Outcome.FINISHED, score=-2.5))
        train, validation = losses("cnn-1", history).axes
        assert lines(validation)["trial 0: loss -2.5"] == [1.0, -1.0, -2.5]
        low, high = train.get_ylim()
        assert (train.get_yscale(), low < -2.5, high > 1) == ("linear", True, True)

    def test_norms_are_shown_before_and_after_clipping_on_a_log_scale(self):
        before, after = gradient_norms("cnn-1", made_up()).axes
        assert before.get_yscale() == after.get_yscale() == "log"
        assert [list(line.get_ydata()) for line in before.get_lines()] == [[12, 4, 2], [12, 8, 4]]
        assert lines(after)["trial 4: 75% of its steps clipped"] == [0.5, 0.5, 0.5]

    def test_nothing_measured_is_nothing_drawn(self):
        empty = History(Objective("minimize", "loss"))
        with pytest.raises(NotDrawnError, match="no trial has trained"):
            losses("cnn-1", empty)


SPACE = """
schedule:
  one_of:
    constant: {}
    step: {step_size: {uniform: [0.1, 0.5], prior: 0.25}, gamma: {log: [0.01, 1]}}
    plateau: {}
warmup: {choice: [0, 0.1], prior: 0.1}
"""


class TestSchedules:
    @pytest.fixture
    def panels(self):
        winner = VOCABULARY.defaults(Config({"schedule": "constant"}))
        figure = schedules("mine", read(SPACE, "mine", VOCABULARY), VOCABULARY, winner)
        return {panel.get_title(): panel for panel in figure.axes}

    def test_there_is_a_panel_for_each(self, panels):
        assert list(panels) == ["constant", "step", "plateau, if nothing improves"]

    def test_what_an_expert_would_begin_with_stands_out(self, panels):
        expert = [line for line in panels["step"].get_lines() if line.get_linewidth() == 2]
        values = {"schedule": "step", "schedule.step_size": 0.25, "schedule.gamma": 0.1, "warmup": 0.1}
        assert [list(line.get_ydata()) for line in expert] == [factors(VOCABULARY.defaults(Config(values)))]

    def test_the_best_trial_is_in_its_panel_alone(self, panels):
        dashed = {
            name: [line for line in panel.get_lines() if line.get_linestyle() == "--"]
            for name, panel in panels.items()
        }
        assert [len(lines) for lines in dashed.values()] == [1, 0, 0]
        assert set(dashed["constant"][0].get_ydata()) == {1.0}

    def test_a_plateau_drops(self, panels):
        expert = panels["plateau, if nothing improves"].get_lines()[-1]
        assert min(expert.get_ydata()) < 0.01


class TestTheWinnerAtWork:
    def test_it_is_the_winner(self, cnn):
        plan, history = cnn
        winner = winner_of(plan, history)
        batches = load(winner.task.splits["validation"], 64)
        found = evaluate(winner.trained(), {"loss": winner.task.recipe.loss}, batches)
        assert found["loss"] == history.trials[0].score

    def test_what_a_gpu_has_trained_is_drawn_where_there_is_none(self, line, monkeypatch):
        monkeypatch.setattr(torch.cuda, "is_available", lambda: False)
        plan, history = line
        search = replace(plan.search, settings={**plan.search.settings, "device": "cuda"})
        assert winner_of(replace(plan, search=search), history).task.device == "cpu"

    def test_batch_normalization_is_seen_at_work(self, cnn):
        winner = winner_of(*cnn)
        before, after = batch_norm(winner).axes
        model = winner.trained()
        inputs = winner.task.splits["validation"].tensors[0]
        with torch.no_grad():
            into = model[0](inputs)
            out = model[1](into)
        assert before.get_title() == f"before: mean {into.mean():.2f}, deviation {into.std():.2f}"
        assert after.get_title() == f"after: mean {out.mean():.2f}, deviation {out.std():.2f}"
        assert len(after.patches) == 17  # 16 channels and all of them

    def test_the_line_is_the_least_squares_line(self, line):
        winner = winner_of(*line)
        (panel,) = fit(winner).axes
        points, fitted = panel.get_lines()
        inputs, targets = winner.task.splits["train"].tensors
        assert points.get_ydata() == pytest.approx(targets.flatten())
        expected = LinearRegression().fit(inputs, targets)
        found = expected.predict(fitted.get_xdata()[:, None])
        assert fitted.get_ydata() == pytest.approx(found.flatten(), abs=1e-4)
        assert fitted.get_label() == "fitted: 2.994 x + 2.022"


class TestFiles:
    def test_each_is_a_picture_or_says_why_not(self, cnn, tmp_path):
        drawn = {item.name: item for item in draw(*cnn, tmp_path / "new" / "folder")}
        assert list(drawn) == ["schedules", "losses", "gradient_norms", "batch_norm", "fit"]
        assert drawn.pop("fit").reason == "the data is not one column of inputs with one column of targets"
        for item in drawn.values():
            height, width, _ = matplotlib.image.imread(item.path).shape
            assert 500 < height < 700 < width < 1400

    def test_drawing_again_writes_over(self, line, tmp_path):
        first, second = (draw(*line, tmp_path, patience=0) for _ in range(2))
        assert first == second

    def test_a_winner_that_trained_long_is_not_trained_again_unasked(self, line, tmp_path):
        *_, norm, fitted = draw(*line, tmp_path, patience=0)
        assert norm.path is fitted.path is None
        assert "would have to train again" in fitted.reason

    def test_what_went_on_from_another_training_is_not_trained_again_as_something_else(self, line):
        plan, history = line
        search = replace(plan.search, settings={**plan.search.settings, "extends": "line-0/0"})
        gallery = Gallery(replace(plan, search=search), history)
        _, about = gallery.schedules().texts
        assert about.get_text() == f"{search.name}, since it went on from line-0/0"
        for picture in (gallery.batch_norm, gallery.fit):
            with pytest.raises(NotDrawnError, match="it went on from line-0/0: trained again"):
                picture()

    def test_a_space_has_its_schedules(self, tmp_path):
        (drawn,) = draw_space("mine", read(SPACE, "mine", VOCABULARY), VOCABULARY, tmp_path)
        assert drawn.path == tmp_path / "schedules.png"


def several_goals():
    """A search in which nobody beats trials 1, 2 and 3; 2 is the knee."""
    history = History(Objective("minimize", "loss", ("memory", "seconds")))
    for number, (loss, mebibytes) in enumerate([(0.5, 8), (0.1, 16), (0.15, 2), (0.4, 1)]):
        costs = {"memory": mebibytes * 2**20, "seconds": 0.001 * mebibytes}
        history.add(Proposal(number, Config({}), GIVEN))
        history.add(Attempt(number, "host/1", "", {COSTS: costs}))
        history.add(Point(number, 1, loss, loss, loss, 0.1, 1, 1, 1.0))
        history.add(Ending(number, Outcome.FINISHED, "", loss))
    return history


def test_the_front_is_drawn_against_each_cost():
    memory, seconds = pareto("made up", several_goals()).axes
    others, front, knee = memory.lines
    assert sorted(front.get_xydata().tolist()) == [[1.0, 0.4], [2.0, 0.15], [16.0, 0.1]]
    assert others.get_xydata().tolist() == [[8.0, 0.5]]
    assert knee.get_xydata().tolist() == [[2.0, 0.15]]
    assert seconds.get_xlabel() == "milliseconds a step"
    assert memory.get_xscale() == "log"


@pytest.mark.parametrize(
    ("history", "reason"),
    [
        (History(Objective("minimize", "loss")), "one goal"),
        (History(Objective("minimize", "loss", ("memory",))), "finished"),
    ],
)
def test_without_a_front_the_reason_is_told(history, reason):
    with pytest.raises(NotDrawnError, match=reason):
        pareto("made up", history)
