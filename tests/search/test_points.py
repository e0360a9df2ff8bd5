"""Configurations that a space lists are tried as they are, each of them before any is tried again."""

from dataclasses import replace

import pytest

from hpo.planning.ordering import order
from hpo.planning.plan import Plan
from hpo.settings import SearchSettings
from hpo.study import Study

SPACE = """\
optimizer: adamw
points:
- {optimizer.lr: 0.1, optimizer.beta1: 0.5}
- {optimizer.lr: 0.2}
- {optimizer.lr: 0.3, warmup: 0.1}
clip_norm: {choice: [null, 1]}
"""


@pytest.mark.parametrize("sampler", ["tpe", "random", "qmc"])
def test_each_listed_point_is_tried_once_first(sampler):
    search = order(SearchSettings.from_words(["recipe=linear", f"sampler={sampler}"]))
    plan = Plan.of(replace(search, space=SPACE))
    study = Study(plan)
    baseline, *others = [study.propose() for _ in range(6)]
    assert baseline.origin == "baseline"
    assert [it.config["optimizer.lr"] for it in others[:3]] == [0.1, 0.2, 0.3]
    assert [it.config["optimizer.beta1"] for it in others[:3]] == [0.5, 0.9, 0.9]
    assert [it.config["warmup"] for it in others[:3]] == [0.0, 0.0, 0.1]
    assert {it.config["optimizer.lr"] for it in others[3:]} <= {0.1, 0.2, 0.3}


def test_what_is_said_beside_the_points_stands_though_the_baseline_says_otherwise(tmp_path):
    file = tmp_path / "own.yaml"
    file.write_text(SPACE)
    words = ["recipe=cnn", f"space={file}", "space.batch_size=16"]
    space = Plan.of(order(SearchSettings.from_words(words))).space
    assert [point["batch_size"] for point in space.listed] == [16, 16, 16]
