"""The words of schedules: what a configuration may call them, and the calls that make them."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Final

from hpo.config import Config, Value
from hpo.training.words.calls import Call, Name
from hpo.training.words.schedules import (
    ConstantSchedule,
    CosineRestartsSchedule,
    CosineSchedule,
    ExponentialSchedule,
    InverseSqrtSchedule,
    LinearSchedule,
    MultiStepSchedule,
    OneCycleSchedule,
    OwnSchedule,
    PlateauSchedule,
    PolynomialSchedule,
    RiseSchedule,
    Schedule,
    SequentialSchedule,
    StableDecaySchedule,
    StepSchedule,
)
from hpo.vocabulary import Hyperparameter, Word, position_of, repeated


@dataclass(frozen=True)
class ScheduleWord(Word):
    """A word and the class that it stands for."""

    target: type[Schedule] = ConstantSchedule

    def call(self, hyperparameters: Mapping[str, Value]) -> Call:
        """Return the call that these hyperparameters amount to; those left out keep their defaults."""
        defaults = {item.name: item.default for item in self.hyperparameters}
        return _call(self.target, defaults | dict(hyperparameters))


def _call(target: type[Schedule], arguments: Mapping[str, object]) -> Call:
    return Call(f"{target.__module__}.{target.__qualname__}", arguments)


def _share(name: str, default: float, doc: str) -> Hyperparameter:
    return Hyperparameter(name, float, default, doc, low=0, high=1, open_low=True)


def _end_factor(default: float, *, open_low: bool = False) -> Hyperparameter:
    doc = "what is left of the learning rate at the end"
    return Hyperparameter("end_factor", float, default, doc, low=0, high=1, open_low=open_low)


_DECAY_SIZE: Final = _share("decay_size", 1.0, "share of the run that goes down; then it stays")
_GAMMA: Final = _share("gamma", 0.1, "what is left after a drop")

_WORDS: Final = (
    ScheduleWord("constant", "Always the same learning rate", target=ConstantSchedule),
    ScheduleWord(
        "step",
        "A sudden drop at regular intervals",
        (_share("step_size", 0.3, "share of the run between drops"), _GAMMA),
        target=StepSchedule,
    ),
    ScheduleWord(
        "exponential",
        "The same share less at each step",
        (_end_factor(0.01, open_low=True),),
        target=ExponentialSchedule,
    ),
    ScheduleWord(
        "cosine",
        "Half a cosine wave, slow at both ends",
        (_end_factor(0.0),),
        reference="Loshchilov and Hutter 2016, arXiv:1608.03983",
        target=CosineSchedule,
    ),
    ScheduleWord(
        "multi_step",
        "Two sudden drops where you want them",
        (
            _share("milestone_1", 0.5, "share of the run before one drop"),
            _share("milestone_2", 0.75, "share of the run before another drop"),
            _GAMMA,
        ),
        reference="He et al. 2015, arXiv:1512.03385",
        target=MultiStepSchedule,
    ),
    ScheduleWord(
        "cosine_restarts",
        "Half a cosine wave again and again (SGDR)",
        (
            _share("cycle_size", 0.25, "share of the run that the first wave takes"),
            Hyperparameter("growth", int, 1, "how many times longer each wave is than the last", low=1),
            _end_factor(0.0),
        ),
        reference="Loshchilov and Hutter 2016, arXiv:1608.03983",
        target=CosineRestartsSchedule,
    ),
    ScheduleWord("linear", "A straight line down", (_end_factor(0.0), _DECAY_SIZE), target=LinearSchedule),
    ScheduleWord(
        "polynomial",
        "A power of the share that is left of the run",
        (
            Hyperparameter("power", float, 2.0, "1 is a straight line, more is steeper at first", 0, 10),
            _end_factor(0.0),
            _DECAY_SIZE,
        ),
        reference="Chen et al. 2016, arXiv:1606.00915",
        target=PolynomialSchedule,
    ),
    ScheduleWord(
        "inverse_sqrt",
        "One over the root of the steps, the Transformer's after a warm-up",
        (_share("timescale", 0.1, "share of the run until a factor 1/sqrt(2)"),),
        reference="Vaswani et al. 2017, arXiv:1706.03762, section 5.3",
        target=InverseSqrtSchedule,
    ),
    ScheduleWord(
        "one_cycle",
        "Up and down along two half cosine waves; the momentum stays as it is",
        (
            _share("pct_start", 0.3, "share of the run that goes up"),
            Hyperparameter("div_factor", float, 25.0, "it starts at one over this", low=1),
            Hyperparameter("final_div_factor", float, 1e4, "it ends at its start over this", low=1),
        ),
        reference="Smith and Topin 2017, arXiv:1708.07120",
        target=OneCycleSchedule,
    ),
    ScheduleWord(
        "wsd",
        "Warm-up (the value warmup), stable, then a straight line down",
        (_share("decay_size", 0.2, "share of the run that goes down"), _end_factor(0.0)),
        reference="Hu et al. 2024, arXiv:2404.06395; Hägele et al. 2024, arXiv:2405.18392",
        target=StableDecaySchedule,
    ),
    ScheduleWord(
        "plateau",
        "A sudden drop when the validation score no longer improves",
        (
            _GAMMA,
            Hyperparameter("patience", int, 2, "epochs without improvement that are borne", low=0),
            Hyperparameter("threshold", float, 1e-4, "least share that counts as improvement", 0, 1),
        ),
        target=PlateauSchedule,
    ),
)

SCHEDULES: Final[Mapping[str, ScheduleWord]] = {word.name: word for word in _WORDS}

SAME: Final = "same"
THEN: Final = "then"

_TURN: Final = (
    _share("switch", 0.5, "share of the run, after warm-up or the last switch, before it takes over"),
    _share(
        "start_factor", 1.0, "by what it and all after it are multiplied; 1 starts again at the full rate"
    ),
)

TAKEN: Final = {item.name: "when a schedule takes over from another, and at what rate" for item in _TURN} | {
    "follow": "which schedule it is"
}
"""What arguments of a recipe's own schedule may not be called, since these say something else."""


def as_sequel(word: Word) -> Word:
    """Return a schedule as what comes after another: it also says when."""
    return replace(word, hyperparameters=(*_TURN, *word.hyperparameters))


SEQUELS: Final[Mapping[str, Word]] = {
    SAME: Word(SAME, "The schedule goes on to the end"),
    **{name: as_sequel(word) for name, word in SCHEDULES.items()},
}
"""What may come after a schedule (`then: step`): every schedule, and when it takes over."""


def schedule_call(config: Config, recipe: str = "") -> Call:
    """Return the call that makes the schedule of a complete configuration: warm-up, `schedule`, `then`.

    What is none of these schedules is defined in the module `recipe`.
    """
    schedule = _from(config, "schedule", 1, recipe)
    if config["warmup"]:
        parts = {"first": _call(RiseSchedule, {}), "second": schedule, "switch": config["warmup"]}
        schedule = _call(SequentialSchedule, parts)
    return schedule


def _from(config: Config, head: str, position: int, recipe: str) -> Call:
    """Return the call for the schedule at `head` and those that follow it, the next of them at `position`."""
    turn = {item.name for item in _TURN}
    hyperparameters = {name: value for name, value in config.below(head).items() if name not in turn}
    first = _single(str(config[head]), hyperparameters, recipe)
    last = max(position_of(key, THEN) for key in config)
    heads = {at: repeated(THEN, at) for at in range(position, last + 1)}
    following = next((at for at, name in heads.items() if config[name] != SAME), None)
    if following is None:
        return first
    second = _from(config, heads[following], following + 1, recipe)
    times = {name: value for name, value in config.below(heads[following]).items() if name in turn}
    return _call(SequentialSchedule, {"first": first, "second": second, **times})


def _single(name: str, hyperparameters: Mapping[str, Value], recipe: str) -> Call:
    if name in SCHEDULES:
        return SCHEDULES[name].call(hyperparameters)
    return _call(OwnSchedule, {"follow": Name(f"{recipe}.{name}"), **hyperparameters})
