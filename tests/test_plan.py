"""What is ordered is checked whole, and understood, before anything starts."""

from dataclasses import replace

import pytest
import torch

from hpo import recipe
from hpo.errors import InputError
from hpo.ordering import order, order_training
from hpo.plan import Plan
from hpo.settings import SearchSettings, TrainSettings
from hpo.training.checkpoint import write_checkpoint


def ordered(*words):
    return order(SearchSettings.from_words(words))


def test_what_the_baseline_starts_from_holds_for_all_trials():
    plan = Plan.of(ordered("recipe=finetune", "space=sgd"))
    assert plan.space.nodes["start"].value == "digits_0_to_5"
    assert plan.space.nodes["body_lr"].value == 0.3
    assert plan.baseline["start"] == "digits_0_to_5"


def test_a_space_or_a_word_says_otherwise():
    plan = Plan.of(ordered("recipe=finetune", "space=sgd", "space.start=null", "space.freeze=body.*"))
    assert plan.space.nodes["start"].value is None
    assert plan.space.nodes["freeze"].value == "body.*"
    searched = Plan.of(ordered("recipe=finetune", "space=finetune")).space
    assert {"start", "freeze", "body_lr"} <= {parameter.name for parameter in searched.parameters}


def test_what_cannot_go_together_is_told_before_anything_starts():
    with pytest.raises(InputError, match=r"lbfgs has one learning rate: body_lr 1\."):
        ordered("recipe=finetune", "space=lbfgs")


def test_checkpoints_are_looked_at_before_anything_starts(tmp_path):
    sound, torn = tmp_path / "sound.safetensors", tmp_path / "torn.safetensors"
    write_checkpoint(sound, {"a": torch.ones(3)}, {})
    torn.write_bytes(sound.read_bytes()[:-1])
    assert ordered("recipe=cnn", f"space.start={sound}")
    with pytest.raises(InputError) as caught:
        ordered("recipe=cnn", f"space.start={{choice: [null, {sound}, {torn}, none.safetensors]}}")
    assert [problem.message.partition(": ")[0] for problem in caught.value.problems] == [
        str(torn),
        "none.safetensors",
    ]


def test_a_single_training_takes_a_sequence_of_any_length():
    words = ["recipe=cnn", "then=step", "then_3=cosine", "then_3.switch=0.25"]
    plan = Plan.of(order_training(TrainSettings.from_words(words)))
    config = plan.space.sample(None)
    assert [config[name] for name in ("then", "then_2", "then_3")] == ["step", "same", "cosine"]
    assert config["then_3.switch"] == 0.25
    with pytest.raises(InputError, match="Unknown key"):
        TrainSettings.from_words(["recipe=cnn", "then_1=step"])


def test_a_recipes_own_words_are_understood(tmp_path):
    path = tmp_path / "mine.py"
    source = recipe.find("linear").source
    source = source.partition("baseline = {")[0] + 'baseline = {"optimizer": "slow", "schedule": "flat"}\n'
    rest = recipe.find("linear").source.partition("baseline = {")[2].partition("}\n")[2]
    own = (
        "def slow(params, lr=0.5): ...\ndef flat(step, steps): ...\noptimizers = [slow]\nschedules = [flat]\n"
    )
    path.write_text(source + rest + own)
    search = ordered(f"recipe={path}", "space.optimizer={one_of: {slow: {}, adam: {}}}")
    plan = Plan.of(search)
    assert (plan.baseline["optimizer"], plan.baseline["optimizer.lr"]) == ("slow", 0.5)
    with pytest.raises(InputError, match=r"Did you mean slow\?"):
        ordered(f"recipe={path}", "space.optimizer=slwo")
    path.write_text(source + rest + own.replace("slow", "adam"))
    with pytest.raises(InputError, match=r"adam is a word of hpo's own"):
        ordered(f"recipe={path}")


def test_a_setting_younger_than_the_search_has_its_default(monkeypatch):
    monkeypatch.delenv("HPO_CHECKPOINTS", raising=False)
    search = ordered("recipe=cnn")
    plan = Plan.of(replace(search, settings={"epochs": 3}))
    assert {name: plan.setting(name) for name in SearchSettings.model_fields if name != "recipe"}.items() >= {
        ("checkpoints", ""),
        ("checkpoint_every", 10.0),
        ("cluster", ""),
        ("epochs", 3),
    }
