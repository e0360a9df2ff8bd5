"""More than one goal: how they are said, what is measured, who is refused, who is stopped, what is found."""

import itertools
import json
import math
from dataclasses import replace

import pytest
import simulation
from simulation import Workers, history_of, run, started, told

from hpo import recipe
from hpo import space as spaces
from hpo.audit import ledger as account
from hpo.errors import InputError
from hpo.history.equals import shape
from hpo.planning.ordering import order
from hpo.planning.plan import Plan
from hpo.progress import outlook
from hpo.progress.spending import GAIN
from hpo.protocol import Answer
from hpo.replay import replay
from hpo.settings import ReplaySettings, SearchSettings
from hpo.study.blend import Blend
from hpo.training.words import vocabulary_of
from hpo.trial import COSTS, WARNING, Attempt, Outcome, Proposal
from hpo.worker import cohort, weighing
from hpo.worker.job import Job

EPOCHS = 4
MIDDLE = 1e-3
WORDS = (
    *("objective=loss,memory,seconds", f"epochs={EPOCHS}", "seed=3", "confirm_seeds=2"),
    "space.batch_size={choice: [16, 64, 256]}",
)


WIDENED = """
import torch
from torch import nn
from torch.utils.data import TensorDataset

objective = "minimize loss"
epochs = 1
baseline = {"optimizer": "sgd", "optimizer.lr": 0.1, "batch_size": 2}


def model(widen: float = 1.0) -> nn.Module:
    return nn.Sequential(nn.Linear(2, int(4 * widen), bias=False), nn.Linear(int(4 * widen), 1, bias=False))


def data() -> dict[str, TensorDataset]:
    rows = TensorDataset(torch.ones(8, 2), torch.ones(8, 1))
    return {"train": rows, "validation": rows}


def loss(outputs, targets):
    return (outputs - targets).square().mean()
"""


def ordered(*words):
    return order(SearchSettings.from_words(["recipe=cnn", *words]))


@pytest.mark.parametrize(
    ("words", "told"),
    [
        ("loss", "minimize loss"),
        ("accuracy", "maximize accuracy"),
        ("loss,memory,seconds", "minimize loss, memory, seconds"),
        ("minimize accuracy, parameters", "minimize accuracy, parameters"),
    ],
)
def test_goals_are_a_measure_and_costs(words, told):
    assert str(ordered(f"objective={words}").objective) == told


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (["objective=los,memory"], "Did you mean loss?"),
        (["objective=loss,memroy"], "Did you mean memory?"),
        (["objective=memory,loss"], "objective=loss,memory"),
        (["objective=loss,seconds,seconds"], "named twice"),
        (["objective=loss,"], "Known: memory, parameters, seconds"),
        (["objective=up loss"], "minimize or maximize"),
        (["objective=loss,seconds", "deterministic=true"], "leave out seconds"),
        (["objective=loss,memory", "sampler=tpe"], "sampler=blend"),
        (["objective=loss,memory", "workers_per_trial=2"], "on one worker"),
        (["memory=1GiB", "workers_per_trial=2"], "on one worker"),
        (["memory=much"], "8GiB or 500MB"),
    ],
)
def test_what_makes_no_goal_is_told(words, said):
    with pytest.raises(InputError, match=said.replace("?", r"\?")):
        ordered(*words)


def test_a_measure_of_unknown_direction_asks_for_it():
    cnn = recipe.find("cnn")
    with pytest.raises(InputError, match="maximize width"):
        order(SearchSettings.from_words(["recipe=cnn", "objective=width"]), replace(cnn, metrics=("width",)))


@pytest.fixture
def trade(monkeypatch):
    """Larger batches are better in the simulation."""
    plain = simulation.measured

    def measured(number, config, epoch, seed=""):
        found = plain(number, config, epoch, seed)
        worse = 1 + 16 / config["batch_size"]
        return replace(found, score=found.score * worse) if hasattr(found, "score") else found

    monkeypatch.setattr(simulation, "measured", measured)


def scales():
    """What a batch costs; a clock says a little more each time."""
    times = (1 + number / 1000 for number in itertools.count())
    return lambda config: {
        "memory": 1000 * config["batch_size"],
        "seconds": 0.01 * config["batch_size"] * next(times),
    }


def searched(url, *words, **worker):
    name = started(url, *WORDS, *words)
    run(url, name, Workers(2, EPOCHS, weigh=scales(), **worker))
    return name


def test_trials_of_one_shape_cost_the_same(url, trade):
    history = history_of(url, searched(url, "trials=30"))
    found = {}
    for trial in history.searched:
        found.setdefault(shape(trial.proposal.config, size=0), set()).add(tuple(trial.costs.items()))
    assert all(len(costs) == 1 for costs in found.values())
    assert len(found) < len(history.searched)


def test_fractions_that_make_another_model_have_costs_of_their_own(url):
    def weigh(config):
        rate = config["optimizer.lr"]
        return {"memory": rate, "parameters": 1 if rate < MIDDLE else 2}

    name = started(url, *WORDS, "trials=20")
    run(url, name, Workers(2, EPOCHS, weigh=weigh))
    found = {}
    for trial in history_of(url, name).searched:
        key = shape(trial.proposal.config, weigh(trial.proposal.config)["parameters"])
        found.setdefault(key, set()).add((trial.costs["memory"], trial.costs["parameters"]))
    assert all(len(costs) == 1 for costs in found.values())
    assert {parameters for costs in found.values() for _, parameters in costs} == {1, 2}


def test_nobody_beats_the_front_and_it_beats_the_rest(url, trade):
    history = history_of(url, searched(url, "trials=40"))
    front, knee = history.front, history.knee
    assert knee in front
    assert len(front) > 1
    assert [it.score for it in front] == sorted(it.score for it in front)
    assert [it.costs["memory"] for it in front] == sorted((it.costs["memory"] for it in front), reverse=True)
    reached = list(map(history.goals, front))
    for goals in map(history.goals, history.ranking):
        assert any(all(a <= b for a, b in zip(it, goals, strict=True)) for it in reached)


def test_one_goal_has_no_front(url):
    name = started(url, "trials=6", f"epochs={EPOCHS}")
    run(url, name, Workers(2, EPOCHS))
    history = history_of(url, name)
    assert (history.front, history.knee) == ([], None)


def test_small_ones_are_not_stopped_for_what_large_ones_come_to(url, trade):
    """With one goal hardly any small batch goes to the end; with more, each size has its own race."""
    several = history_of(url, searched(url, "trials=60"))
    finished = {trial.proposal.config["batch_size"] for trial in several.ranking}
    assert finished == {16, 64, 256}
    assert several.counts["pruned"] > 10


def test_the_knee_is_confirmed_with_the_best(url, trade):
    history = history_of(url, searched(url, "trials=30", "confirm=1"))
    configs = {trial.proposal.config for trial in history.confirmations}
    assert history.knee.proposal.config in configs
    assert {history.ranking[0].proposal.config, history.trials[0].proposal.config} <= configs
    assert len(configs) <= 3


def test_a_referee_that_dies_changes_nothing(url, trade):
    whole, broken = searched(url, "trials=20"), started(url, *WORDS, "trials=20")
    workers = Workers(2, EPOCHS, weigh=scales())
    while run(url, broken, workers, turns=12):
        pass
    assert told(url, broken) == told(url, whole)


def test_its_decisions_can_be_replayed_and_its_ledger_is_sound(url, trade):
    name = searched(url, "trials=30")
    found = replay(ReplaySettings(name=name, store=url))
    assert found.differences == ()
    assert found.verdicts > 30
    assert [check.faults for check in account.read(url, name).checks if not check.passed] == []


def test_it_ends_where_the_whole_front_has_come_to_rest(url, trade):
    """Only the noise of the made-up curves is left to gain, for each size of the batch."""
    rates = "space.optimizer={one_of: {sgd: {lr: {log: [0.0199, 0.0201]}}}}"
    words = (
        *WORDS[:1],
        "epochs=6",
        *WORDS[2:],
        rates,
        "pruner=none",
        "sampler=random",
        "budget=200trainings",
    )
    name = started(url, *words)
    run(url, name, Workers(2, 6, weigh=scales()))
    history = history_of(url, name)
    assert history.forecast.over == GAIN
    assert history.epochs < 150 * 6
    plan = Plan.of(ordered(*words))
    assert "less at equal memory and seconds than the score" in outlook.opening(plan, history)[-1]
    assert "better loss at equal memory and seconds by" in outlook.ended(plan, history)


def test_a_sampler_that_sees_the_front_looks_near_all_of_it():
    """The first of the ranking are the whole front, not only what is best in the first goal."""
    plan = Plan.of(ordered(*WORDS))
    blend = Blend(plan.space)
    goals = [(0.0, 9.0), (0.1, 8.9), (0.2, 8.8), (5.0, 5.0), (9.0, 0.0), (9.0, 9.0), (8.0, 9.5)]
    for number, (cost, beside) in enumerate(goals):
        blend.proposed(number, "random", {"number": number})
        blend.ended(number, 4, cost, (beside,))
    blend.proposed(7, "prior", {"number": 7})
    blend.ended(7, 0, math.inf, (0.0,))
    ranking = list(blend.ranking)
    assert set(ranking[:5]) == {0, 1, 2, 3, 4}
    assert set(ranking[:2]) == {0, 4}
    assert ranking[-1] == 7
    assert blend.wins == {"random": 2}


SPACE = """
optimizer: {one_of: {sgd: {lr: {log: [1.0e-4, 1], prior: 0.1}}}}
model: {width: {int: [8, 512]}}
"""


def reached(seed, sees_the_front):
    """Return what part of all that can be had the front of a search dominates, from 0 to 1."""
    blend = Blend(spaces.read(SPACE, "space", vocabulary_of(recipe.find("mlp"))))
    found = []
    for number in range(60):
        source, params = blend.propose(100_000 * seed + number)
        blend.proposed(number, source, params)
        rate, width = params["optimizer.sgd.lr"], params["model.width"]
        cost, beside = math.log10(rate / 0.02) ** 2 + 8 / width, math.log(width)
        found.append((cost, beside))
        blend.ended(number, 4, cost, (beside,) if sees_the_front else ())
    corners = itertools.product([it / 20 for it in range(21)], [math.log(8) + it / 5 for it in range(21)])
    return sum(any(a <= x and b <= y for a, b in found) for x, y in corners) / 21**2


def test_a_sampler_that_sees_the_front_comes_further_than_one_that_sees_one_goal():
    """A larger model is better, and the learning rate is best at 0.02 for each."""
    with_it, without = (sum(reached(seed, sees) for seed in range(24)) for sees in (True, False))
    assert with_it > 1.05 * without


class Judge:
    """A referee that hears all and stops nobody."""

    def __init__(self):
        self.attempts, self.points, self.endings = [], [], {}

    def attempt(self, trials, worker, notes):
        self.attempts.append(Attempt(next(iter(trials)), worker, "", dict(notes)))

    def report(self, reports):
        self.points += reports
        return Answer([report.trial for report in reports])

    def tell(self, endings):
        self.endings |= {ending.trial: ending for ending in endings}


def trained(values, *words, recipe="mlp"):
    """Train configurations that differ from the baseline by these values; return what a referee hears."""
    search = order(SearchSettings.from_words([f"recipe={recipe}", "epochs=1", *words]))
    plan = Plan.of(replace(search, settings={**search.settings, "threads": 1, "device": "cpu"}))
    trials = [Proposal(number, plan.baseline | it, "random") for number, it in enumerate(values)]
    judge = Judge()
    cohort.run(Job.of(plan), trials, judge)
    return judge


def test_what_cannot_fit_is_refused_before_it_trains_and_the_others_train():
    judge = trained([{}, {"model.width": 8192}, {"batch_size": 256}], "memory=200kB")
    assert {number: it.outcome for number, it in judge.endings.items()} == {
        0: Outcome.FINISHED,
        1: Outcome.REFUSED,
        2: Outcome.REFUSED,
    }
    assert "weights, gradients and optimizer alone" in judge.endings[1].reason
    assert "may have" in judge.endings[2].reason
    assert [it.notes["at once"] for it in judge.attempts] == [3, 1]
    assert {point.trial for point in judge.points} == {0}


def test_what_the_machine_has_is_the_limit_where_none_is_given(monkeypatch):
    monkeypatch.setattr(weighing, "most", lambda *_: 200_000)
    judge = trained([{}, {"model.width": 4096}], "objective=loss,memory")
    assert [judge.endings[number].outcome for number in (0, 1)] == [Outcome.FINISHED, Outcome.REFUSED]
    assert "may have 195 KiB" in judge.endings[1].reason


def test_a_configuration_that_raises_fails_for_its_own_reason():
    judge = trained([{"batch_size": 100_000}], "objective=loss,memory")
    assert judge.endings[0].outcome is Outcome.FAILED
    assert "batch_size=100000" in judge.endings[0].reason


def test_what_cannot_be_measured_is_told_and_trains(monkeypatch):
    def refuse(*_):
        raise RuntimeError("not under watch")

    monkeypatch.setattr(weighing.costs, "measure", refuse)
    monkeypatch.setattr(weighing, "_known", {})
    judge = trained([{}], "objective=loss,memory")
    assert judge.endings[0].outcome is Outcome.FINISHED
    warnings = [it.notes[WARNING] for it in judge.attempts if WARNING in it.notes]
    assert len(warnings) == 1
    assert "not under watch" in warnings[0]


def test_costs_are_noted_before_the_first_epoch():
    judge = trained([{}], "objective=loss,memory,parameters")
    (costs,) = (it.notes[COSTS]["0"] for it in judge.attempts if COSTS in it.notes)
    assert costs.keys() == {"memory", "parameters"}
    assert costs["memory"] > 4 * 4 * costs["parameters"]


def test_a_fraction_that_widens_the_model_is_measured_for_each_width(tmp_path):
    recipe = tmp_path / "widened.py"
    recipe.write_text(WIDENED, encoding="utf-8")
    judge = trained([{"model.widen": it} for it in (0.5, 4.0)], "objective=loss,memory", recipe=recipe)
    (costs,) = (it.notes[COSTS] for it in judge.attempts if COSTS in it.notes)
    small, large = costs["0"], costs["1"]
    assert (small["parameters"], large["parameters"]) == (6, 48)
    assert small["memory"] < large["memory"]


def test_one_goal_measures_nothing():
    judge = trained([{}])
    assert all(COSTS not in it.notes for it in judge.attempts)


@pytest.mark.slow
def test_a_search_for_several_goals_from_the_command_line(folder):
    sizes = "space.model.width={choice: [16, 64]}"
    goals = "objective=loss,memory,seconds"
    done = folder.run("search", "recipe=mlp", goals, sizes, "trials=6", "epochs=2", "confirm_seeds=1")
    assert done.returncode == 0, done.stderr
    assert "pick=knee" in done.stdout
    told = json.loads(folder.run("show", "mlp-1", "--json").stdout)
    assert told["objective"] == "minimize loss, memory, seconds"
    assert sum(it["knee"] for it in told["front"]) == 1
    assert all(
        it["costs"]["memory"] > 10_000
        for it in told["trials"]
        if it["origin"] != "proof" and it["seed"] is None
    )
    smallest = min(told["front"], key=lambda it: it["memory"])
    assert folder.run("export", "mlp-1", "to=small.py", "pick=memory").returncode == 0
    assert f"trial {smallest['trial']} of mlp-1" in (folder.path / "small.py").read_text()
    for verb in ("audit", "replay"):
        assert folder.run(verb, "mlp-1").returncode == 0
