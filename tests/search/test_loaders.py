"""A recipe's own DataLoader cuts its batches by itself, so a search of batch_size has to be without one."""

import re
from dataclasses import replace

import pytest

from hpo.job import Job, prepare
from hpo.ordering import order
from hpo.plan import Plan
from hpo.settings import SearchSettings
from hpo.training.demands import RecipeError

RECIPE = """
import torch
from torch import nn
from torch.utils.data import DataLoader, TensorDataset

objective = "minimize loss"
epochs = 2
baseline = {baseline}

def model():
    return nn.Linear(4, 2)

def data():
    rows = TensorDataset(torch.zeros(20, 4), torch.zeros(20, dtype=torch.long))
    return {{"train": DataLoader(rows, {own}), "validation": rows}}

def loss(outputs, targets):
    return nn.functional.cross_entropy(outputs, targets)
"""


def job(tmp_path, *words, own=5, **baseline):
    path = tmp_path / "mine.py"
    path.write_text(RECIPE.format(own=own, baseline={"optimizer": "sgd", "optimizer.lr": 0.1, **baseline}))
    search = order(SearchSettings.from_words([f"recipe={path}", *words]))
    return Job.of(Plan.of(replace(search, settings={**search.settings, "threads": 1, "device": "cpu"})))


@pytest.mark.parametrize(
    ("words", "asked"),
    [
        (["space.batch_size.choice=[5, 10]"], "searched"),
        (["space.batch_size=10"], "10"),
        (["space.batch_size=full"], "full"),
    ],
)
def test_a_batch_size_that_is_not_the_loader_s_is_refused(tmp_path, words, asked):
    with pytest.raises(RecipeError, match=rf"\(batch_size=5\), but this search's batch_size is {asked}: "):
        prepare(job(tmp_path, *words))


def test_the_baseline_s_is_looked_at_too(tmp_path):
    with pytest.raises(RecipeError, match=re.escape("batch_size is 64")):
        prepare(job(tmp_path, batch_size=64))
    with pytest.raises(RecipeError, match=re.escape("batch_size is searched")):
        prepare(job(tmp_path, "space.batch_size=5", batch_size=10))


@pytest.mark.parametrize("words", [[], ["space.batch_size=5"]])
def test_what_agrees_with_it_or_says_nothing_trains(tmp_path, words):
    assert len(prepare(job(tmp_path, *words)).splits["train"]) == 4


@pytest.mark.parametrize(("other", "asked"), [(5, "5"), (10, "searched")])
def test_points_are_asked_for_theirs(tmp_path, other, asked):
    space = tmp_path / "space.yaml"
    space.write_text(f"points: [{{batch_size: 5, ema: 0.9}}, {{batch_size: {other}}}]")
    assert job(tmp_path, f"space={space}", batch_size=5).batch_size == asked


def test_all_at_once_is_a_loader_of_one_batch(tmp_path):
    assert len(prepare(job(tmp_path, "space.batch_size=full", own=20)).splits["train"]) == 1
