"""What `benchmarks/peers.py` compares is the same for all: space, first configuration, training.

And what `benchmarks/ablation.py` takes out of a search is missed.
"""

import importlib
import json
import math
import random
from pathlib import Path
from types import ModuleType

import optuna
import pytest

from hpo.config import Config
from hpo.planning.ordering import order
from hpo.planning.plan import Plan
from hpo.settings import SearchSettings
from hpo.training import plain
from hpo.training.engine import Member
from hpo.worker.job import Job
from hpo.worker.preparation import prepare

BENCHMARKS = Path(__file__).resolve().parent.parent / "benchmarks"


@pytest.fixture(name="peers")
def _peers(monkeypatch: pytest.MonkeyPatch) -> ModuleType:
    monkeypatch.syspath_prepend(BENCHMARKS)
    return importlib.import_module("peers")


@pytest.fixture(name="rivals")
def _rivals(peers: ModuleType) -> ModuleType:
    return importlib.import_module("rivals")


def plan_of(words: list[str]) -> Plan:
    return Plan.of(order(SearchSettings.from_words(words)))


def searched(config: Config) -> dict[str, object]:
    words = ("optimizer", "schedule", "clip_norm")
    found = {key: value for key, value in config.items() if key.partition(".")[0] in words}
    return found | {"clip_norm": config["clip_norm"] or 0.0}


def test_the_rivals_space_is_hpos(peers: ModuleType, rivals: ModuleType) -> None:
    space = plan_of(peers.words_of("cnn", 0)).space
    studies = [optuna.create_study(sampler=optuna.samplers.RandomSampler(seed=0)) for _ in range(2)]
    for _ in range(30):
        ours, theirs = (study.ask() for study in studies)
        rivals.suggest(theirs)
        assert rivals.spell(theirs.params) == searched(space.sample(ours))
        assert set(theirs.params) <= set(rivals.NAMES)


@pytest.mark.parametrize("recipe", ["cnn", "mlp", "transformer"])  # the baseline of rnn is out of this space
def test_the_rivals_begin_with_the_baseline(peers: ModuleType, rivals: ModuleType, recipe: str) -> None:
    ours = searched(plan_of(peers.words_of(recipe, 0)).baseline)
    theirs = rivals.spell(rivals.RACES[recipe].first)
    assert {key: ours[key] for key in theirs} == pytest.approx(theirs)


def test_the_rivals_training_is_hpos(rivals: ModuleType) -> None:
    plan = plan_of(["recipe=rnn", "epochs=2", "recipe.samples=256"])
    by_hand = importlib.import_module("by_hand")
    task, options = by_hand.load("rnn", {"samples": 256}, 2, 0)
    config = {**options, **rivals.spell(rivals.RACES["rnn"].first), "batch_size": 64}
    search = plan.search
    options_of_data = tuple(plan.data_options.items())
    job = Job(search.source, search.path, search.objective, 2, 0, plan.baseline, data_options=options_of_data)
    member = Member(0, plan.vocabulary.defaults(Config(config)))
    ours = [point.score for (point,) in plain.train(prepare(job), [member])]
    assert list(by_hand.train(task, config)) == pytest.approx(ours)


def made_up(folder: Path) -> Path:
    """Write 200 curves of 27 epochs that fall the deeper the nearer the rate is to 0.01."""
    dice, runs = random.Random(0), []
    for _ in range(200):
        rate, beta = 10 ** dice.uniform(-5, 0), dice.uniform(0, 0.9)
        depth = math.exp(-(math.log10(rate / 0.01) ** 2)) * (1 - beta / 4)
        curve = [1 - depth * (1 - math.exp(-epoch / 5)) + dice.gauss(0, 0.02) for epoch in range(27)]
        runs.append({"hp": {"learning_rate": rate, "beta1": beta}, "valid": curve})
    (folder / "made_up.json").write_text(json.dumps(runs))
    return folder / "made_up.json"


def test_a_search_without_one_of_its_parts_takes_another_course(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.syspath_prepend(BENCHMARKS)
    ablation, curves = importlib.import_module("ablation"), made_up(tmp_path)

    def courses(part: str) -> list[object]:
        return [ablation.search((part, (way, curves, 0, False))).steps for way in ("hpo", "hpo+prior")]

    whole = courses("nothing")
    same = [part for part in (*ablation.PARTS, *ablation.WORDS) if courses(part) == whole]
    assert same == ["nothing"]
