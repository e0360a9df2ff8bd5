"""Optimizers, schedules and checkpoints that a recipe defines: words like any other."""

import random

import pytest
from optuna.trial import FixedTrial

from hpo import recipe
from hpo.config import Config
from hpo.errors import InputError
from hpo.results.phrasing import short
from hpo.space import read
from hpo.training.engine import Member
from hpo.training.plain import train
from hpo.training.words import demanding, vocabulary_of
from hpo.training.words.schedule_words import schedule_call

SPACE = """
optimizer:
  one_of: {Sign: {lr: {log: [1e-3, 0.1]}, shrink: 0.1}, heavy: {drag: {uniform: [0, 0.9]}}, sgd: {}}
schedule: {one_of: {sawtooth: {teeth: {int: [1, 3]}}, Halving: {}, cosine: {}}}
then: {one_of: {same: {}, sawtooth: {switch: 0.4}}}
start: {choice: [null, elsewhere]}
"""


@pytest.mark.parametrize("seed", range(4))
def test_a_space_of_own_words_gives_configurations_that_train(seed, own, make_task):
    vocabulary = vocabulary_of(own)
    space = read(SPACE, "my.yaml", vocabulary)
    assert read(space.to_yaml(), "again", vocabulary) == space
    config = vocabulary.defaults(space.sample(FixedTrial(space.draw(random.Random(seed)))))
    assert vocabulary.check(config, "") == []
    assert config["optimizer"] in short(config)
    points = [points[0] for points in train(make_task(own.source, epochs=2), [Member(4, config)])]
    assert [point.epoch for point in points] == [1, 2]


def test_hyperparameters_are_the_arguments_with_plain_defaults(own):
    words = vocabulary_of(own).branches["optimizer"]
    assert words["Sign"].doc == "Steps of one size along the gradient's signs"
    assert {
        item.name: (item.kind, item.default, item.optional) for item in words["Sign"].hyperparameters
    } == {
        "lr": (float, 0.01, False),
        "shrink": (float, 0.0, False),
    }
    assert {
        item.name: (item.kind, item.default, item.optional) for item in words["heavy"].hyperparameters
    } == {
        "lr": (float, 0.1, False),
        "drag": (float, None, True),
    }


def curve(own, make_task, **values):
    config = vocabulary_of(own).defaults(Config({name.replace("__", "."): it for name, it in values.items()}))
    return [points[0].lr for points in train(make_task(own.source, epochs=4), [Member(0, config)])]


def test_own_schedules_are_asked_and_told(own, make_task):
    values = {"optimizer": "heavy", "optimizer__lr": 1.0, "batch_size": "full"}
    assert curve(own, make_task, **values, schedule="sawtooth") == [1.0, 0.5, 1.0, 0.5]
    config = vocabulary_of(own).defaults(Config({"schedule": "Halving", "schedule.floor": 0.25}))
    schedule, factors = schedule_call(config, own.module).build(), []
    for cost in (3.0, 2.0, 2.5, 4.0, 5.0):
        schedule.hear(cost, 0, 9)
        factors.append(schedule.factor(0, 9))
    assert factors == [1.0, 1.0, 0.5, 0.25, 0.25]


@pytest.mark.parametrize(
    ("values", "message"),
    [
        ({"optimizer": "Sing"}, "Unknown optimizer 'Sing'. Did you mean Sign?"),
        ({"schedule": "sawtoth"}, "Unknown schedule 'sawtoth'. Did you mean sawtooth?"),
        ({"optimizer": "Sign", "optimizer.lr": 0}, "lr must be a number in (0, inf), got 0."),
        ({"optimizer": "Sign", "optimizer.bounds": 3}, "Sign has no 'bounds'. Known: lr, shrink."),
        ({"schedule": "sawtooth", "schedule.teeth": 1.5}, "teeth must be a whole number, got 1.5."),
        (
            {"start": "elswhere"},
            "start must be one of elsewhere or a file PATH.safetensors or null, got 'elswhere'.",
        ),
    ],
    ids=str,
)
def test_wrong_own_words_are_told(own, values, message):
    [problem] = vocabulary_of(own).check(Config(values), "here")
    assert problem.message.startswith(message)


@pytest.mark.parametrize(
    ("text", "part", "message"),
    [
        (
            "optimizers = 'Sign'",
            "optimizers",
            "List what this file defines, by its names: optimizers = [mine].",
        ),
        ("optimizers = [torch.optim.SGD]", "optimizers", "List what this file defines"),
        ("optimizers = [Singn]", "optimizers", "There is no Singn."),
        (
            "schedules = [TensorDataset]",
            "schedules",
            "Write TensorDataset as a class or function in this file.",
        ),
        ("def o(params, lr): ...\noptimizers = [o]", "o(lr)", "Give this argument a default value."),
        (
            "def s(step, steps, *, power): ...\nschedules = [s]",
            "s(power)",
            "Give this argument a default value.",
        ),
        (
            "def o(params, rate=1): ...\noptimizers = [o]",
            "o",
            "An optimizer takes lr=…, which schedules multiply.",
        ),
        ("def c(place): ...\ncheckpoints = [c]", "c(place)", "Give this argument a default value."),
    ],
)
def test_own_words_that_cannot_be_used_are_refused_with_their_line(tiny, text, part, message):
    lines = tiny.source.count("\n") + 1
    with pytest.raises(InputError) as caught:
        recipe.read(f"{tiny.source}\n{text}\n", "mine.py")
    problem = caught.value.problems[-1]
    assert problem.where.startswith("mine.py:")
    assert lines < int(problem.where.partition(":")[2].partition(" ")[0]) <= lines + 3
    assert problem.where.endswith(f"  {part}")
    assert problem.message.startswith(message)


@pytest.mark.parametrize("name", ["Sign", "heavy"])
def test_an_own_optimizer_without_weight_decay_has_none_to_leave_out(own, name):
    """A search is told so before it starts, unless there is an L1; what older ones said can still be read."""
    vain = Config({"optimizer": name, "weight_decay_on": "matrices"})
    [problem] = demanding(vocabulary_of(own)).check(vain, "here")
    assert problem.message.startswith(f"{name} has no weight_decay to leave out")
    assert demanding(vocabulary_of(own)).check(vain | {"l1": 0.1}, "here") == []
    assert demanding(vocabulary_of(own)).check(vain | {"optimizer": "adam"}, "here") == []
    assert vocabulary_of(own).check(vain, "here") == []


def test_a_name_that_is_taken_is_refused(tiny):
    text = "def adam(params, lr=1): ...\ndef cosine(step, steps): ...\n"
    text += "optimizers = [adam]\nschedules = [cosine]\n"
    found = recipe.read(f"{tiny.source}\n{text}", "mine.py")
    with pytest.raises(InputError) as caught:
        vocabulary_of(found)
    assert [problem.message for problem in caught.value.problems] == [
        f"{name} is a word of hpo's own. Give yours another name." for name in ("adam", "cosine")
    ]
    assert caught.value.problems[0].where.startswith("mine.py:")


def test_a_dataclass_can_be_a_schedule(tiny):
    text = "@dataclass\nclass Ramp:\n    top: float = 1\n    name: str = 'a'\n    x = 3\nschedules = [Ramp]\n"
    [found] = recipe.read(f"{tiny.source}\n{text}", "mine.py").schedules
    assert [(it.name, it.kind, it.default) for it in found.arguments] == [
        ("top", float, 1),
        ("name", str, "a"),
    ]
