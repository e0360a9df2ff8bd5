import json

import pytest
from made_up import awkward, search, typical

from hpo.config import Config
from hpo.results import phrasing, summary
from hpo.terminal import wording

HISTORIES = awkward()


@pytest.mark.parametrize("name", HISTORIES)
def test_a_described_search_is_strict_json(name):
    described = summary.describe(search(), HISTORIES[name])
    assert json.loads(json.dumps(described, allow_nan=False)) == described
    assert {"name", "recipe", "state", "seed", "counts", "best", "baseline", "trials"} <= described.keys()


def test_a_search_is_described():
    described = summary.describe(search(), typical())
    assert described["counts"] == {"running": 2, "finished": 2, "pruned": 1, "diverged": 1, "failed": 1}
    assert described["seed"] == 0
    assert described["best"]["trial"] == 2
    assert described["best"]["metrics"] == {"loss": 0.03125, "accuracy": 0.96875}
    assert described["baseline"]["score"] == 0.045
    assert [trial["outcome"] for trial in described["trials"]][3:] == [
        "diverged",
        "failed",
        "running",
        "running",
    ]
    assert described["trials"][3]["score"] is None
    assert described["trials"][1] == {
        "trial": 1,
        "outcome": "pruned",
        "reason": "",
        "score": 0.4312,
        "metrics": {"loss": 0.4312, "accuracy": 1 - 0.4312},
        "epochs": 2,
        "seconds": 2.0,
        "origin": "tpe",
        "seed": None,
        "at_once": 1,
        "costs": {},
        "memory": {},
        "config": dict(HISTORIES["typical"].trials[1].proposal.config),
    }


def test_nothing_is_null():
    described = summary.describe(search(), HISTORIES["none"])
    assert (described["best"], described["baseline"], described["trials"]) == (None, None, [])


@pytest.mark.parametrize(
    ("config", "expected"),
    [
        ({}, ""),
        ({"optimizer": "sgd", "optimizer.lr": 0.05, "clip_norm": None}, "sgd lr=0.05"),
        ({"batch_size": 32, "schedule": "cosine", "optimizer": "adamw"}, "adamw · cosine · batch 32"),
        ({"batch_size": None, "schedule": "constant", "warmup": 0, "then": "same"}, "constant"),
        ({"batch_size": "full", "then": "step", "then.switch": 0.3}, "batch full · then step switch=0.3"),
        ({"model.width": 32, "model.norm": False, "model.act": "relu"}, "model act=relu norm=false width=32"),
        (
            {"optimizer": "sgd", "optimizer.nesterov": True, "optimizer.lr": 1.23456e-5},
            "sgd lr=1.23e-5 nesterov",
        ),
    ],
)
def test_a_config_in_short(config, expected):
    assert phrasing.short(Config(config)) == expected


def test_a_broken_recipe_does_not_hide_the_others(tmp_path):
    (tmp_path / "broken.py").write_text("def")
    (tmp_path / "latin.py").write_bytes(b"\xff")
    names = {name: tmp_path / f"{name}.py" for name in ("broken", "latin", "gone")}
    described = summary.describe_recipes(names)
    assert [item["name"] for item in described] == ["broken", "latin", "gone"]
    assert all(item["problem"] for item in described)


def test_a_space_is_described_by_its_first_line(tmp_path):
    (tmp_path / "sgd.yaml").write_text("# hpo search recipe=cnn space=sgd\noptimizer: sgd\n")
    (tmp_path / "bare.yaml").write_text("optimizer: sgd\n")
    names = {name: tmp_path / f"{name}.yaml" for name in ("sgd", "bare")}
    uses = [item["use"] for item in summary.describe_spaces(names)]
    assert uses == ["hpo search recipe=cnn space=sgd", ""]


@pytest.mark.parametrize(
    ("seconds", "expected"),
    [(0, "0.0 s"), (9.99, "10.0 s"), (59.7, "1 min 00 s"), (3599.6, "1 h 00 min"), (90000, "25 h 00 min")],
)
def test_durations(seconds, expected):
    assert wording.duration(seconds) == expected
