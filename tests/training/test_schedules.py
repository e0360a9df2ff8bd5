import math

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from torch.optim import lr_scheduler as torchs

from hpo.config import Config
from hpo.training.words import VOCABULARY, schedules
from hpo.training.words.decay import left_to_fall
from hpo.training.words.schedule_words import SAME, SCHEDULES, SEQUELS, schedule_call
from hpo.training.words.schedules import RiseSchedule

STEPS = 40
PEAK = 0.3 * STEPS - 1


def one_cycle(step):
    if step <= PEAK:
        return 0.1 + 0.9 * (1 - math.cos(math.pi * step / PEAK)) / 2
    return 0.001 + 0.999 * (1 + math.cos(math.pi * (step - PEAK) / (STEPS - 1 - PEAK))) / 2


ROWS = {
    "constant": ({}, lambda step: 1.0, lambda opt: torchs.ConstantLR(opt, 1.0)),
    "step": (
        {"step_size": 0.25, "gamma": 0.5},
        lambda step: 0.5 ** (step // 10),
        lambda opt: torchs.StepLR(opt, step_size=10, gamma=0.5),
    ),
    "exponential": (
        {"end_factor": 0.01},
        lambda step: math.exp(math.log(0.01) * step / STEPS),
        lambda opt: torchs.ExponentialLR(opt, gamma=0.01 ** (1 / STEPS)),
    ),
    "cosine": (
        {"end_factor": 0.1},
        lambda step: 0.55 + 0.45 * math.cos(math.pi * step / STEPS),
        lambda opt: torchs.CosineAnnealingLR(opt, T_max=STEPS, eta_min=0.1),
    ),
    "multi_step": (
        {"milestone_1": 0.75, "milestone_2": 0.5, "gamma": 0.2},
        lambda step: 1.0 if step < 20 else 0.2 if step < 30 else 0.04,
        lambda opt: torchs.MultiStepLR(opt, milestones=[20, 30], gamma=0.2),
    ),
    "cosine_restarts": (
        {"cycle_size": 0.1, "growth": 2, "end_factor": 0.1},
        lambda step: next(
            0.55 + 0.45 * math.cos(math.pi * (step - start) / size)
            for start, size in [(28, 32), (12, 16), (4, 8), (0, 4)]
            if step >= start
        ),
        lambda opt: torchs.CosineAnnealingWarmRestarts(opt, T_0=4, T_mult=2, eta_min=0.1),
    ),
    "linear": (
        {"end_factor": 0.2, "decay_size": 0.75},
        lambda step: 1 - 0.8 * min(step, 30) / 30,
        lambda opt: torchs.LinearLR(opt, 1.0, 0.2, total_iters=30),
    ),
    "polynomial": (
        {"power": 2.5, "end_factor": 0.0, "decay_size": 0.5},
        lambda step: (1 - min(step, 20) / 20) ** 2.5,
        lambda opt: torchs.PolynomialLR(opt, total_iters=20, power=2.5),
    ),
    "inverse_sqrt": (
        {"timescale": 0.1},
        lambda step: 2 / math.sqrt(4 + step),
        lambda opt: torchs.LambdaLR(opt, lambda step: 2 / math.sqrt(4 + step)),
    ),
    "one_cycle": (
        {"pct_start": 0.3, "div_factor": 10, "final_div_factor": 100},
        one_cycle,
        lambda opt: torchs.OneCycleLR(
            opt, 1.0, STEPS, pct_start=0.3, div_factor=10, final_div_factor=100, cycle_momentum=False
        ),
    ),
    "wsd": (
        {"decay_size": 0.25, "end_factor": 0.1},
        lambda step: 1 - 0.9 * max(0, step - 30) / 10,
        lambda opt: torchs.SequentialLR(
            opt, [torchs.ConstantLR(opt, 1.0), torchs.LinearLR(opt, 1.0, 0.1, total_iters=10)], [30]
        ),
    ),
    "plateau": (
        {"gamma": 0.5, "patience": 2, "threshold": 0.01},
        lambda step: 1.0,
        lambda opt: torchs.ConstantLR(opt, 1.0),
    ),
}

quiet_about_order = pytest.mark.filterwarnings("ignore:.*scheduler.step:UserWarning")


def build(**values):
    """Build the schedule of a configuration of which only some values are given."""
    given = {name.replace("__", "."): value for name, value in values.items()}
    config = VOCABULARY.defaults(Config(given))
    assert VOCABULARY.check(config, "") == []
    return schedule_call(config).build()


def factors(schedule, steps=STEPS):
    return [schedule.factor(step, steps) for step in range(steps)]


def word(name, hyperparameters=None):
    return factors(
        SCHEDULES[name].call(ROWS[name][0] if hyperparameters is None else hyperparameters).build()
    )


def rates_of_torch(make_scheduler, steps=STEPS):
    """Return the learning rates that a torch scheduler sets, from 1."""
    optimizer = torch.optim.SGD([torch.nn.Parameter(torch.zeros(1))], lr=1.0)
    scheduler = make_scheduler(optimizer)
    found = []
    for _ in range(steps):
        found.append(optimizer.param_groups[0]["lr"])
        optimizer.step()
        scheduler.step()
    return found


def test_every_word_has_a_row():
    assert ROWS.keys() == SCHEDULES.keys() == SEQUELS.keys() - {SAME}


@pytest.mark.parametrize("name", SCHEDULES)
def test_factors_follow_the_formula(name):
    hyperparameters, formula, _ = ROWS[name]
    assert hyperparameters.keys() == set(SCHEDULES[name].names)
    assert word(name) == pytest.approx([formula(step) for step in range(STEPS)])


@pytest.mark.parametrize("name", SCHEDULES)
@quiet_about_order
def test_factors_are_those_of_torch(name):
    assert word(name) == pytest.approx(rates_of_torch(ROWS[name][2]))


@quiet_about_order
@pytest.mark.parametrize("sign", [1, -1], ids=["minimize", "maximize"])
def test_plateaus_are_those_of_torch(sign):
    scores = [1.0, 0.8, 0.795, 0.793, 0.79, 0.7, 0.71, 0.72, 0.73, 0.74, 0.75, 0.76, 0.5]
    scores = [score if sign > 0 else 1 - score for score in scores]
    ours = build(schedule="plateau", schedule__gamma=0.5, schedule__threshold=0.01)
    optimizer = torch.optim.SGD([torch.nn.Parameter(torch.zeros(1))], lr=1.0)
    mode = "min" if sign > 0 else "max"
    theirs = torchs.ReduceLROnPlateau(optimizer, mode, factor=0.5, patience=2, threshold=0.01)
    for step, score in enumerate(scores):
        ours.hear(sign * score, step, STEPS)
        theirs.step(score)
        assert ours.factor(step, STEPS) == optimizer.param_groups[0]["lr"]
    assert ours.factor(STEPS, STEPS) < 1


def test_only_a_plateau_minds_what_it_hears():
    for name in SCHEDULES.keys() - {"plateau"}:
        told, untold = (build(schedule=name) for _ in range(2))
        for _ in range(20):
            told.hear(1.0, 0, STEPS)
        assert factors(told) == factors(untold)


def test_the_rise_is_that_of_torch():
    found = factors(build(warmup=0.5), 20)
    expected = rates_of_torch(lambda opt: torchs.LinearLR(opt, start_factor=1 / 11, total_iters=10), steps=20)
    assert found == pytest.approx(expected)


@pytest.mark.parametrize("name", SCHEDULES)
def test_any_schedule_covers_what_the_rise_leaves(name):
    found = factors(build(schedule=name, warmup=0.25), 20)
    assert found[:5] == factors(RiseSchedule(), 5)
    assert found[5:] == factors(build(schedule=name), 15)


def test_after_a_rise_the_inverse_root_is_the_transformers():
    rise, steps = 10, 100
    timescale = rise / (steps - rise)
    found = factors(build(schedule="inverse_sqrt", schedule__timescale=timescale, warmup=0.1), steps)
    formula = [min(step**-0.5, step * (rise + 1) ** -1.5) for step in range(1, steps + 1)]
    assert found[:11] == pytest.approx([value / max(formula) for value in formula[:11]])
    assert found[rise:] == pytest.approx([math.sqrt(rise / (rise + step)) for step in range(steps - rise)])


@quiet_about_order
def test_one_schedule_after_another_is_that_of_torch():
    values = {"then": "step", "then__step_size": 0.3, "then__gamma": 0.5, "then__switch": 0.75}
    found = factors(build(schedule="cosine", **values))
    expected = rates_of_torch(
        lambda opt: torchs.SequentialLR(
            opt, [torchs.CosineAnnealingLR(opt, T_max=30), torchs.StepLR(opt, 3, 0.5)], [30]
        )
    )
    assert found == pytest.approx(expected)


@pytest.mark.parametrize("name", SCHEDULES)
def test_any_schedule_can_follow_at_a_share_of_the_rate(name):
    values = {"then": name, "then__switch": 0.5, "then__start_factor": 0.1}
    found = factors(build(schedule="linear", warmup=0.2, **values), 50)
    assert found[:10] == factors(RiseSchedule(), 10)
    assert found[10:30] == factors(build(schedule="linear"), 20)
    assert found[30:] == [0.1 * factor for factor in factors(build(schedule=name), 20)]


def test_a_sequence_may_be_of_any_length():
    values = {
        "schedule": "linear",
        "then": "cosine",
        "then_2": "same",
        "then_3": "step",
        "then_4": "exponential",
    }
    times = {"then__switch": 0.25, "then_3__start_factor": 0.5, "then_4__start_factor": 0.1}
    found = factors(build(**values, **times, warmup=0.2), 100)
    assert found[:20] == factors(RiseSchedule(), 20)
    assert found[20:40] == factors(build(schedule="linear"), 20)
    assert found[40:70] == factors(build(schedule="cosine"), 30)
    assert found[70:85] == [0.5 * it for it in factors(build(schedule="step"), 15)]
    assert found[85:] == pytest.approx([0.05 * it for it in factors(build(schedule="exponential"), 15)])


def test_a_plateau_in_the_middle_of_a_sequence_hears_only_its_turn():
    schedule = build(
        schedule="constant", then="plateau", then__patience=0, then_2="constant", then_2__switch=0.8
    )
    found = []
    for step in range(10):
        found.append(schedule.factor(step, 10))
        schedule.hear(1.0, step + 1, 10)
    assert found == pytest.approx([1, 1, 1, 1, 1, 1, 1, 0.1, 0.01, 1])


def test_a_plateau_hears_only_what_happens_in_its_turn():
    schedule = build(schedule="plateau", schedule__patience=0, warmup=0.5, then="constant", then__switch=0.4)
    found = []
    for step in range(10):
        found.append(schedule.factor(step, 10))
        schedule.hear(1.0, step + 1, 10)
    assert found == pytest.approx([1 / 6, 2 / 6, 3 / 6, 4 / 6, 5 / 6, 1.0, 1.0, 1.0, 1.0, 1.0])


FALLING = {
    "constant": {},
    "step": {"step_size": 0.01, "gamma": 0.1},
    "exponential": {"end_factor": 1e-3},
    "cosine": {"end_factor": 0.0},
    "multi_step": {"milestone_1": 0.3, "milestone_2": 0.9, "gamma": 0.1},
    "linear": {"end_factor": 0.0},
    "polynomial": {"power": 2.0, "end_factor": 0.0},
    "inverse_sqrt": {"timescale": 0.01},
    "wsd": {"decay_size": 0.2, "end_factor": 0.0},
    "plateau": {},
}


@given(steps=st.integers(1, 300), warmup=st.floats(0, 0.5), name=st.sampled_from(sorted(FALLING)))
def test_rates_rise_once_to_the_full_rate_and_then_never_again(steps, warmup, name):
    values = {f"schedule__{key}": value for key, value in FALLING[name].items()}
    found = factors(build(schedule=name, warmup=warmup, **values), steps)
    top = found.index(max(found))
    assert len(found) == steps
    assert found[top] == 1.0
    assert min(found) > 0
    assert found[: top + 1] == sorted(found[: top + 1])
    assert found[top:] == sorted(found[top:], reverse=True)


@given(
    steps=st.integers(1, 300), name=st.sampled_from(sorted(SCHEDULES)), then=st.sampled_from(sorted(SEQUELS))
)
def test_factors_are_positive_and_at_most_one_in_runs_of_any_length(steps, name, then):
    found = factors(build(schedule=name, then=then), steps)
    assert all(0 < factor <= 1 for factor in found)


@given(data=st.data(), name=st.sampled_from(sorted(SCHEDULES)), then=st.sampled_from(sorted(SEQUELS)))
def test_what_is_printed_is_what_is_built(data, name, then):
    warmup = data.draw(st.floats(0, 0.5))
    config = VOCABULARY.defaults(Config({"schedule": name, "then": then, "warmup": warmup}))
    call = schedule_call(config)
    assert eval(call.source(), vars(schedules)) == call.build()


@pytest.mark.parametrize(
    ("schedule", "epoch", "left"),
    [
        ({"schedule": "constant"}, 1, 0.0),
        ({"schedule": "cosine"}, 10, 0.5),
        ({"schedule": "cosine", "schedule.end_factor": 0.5}, 10, 0.25),
        ({"schedule": "linear", "schedule.decay_size": 0.5}, 5, 0.5),
        ({"schedule": "linear", "schedule.decay_size": 0.5}, 10, 0.0),
        ({"schedule": "wsd", "schedule.decay_size": 0.1}, 18, 1.0),
        ({"schedule": "step", "schedule.step_size": 0.5, "schedule.gamma": 0.1}, 9, 0.9),
        ({"schedule": "step", "schedule.step_size": 0.5, "schedule.gamma": 0.1}, 10, 0.0),
        ({"schedule": "one_cycle"}, 2, 1.0),  # it rises yet
        ({"schedule": "cosine", "warmup": 0.5}, 5, 1.0),
        ({"schedule": "constant", "then": "linear"}, 10, 1.0),
        ({"schedule": "plateau"}, 2, 0.0),  # nobody knows yet
    ],
)
def test_how_far_a_rate_is_still_to_fall(schedule, epoch, left):
    assert left_to_fall(VOCABULARY.defaults(Config(schedule)), epoch, 20) == pytest.approx(left, abs=0.07)


def test_how_far_a_recipes_own_schedule_falls_is_not_known():
    config = VOCABULARY.defaults(Config({"schedule": "cosine"})) | {"schedule": "zigzag"}
    assert left_to_fall(config, 2, 20) == 0.0
