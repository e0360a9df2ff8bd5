import random
import subprocess
import sys

import pytest
from optuna.trial import FixedTrial

from hpo.config import Config
from hpo.errors import InputError
from hpo.space import read
from hpo.training.engine import Member
from hpo.training.plain import train
from hpo.training.words import VOCABULARY
from hpo.training.words.values import INIT

ONLY_FULL = {"lbfgs": {"batch_size": "full"}}

CHOICES = [
    *({"optimizer": name} | ONLY_FULL.get(name, {}) for name in VOCABULARY.branches["optimizer"]),
    *({"schedule": name} for name in VOCABULARY.branches["schedule"]),
    *({"then": name} for name in VOCABULARY.branches["then"]),
    *({"weight_decay_on": name} for name in ("all", "matrices")),
    *({"init": name} for name in INIT.choices),
    {"l1": 0.01},
    {"accumulate": 2},
    *({"precision": name} for name in ("fp32", "bf16", "fp16")),
    {"ema": 0.9},
    {"clip_norm": 0.5},
    {"clip_value": 0.5},
    {"warmup": 0.5},
    {"then": "step", "then_2": "same", "then_3": "linear", "then_12": "plateau"},
    {"freeze": "[01].*, 4.bias"},
    {"body_lr": 0.1},
    {"batch_size": 50},
    {"batch_size": "full"},
]


def test_nothing_of_torch_is_imported_to_check_words():
    code = """if True:
        import sys
        from hpo.training import engine, execution, words
        from hpo.training.words import optimizers, schedules
        assert "torch" not in sys.modules
    """
    subprocess.run([sys.executable, "-c", code], check=True)


@pytest.mark.parametrize("choice", CHOICES, ids=str)
def test_every_word_can_be_written_down_and_trained(choice, tiny, make_task):
    vocabulary = VOCABULARY.with_options(tiny.options)
    config = vocabulary.defaults(Config(choice))
    assert Config.from_json(config.to_json()) == config
    assert vocabulary.check(config, "") == []
    points = [points[0] for points in train(make_task(epochs=2), [Member(4, config)])]
    assert [(point.trial, point.epoch) for point in points] == [(4, 1), (4, 2)]


def test_defaults_name_the_first_words():
    config = VOCABULARY.defaults(Config({}))
    assert (config["optimizer"], config["schedule"]) == ("sgd", "constant")
    assert (config["batch_size"], config["clip_norm"], config["warmup"]) == (None, None, 0.0)


LBFGS = {"optimizer": "lbfgs", "batch_size": "full"}


@pytest.mark.parametrize(
    ("config", "message"),
    [
        ({"batch_size": 0}, "batch_size must be a whole number in [1, inf) or full or null, got 0."),
        ({"batch_size": "all"}, "batch_size must be a whole number in [1, inf) or full or null, got 'all'."),
        ({"optimizer": "lbfgs"}, "lbfgs needs all data at once: batch_size full."),
        (LBFGS | {"clip_norm": 1.0}, "lbfgs needs gradients as they are: clip_norm null."),
        (LBFGS | {"clip_value": 1.0}, "lbfgs needs gradients as they are: clip_value null."),
        ({"clip_norm": 1.0, "clip_value": 1.0}, "Clip by norm or by value, not by both."),
        (LBFGS | {"weight_decay_on": "matrices"}, "lbfgs has no weight decay to leave out."),
        (LBFGS | {"optimizer.weight_decay": 0.1}, "lbfgs has no 'weight_decay'."),
        ({"weight_decay_on": "biases"}, "weight_decay_on must be one of all, matrices, got 'biases'."),
        ({"l1": -1}, "l1 must be a number in [0, inf), got -1."),
        (LBFGS | {"l1": 0.1}, "lbfgs needs the gradient of the loss that it sees: l1 0."),
        ({"accumulate": 0}, "accumulate must be a whole number in [1, inf), got 0."),
        (LBFGS | {"accumulate": 2}, "lbfgs needs all data at once: accumulate 1."),
        ({"precision": "fp8"}, "precision must be one of fp32, bf16, fp16, got 'fp8'."),
        (LBFGS | {"precision": "fp16"}, "lbfgs needs gradients as they are: precision fp32."),
        ({"ema": 1}, "ema must be a number in [0, 1) or null, got 1."),
        ({"init": "he"}, "init must be one of default, xavier_uniform, "),
        ({"then.gamma": 0.1}, "same has no 'gamma'."),
        ({"then": "step", "then.power": 2}, "step has no 'power'. Known: gamma, "),
        ({"then": "step", "then.switch": 1.5}, "switch must be a number in (0, 1], got 1.5."),
        ({"optimizer": "muon", "optimizer.ns_steps": 100}, "ns_steps must be a whole number in [1, 99]"),
        ({"then": "step", "then_3.gamma": 0.1}, "same has no 'gamma'."),
        ({"then_1": "step"}, "Unknown name. Did you mean then?"),
        ({"then_2": "stepp"}, "Unknown then_2 'stepp'. Did you mean step?"),
        ({"start": "weights.pt"}, "start must be a file PATH.safetensors or null, got 'weights.pt'."),
        ({"start": 3}, "start must be a file PATH.safetensors or null, got 3."),
        ({"body_lr": 0}, "body_lr must be a number in (0, inf), got 0."),
        (LBFGS | {"body_lr": 0.1}, "lbfgs has one learning rate: body_lr 1."),
        ({"clip_norm": 0}, "clip_norm must be a number in (0, inf) or null, got 0."),
        ({"warmup": 0.6}, "warmup must be a number in [0, 0.5], got 0.6."),
        ({"optimizer": "adaw"}, "Unknown optimizer 'adaw'. Did you mean adamw?"),
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


def test_what_may_not_meet_is_told_by_its_names():
    [problem] = VOCABULARY.check(Config({"optimizer": "lbfgs"}), "here")
    assert problem.where == "here  optimizer + batch_size"


SPACE = """
optimizer: {one_of: {muon: {lr: {log: [1e-3, 1]}, adamw_lr: 0.01}, adafactor: {d: 1}, nadam: {}}}
schedule: {one_of: {plateau: {patience: {int: [0, 3]}}, one_cycle: {pct_start: 0.4}}}
then: {one_of: {same: {}, wsd: {switch: {uniform: [0.2, 0.8]}}}}
then_2: {one_of: {same: {}, plateau: {patience: 0}, step: {start_factor: {log: [0.1, 1]}}}}
then_3: linear
batch_size: {choice: [8, full]}
weight_decay_on: {choice: [all, matrices]}
"""


def test_the_losss_own_options_are_searched_by_name(tiny):
    vocabulary = VOCABULARY.with_options(tiny.options)
    space = read("loss: {label_smoothing: {uniform: [0, 0.2]}}", "my.yaml", vocabulary)
    assert read(space.to_yaml(), "again", vocabulary) == space
    config = space.sample(FixedTrial({"loss.label_smoothing": 0.1}))
    assert config["loss.label_smoothing"] == 0.1
    with pytest.raises(InputError, match="The recipe's loss has no 'smoothing'"):
        read("loss: {smoothing: 0.1}", "my.yaml", vocabulary)
    with pytest.raises(InputError, match="The recipe's loss has no 'label_smoothing'"):
        read("loss: {label_smoothing: 0.1}", "my.yaml", VOCABULARY)


@pytest.mark.parametrize("seed", range(6))
def test_a_space_gives_configurations_that_train(seed, tiny, make_task):
    vocabulary = VOCABULARY.with_options(tiny.options)
    space = read(SPACE, "my.yaml", vocabulary)
    assert read(space.to_yaml(), "again", vocabulary) == space
    drawn = space.draw(random.Random(seed))
    config = vocabulary.defaults(space.sample(FixedTrial(drawn)))
    assert vocabulary.check(config, "") == []
    assert Config.from_json(config.to_json()) == config
    points = [points[0] for points in train(make_task(epochs=2), [Member(4, config)])]
    assert [point.epoch for point in points] == [1, 2]


@pytest.mark.parametrize(
    ("text", "found"),
    [
        ("optimizer: lbfgs", "optimizer"),
        ("optimizer: {one_of: {sgd: {}, lbfgs: {}}}\nbatch_size: 64", "optimizer"),
        ("optimizer: lbfgs\nbatch_size: {choice: [64, full]}", "optimizer"),
        ("optimizer: lbfgs\nbatch_size: {int: [8, 64]}", "optimizer"),
        ("optimizer: lbfgs\nbatch_size: full\nclip_norm: {choice: [null, 1]}", "optimizer"),
    ],
)
def test_a_space_in_which_values_can_meet_that_may_not_is_refused(text, found):
    with pytest.raises(InputError) as caught:
        read(text, "my.yaml", VOCABULARY)
    [problem] = caught.value.problems
    assert problem.where == f"my.yaml:1  {found}"
    assert problem.message.startswith("Some draws break a rule: lbfgs needs ")


def test_a_space_in_which_they_cannot_meet_is_accepted():
    assert read("optimizer: lbfgs\nbatch_size: full", "my.yaml", VOCABULARY)
    assert read("optimizer: {one_of: {sgd: {}, adam: {}}}\nbatch_size: 8", "my.yaml", VOCABULARY)
