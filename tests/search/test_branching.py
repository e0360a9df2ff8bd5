"""TPE in a space of branches: what it learns in one, and what it takes no notice of."""

import math

import optuna
from optuna.samplers import RandomSampler
from optuna.trial import FixedTrial, create_trial

from hpo.space import read
from hpo.study.branching import BranchingTPE, groups
from hpo.study.storage import Storage
from hpo.training.words import VOCABULARY

SPACE = read(
    "optimizer: {one_of: {sgd: {lr: {log: [1e-4, 1]}, momentum: {one_minus_log: [0.01, 0.3]}}, "
    "adamw: {lr: {log: [1e-5, 1]}}}}\nbatch_size: {choice: [16, 32]}",
    "space",
    VOCABULARY,
)
BEST = {"sgd": 0.1, "adamw": 1e-3}


def distance(config):
    return abs(math.log10(config["optimizer.lr"] / BEST[config["optimizer"]]))


def started():
    storage = Storage()
    return storage, optuna.create_study(storage=storage, sampler=RandomSampler(0))


def proposed(storage, study, seed):
    study.sampler = BranchingTPE(seed, groups(SPACE), storage)
    with storage.showing(lambda: range(storage.size)):
        trial = study.ask()
        return trial, SPACE.sample(trial)


def test_it_learns_what_is_best_in_each_branch():
    storage, study = started()
    found = {"sgd": [], "adamw": []}
    for seed in range(80):
        trial, config = proposed(storage, study, seed)
        study.tell(trial, distance(config))
        found[config["optimizer"]].append(distance(config))
    for distances in found.values():
        assert sum(distances[-10:]) < 0.5 * sum(distances[:10])


def proposed_after(elsewhere):
    """Return what is proposed for sgd after trials of sgd, and of adamw that all came to `elsewhere`."""
    storage, study = started()
    for place in range(40):
        lr = 10 ** (-4 + place / 10)
        known = {"optimizer": "sgd", "optimizer.sgd.lr": lr, "optimizer.sgd.one_minus_momentum": 0.1}
        if place % 2:
            known = {"optimizer": "adamw", "optimizer.adamw.lr": lr}
        drawn = FixedTrial(known | {"batch_size": 16})
        cost = elsewhere if place % 2 else distance(SPACE.sample(drawn))
        study.add_trial(create_trial(value=cost, params=drawn.params, distributions=drawn.distributions))
    study.enqueue_trial({"optimizer": "sgd"})
    _, config = proposed(storage, study, seed=1)
    return config["optimizer.lr"], config["optimizer.momentum"]


def test_a_branch_is_modelled_by_its_own_trials_alone():
    assert proposed_after(elsewhere=0.0) == proposed_after(elsewhere=9.0)


def test_parameters_that_are_always_there_together_form_a_group():
    found = groups(SPACE)
    assert set(found["batch_size"]) == {"optimizer", "batch_size"}
    assert set(found["optimizer.sgd.lr"]) == {"optimizer.sgd.lr", "optimizer.sgd.one_minus_momentum"}
    alone = read("optimizer: {one_of: {sgd: {lr: {log: [1e-4, 1]}}}}\nbatch_size: 8", "space", VOCABULARY)
    assert set(groups(alone)["optimizer.sgd.lr"]) == {"optimizer.sgd.lr"}
