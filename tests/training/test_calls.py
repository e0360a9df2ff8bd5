from pathlib import Path

from hpo.training.words import schedules
from hpo.training.words.calls import Call

COSINE = Call("hpo.training.words.schedules.CosineSchedule", {"end_factor": 0.1})
CHAIN = Call(
    "hpo.training.words.schedules.SequentialSchedule",
    {"first": Call("hpo.training.words.schedules.RiseSchedule"), "second": COSINE, "switch": 0.25},
)


def test_a_call_within_a_call_is_made_first():
    built = CHAIN.build()
    assert built == eval(CHAIN.source(), vars(schedules))
    assert built.second == schedules.CosineSchedule(end_factor=0.1)


def test_a_long_call_within_a_call_is_indented():
    whole = Call(CHAIN.target, {"first": CHAIN, "second": CHAIN, "switch": 0.5}).source()
    assert eval(whole, vars(schedules)).first == CHAIN.build()
    assert "\n    first=SequentialSchedule(\n        first=RiseSchedule(),\n" in whole


def test_a_target_with_a_dot_is_a_method_of_what_is_given():
    assert Call(".joinpath").build(Path("a"), "b") == Path("a/b")
    assert Call(".joinpath").source("folder", '"b"') == 'folder.joinpath("b")'


def test_definitions_of_our_own_are_told():
    assert {name for _, name in CHAIN.ours} == {"SequentialSchedule", "RiseSchedule", "CosineSchedule"}
    assert {module for module, _ in CHAIN.ours} == {"hpo.training.words.schedules"}
    assert not list(Call("torch.optim.SGD", {"lr": 0.1}).ours)
    assert Call("torch.nn.Linear", {"in_features": 1, "out_features": 2}).build().weight.shape == (2, 1)
