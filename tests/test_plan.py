"""What is ordered is checked whole, and understood, before anything starts."""

from dataclasses import replace

import pytest
import torch
from optuna.trial import FixedTrial

from hpo import recipe
from hpo.errors import InputError
from hpo.planning.ordering import order, order_training
from hpo.planning.plan import Plan
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


def with_baseline(path, **values):
    """Write the recipe mlp with another baseline, and return the word for it."""
    before, _, after = recipe.find("mlp").source.partition("baseline = {")
    baseline = {name.replace("__", "."): value for name, value in values.items()}
    path.write_text(f"{before}baseline = {baseline!r}{after.partition('}')[2]}")
    return f"recipe={path}"


def test_what_a_space_leaves_open_is_as_in_the_baseline(tmp_path):
    values = {"batch_size": 8, "model__width": 32, "precision": "bf16", "ema": 0.9, "clip_norm": 3.0}
    mine = with_baseline(tmp_path / "mine.py", optimizer="adamw", optimizer__lr=0.25, **values)
    nodes = Plan.of(ordered(mine)).space.nodes
    fixed = {name: nodes[name].value for name in ("batch_size", "model.width", "precision", "ema")}
    assert fixed == {"batch_size": 8, "model.width": 32, "precision": "bf16", "ema": 0.9}
    assert nodes["clip_norm"].searched
    assert set(nodes["optimizer"].branches) > {"adamw", "sgd"}
    assert (
        Plan.of(ordered(mine, "recipe.width=4", "space.batch_size=16")).space.nodes["batch_size"].value == 16
    )


def test_a_space_that_says_nothing_of_optimizers_has_the_baseline_s(tmp_path):
    mine = with_baseline(
        tmp_path / "mine.py", optimizer="adamw", optimizer__lr=0.25, schedule="wsd", then="step"
    )
    (tmp_path / "numbers.yaml").write_text("ema: {choice: [null, 0.9]}\n")
    space = Plan.of(ordered(mine, f"space={tmp_path / 'numbers.yaml'}")).space
    config = space.sample(FixedTrial({"ema": 0.9}))
    assert (config["optimizer"], config["optimizer.lr"]) == ("adamw", 0.25)
    assert (config["schedule"], config["then"]) == ("wsd", "step")


def test_what_follows_the_baseline_s_schedule_does_not_follow_another(tmp_path):
    mine = with_baseline(tmp_path / "mine.py", optimizer="sgd", schedule="wsd", then="step")
    assert "then" not in Plan.of(ordered(mine, "space.schedule=cosine")).space.nodes


def test_a_point_speaks_of_the_branch_whose_options_it_names(tmp_path):
    mine = with_baseline(tmp_path / "mine.py", optimizer="sgd", optimizer__lr=0.25, batch_size=8)
    (tmp_path / "points.yaml").write_text(
        "points: [{optimizer.lr: 0.1}, {optimizer.lr: 0.2, batch_size: 16}]\n"
    )
    space = Plan.of(ordered(mine, f"space={tmp_path / 'points.yaml'}")).space
    assert space.nodes.keys() == {"points"}
    assert [space.sample(FixedTrial(turn))["batch_size"] for turn in space.turns(None)] == [8, 16]


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


@pytest.mark.parametrize(("settings", "start"), [(SearchSettings, order), (TrainSettings, order_training)])
def test_arguments_of_own_words_that_would_be_taken_for_something_else_are_refused(tmp_path, settings, start):
    path = tmp_path / "mine.py"
    own = (
        "def slow(params, lr=0.5, l1=0.1, lr_factor=1.0): ...\n"
        "def late(step, steps, switch=0.5, follow=1, share=1): ...\n"
        "optimizers = [slow]\nschedules = [late]\n"
    )
    path.write_text(f"{recipe.find('linear').source}\n{own}")
    with pytest.raises(InputError) as caught:
        start(settings.from_words([f"recipe={path}"]))
    named = [problem.where.partition("  ")[2] for problem in caught.value.problems]
    assert named == ["late(switch)", "late(follow)", "slow(l1)", "slow(lr_factor)"]
    assert caught.value.problems[0].message.endswith("Give this argument another name.")
