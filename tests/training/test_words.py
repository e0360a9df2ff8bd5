import subprocess
import sys

import pytest

from hpo.config import Config
from hpo.training.engine import Member
from hpo.training.plain import train
from hpo.training.words import VOCABULARY

CHOICES = [
    *({"optimizer": name} for name in VOCABULARY.branches["optimizer"]),
    *({"schedule": name} for name in VOCABULARY.branches["schedule"]),
    {"clip_norm": 0.5},
    {"warmup": 0.5},
    {"batch_size": 1_000},
]


def test_nothing_of_torch_is_imported_to_check_words():
    code = """if True:
        import sys
        from hpo.training import engine, execution, optimizers, schedules, words
        assert "torch" not in sys.modules
    """
    subprocess.run([sys.executable, "-c", code], check=True)


@pytest.mark.parametrize("choice", CHOICES, ids=str)
def test_every_word_can_be_written_down_and_trained(choice, tiny, make_task):
    vocabulary = VOCABULARY.with_model(tiny.model)
    config = vocabulary.defaults(Config(choice))
    assert Config.from_json(config.to_json()) == config
    assert vocabulary.check(config, "") == []
    points = [points[0] for points in train(make_task(epochs=2), [Member(4, config)])]
    assert [(point.trial, point.epoch) for point in points] == [(4, 1), (4, 2)]


def test_defaults_name_the_first_words():
    config = VOCABULARY.defaults(Config({}))
    assert (config["optimizer"], config["schedule"]) == ("sgd", "constant")
    assert (config["batch_size"], config["clip_norm"], config["warmup"]) == (64, None, 0.0)


@pytest.mark.parametrize(
    ("config", "message"),
    [
        ({"batch_size": 0}, "batch_size must be a whole number in [1, inf), got 0."),
        ({"clip_norm": 0}, "clip_norm must be a number in (0, inf) or null, got 0."),
        ({"warmup": 0.6}, "warmup must be a number in [0, 0.5], got 0.6."),
        ({"optimizer": "adma"}, "Unknown optimizer 'adma'. Did you mean adam?"),
        ({"optimizer.nesterov": True}, "sgd: nesterov needs a momentum above 0."),
        ({"optimizer.nesterov": True, "optimizer.momentum": 0}, "sgd: nesterov needs a momentum above 0."),
        ({"optimizer": "adam", "optimizer.beta1": 1.0}, "beta1 must be a number in [0, 1), got 1.0."),
        ({"schedule": "constant", "schedule.end_factor": 0.1}, "constant has no 'end_factor'."),
    ],
    ids=str,
)
def test_wrong_words_are_told(config, message):
    [problem] = VOCABULARY.check(Config(config), "here")
    assert problem.message.startswith(message)


def test_nesterov_with_momentum_is_no_contradiction():
    assert VOCABULARY.check(Config({"optimizer.nesterov": True, "optimizer.momentum": 0.9}), "") == []
