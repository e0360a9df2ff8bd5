"""The fused engine is held to the plain one: the same curves, whatever trains side by side."""

import itertools
import random
import time
import weakref
from dataclasses import replace
from functools import partial

import pytest
import torch
from torch.utils.data import TensorDataset

from hpo import recipe, shipped
from hpo.config import Config
from hpo.training import fused, plain
from hpo.training.beginning import start_model
from hpo.training.engine import Member, Task
from hpo.training.execution import execute
from hpo.training.fused import engine, grouping, probe
from hpo.training.fused.rules import RULES
from hpo.training.loop.batches import load
from hpo.training.words import VOCABULARY, vocabulary_of
from hpo.training.words.schedule_words import SCHEDULES
from hpo.trial import Divergence, Point

stacked = partial(fused.train, least=1)

FIELDS = ("score", "loss", "train_loss", "lr", "grad_norm", "clipped_norm", "clipped_share")
MOMENTS = ("grad_mean", "grad_std")


@pytest.fixture
def double():
    torch.set_default_dtype(torch.float64)
    yield
    torch.set_default_dtype(torch.float32)


def small(name, batches=2, batch=8, epochs=2):
    """Return a shipped recipe's task on little data, in the default type, and its complete baseline."""
    path = shipped.available("recipes", ".py")[name]
    read = recipe.read(path.read_text(), str(path))
    module = execute(read.source, read.path)
    size, kind = batches * batch - 3, torch.get_default_dtype()
    splits = {
        key: TensorDataset(
            *(
                tensor[:size].to(torch.promote_types(tensor.dtype, kind))
                if tensor.is_floating_point()
                else tensor[:size]
                for tensor in split.tensors
            )
        )
        for key, split in module.data().items()
    }
    baseline = VOCABULARY.with_options(read.options).defaults(Config(read.baseline | {"batch_size": batch}))
    return Task(module, splits, read.objective, epochs, 0), baseline


def varied(baseline, count, seed=0, **values):
    """Return members that differ in what a search changes."""
    chance = random.Random(seed)
    common = {
        name: it for name, it in baseline.items() if name.partition(".")[0] not in ("optimizer", "schedule")
    }
    members = []
    for number in range(count):
        drawn = {
            "optimizer": chance.choice(["sgd", "adamw", "adam", "rmsprop"]),
            "optimizer.lr": 10 ** chance.uniform(-4, -2),
            "optimizer.weight_decay": 10 ** chance.uniform(-4, -1),
            "schedule": chance.choice(["cosine", "constant", "step", "plateau", "one_cycle"]),
            "warmup": chance.choice([0.0, 0.25]),
            "clip_norm": chance.choice([None, 0.1, 1.0]),
            "weight_decay_on": chance.choice(["all", "matrices"]),
            "l1": chance.choice([0.0, 1e-3]),
            "ema": chance.choice([None, 0.5]),
        }
        given = common | drawn | {key.replace("__", "."): it for key, it in values.items()}
        members.append(Member(number, VOCABULARY.defaults(Config(given))))
    return members


def without_options(config):
    """Return what a configuration says beside the options of a recipe's model and loss."""
    return {name: it for name, it in config.items() if not name.startswith(("model.", "loss."))}


def curves(progress):
    found = {}
    for results in progress:
        for result in results:
            found.setdefault(result.trial, []).append(result)
    return found


def held_to_plain(task, members, rel, train=stacked):
    """Assert that both engines say the same, and that the stack did the work."""
    assert reasons(task, members, least=1) == {""}
    wanted, found = curves(plain.train(task, members)), curves(train(task, members))
    assert found.keys() == wanted.keys()
    for number, points in wanted.items():
        for one, other in zip(found[number], points, strict=True):
            assert type(one) is type(other)
            names = FIELDS if isinstance(other, Point) else ("epoch", "step", "loss", "grad_norm")
            for name in names:
                value = getattr(other, name)
                assert getattr(one, name) == pytest.approx(value, rel=rel, abs=rel / 1000, nan_ok=True), name
            if isinstance(other, Point):
                assert one.metrics == pytest.approx(other.metrics, rel=rel)
                for name in MOMENTS:
                    assert getattr(one, name) == pytest.approx(getattr(other, name), rel=100 * rel, abs=rel)


def reasons(task, members, least=2):
    return {group.reason for group in split(task, members, least)}


def split(task, members, least=2):
    def first(member):
        return next(iter(load(task.splits["train"], member.batch_size)))

    return grouping.split(task, members, start_model, first, least)


RECIPES = [
    ("linear", {}),
    ("mlp", {"model__dropout": 0.3}),
    ("cnn", {}),
    ("rnn", {}),
    ("rnn", {"model__cell": "gru", "model__depth": 2}),
    ("rnn", {"model__cell": "rnn"}),
    ("transformer", {"model__dropout": 0.1}),
]


@pytest.mark.usefixtures("double")
@pytest.mark.parametrize("count", [1, 3, 16])
@pytest.mark.parametrize(("name", "values"), RECIPES, ids=str)
def test_every_recipe_s_curves_are_the_plain_ones(name, values, count):
    task, baseline = small(name)
    held_to_plain(task, varied(baseline, count, **values), rel=1e-9)


@pytest.mark.parametrize(("name", "values"), RECIPES, ids=str)
def test_in_single_precision_they_are_near(name, values):
    task, baseline = small(name, epochs=1)
    held_to_plain(task, varied(baseline, 3, **values), rel=1e-4)


@pytest.mark.usefixtures("double")
@pytest.mark.parametrize("count", [1, 3, 16])
@pytest.mark.parametrize("optimizer", RULES)
def test_every_optimizer_s_curves_are_the_plain_ones(optimizer, count):
    """Without a bias before batch normalization: its gradient is 0 but for rounding, which Adam scales up."""
    task, baseline = small("mlp", batch=16)
    common = {name: it for name, it in baseline.items() if name.partition(".")[0] != "optimizer"}
    chance = random.Random(1)
    members = [
        Member(
            number,
            VOCABULARY.defaults(
                Config(
                    common
                    | {
                        "optimizer": optimizer,
                        "optimizer.lr": 10 ** chance.uniform(-3, -1.5),
                        "weight_decay_on": chance.choice(["all", "matrices"]),
                        "clip_norm": chance.choice([None, 0.5]),
                    }
                )
            ),
        )
        for number in range(count)
    ]
    held_to_plain(task, members, rel=1e-9)


@pytest.mark.usefixtures("double")
def test_every_schedule_and_limit_fits_into_one_cohort(make_task, make_member):
    task = in_double(make_task(epochs=6))
    limits = [{}, {"clip_norm": 0.2}, {"clip_value": 0.01}]
    members = [
        make_member(number, schedule=schedule, batch_size=16, optimizer__lr=0.1, **limits[number % 3])
        for number, schedule in enumerate(SCHEDULES)
    ]
    held_to_plain(task, members, rel=1e-9)


def in_double(task):
    splits = {
        key: TensorDataset(*(it.double() if it.is_floating_point() else it for it in split.tensors))
        for key, split in task.splits.items()
    }
    return replace(task, splits=splits)


@pytest.mark.usefixtures("double")
def test_trials_with_different_dropout_share_a_stack_and_meet_their_own_chance(make_task, make_member):
    members = [
        make_member(number, model__dropout=rate, batch_size=16)
        for number, rate in enumerate((0.0, 0.5, 0.2, 0.5))
    ]
    held_to_plain(in_double(make_task()), members, rel=1e-9)


@pytest.mark.usefixtures("double")
@pytest.mark.parametrize("optimizer", ["sgd", "adamw", "muon"])
def test_those_that_start_from_a_checkpoint_share_a_stack_and_learn_at_their_own_rates(
    own, make_task, optimizer
):
    rates = {"optimizer.adamw_lr": 0.02} if optimizer == "muon" else {}
    common = {"optimizer": optimizer, "optimizer.lr": 0.02, "batch_size": 16, **rates}
    starts = [{}, {"start": "elsewhere"}, {"start": "elsewhere", "body_lr": 0.1}, {"body_lr": 0.1}]
    starts.append({"start": "elsewhere", "body_lr": 0.5, "weight_decay_on": "matrices", "l1": 1e-3})
    vocabulary = vocabulary_of(own)
    members = [
        Member(number, vocabulary.defaults(Config(common | given))) for number, given in enumerate(starts)
    ]
    task = in_double(make_task(own.source))
    held_to_plain(task, members, rel=1e-9)
    [group] = split(task, members)
    assert group.filled == [name for name in group.models[0].state_dict() if not name.startswith("4.")]
    told = [points[0].notes.get("start", "")[:5] for points in curves(stacked(task, members)).values()]
    assert told == ["", "7 of ", "7 of ", "", "7 of "]


@pytest.mark.usefixtures("double")
def test_frozen_in_the_same_part_they_share_a_stack(own, make_task):
    """A frozen normalization keeps its statistics, also one that has no parameters by which to tell it."""
    source = own.source.replace("BatchNorm1d(width)", "BatchNorm1d(width, affine=False)")
    task, vocabulary = in_double(make_task(source)), vocabulary_of(own)
    parts = ["[01].*", "[01].*", "0.*", "0.*"]
    members = [
        Member(number, vocabulary.defaults(Config({"freeze": part, "batch_size": 16, "start": "elsewhere"})))
        for number, part in enumerate(parts)
    ]
    held_to_plain(task, members, rel=1e-9)
    assert [len(group.members) for group in split(task, members)] == [2, 2]


@pytest.mark.usefixtures("double")
def test_accumulated_and_smoothed_they_are_the_plain_ones(make_task, make_member):
    members = [
        make_member(number, batch_size=32, accumulate=3, loss__label_smoothing=value)
        for number, value in enumerate((0.0, 0.2, 0.0, 0.1))
    ]
    held_to_plain(in_double(make_task()), members, rel=1e-9)


@pytest.mark.usefixtures("double")
def test_those_who_go_on_are_untouched_by_those_who_leave(make_task, make_member):
    """Pruned and diverged members leave, in whatever order, and momentum, averages and plateaus stay."""
    task = in_double(make_task(epochs=5))
    optimizers = ["sgd", "adam", "sgd", "adamw", "rmsprop"]
    members = [
        make_member(
            number,
            optimizer=name,
            batch_size=16,
            schedule="plateau",
            schedule__patience=0,
            ema=0.9,
            optimizer__lr=0.02,
        )
        for number, name in enumerate(optimizers)
    ]
    members.append(make_member(5, optimizer="sgd", optimizer__lr=1e9, batch_size=16))
    whole = curves(plain.train(task, members))
    progress = stacked(task, members)
    reports = next(progress)
    seen = {}
    stay = {2: {0, 1, 3, 4}, 3: {1, 3, 4}, 4: {1, 3}, 5: {3}}
    for epoch in range(2, 6):
        for report in reports:
            seen.setdefault(report.trial, []).append(report)
        reports = progress.send(stay[epoch])
    seen[3] += reports
    assert isinstance(seen[5][-1], Divergence)
    assert {number: len(points) for number, points in seen.items()} == {0: 2, 1: 4, 2: 1, 3: 5, 4: 3, 5: 1}
    for number in range(5):
        for one, other in zip(seen[number], whole[number], strict=False):
            assert one.score == pytest.approx(other.score, rel=1e-9)


def test_data_are_moved_to_the_device_once_for_all_who_train_beside_each_other(
    make_task, make_member, monkeypatch
):
    moved = []

    class Split(TensorDataset):
        """One that is not there yet."""

    def place(split, _device):
        if not isinstance(split, Split):
            return split
        moved.append(split)
        return TensorDataset(*split.tensors)

    for module in (engine, plain):
        monkeypatch.setattr(module, "place", place)
    task = make_task()
    splits = {name: Split(*split.tensors) for name, split in task.splits.items()}
    alone = [make_member(number, optimizer="lbfgs", batch_size="full") for number in range(3)]
    together = [make_member(number) for number in range(3, 5)]
    next(fused.train(replace(task, splits=splits), [*alone, *together]))
    assert moved == [splits["train"], splits["validation"]]


@pytest.mark.parametrize("error", [torch.OutOfMemoryError("CUDA out of memory"), MemoryError()])
def test_a_lack_of_memory_is_no_reason_to_train_alone(make_task, make_member, monkeypatch, error):
    """Whoever asked halves the cohort; alone, a trial would begin anew, and all lie in memory as before."""

    def full(_models):
        raise error

    monkeypatch.setattr(grouping, "Stack", full)
    with pytest.raises(type(error)):
        next(fused.train(make_task(), [make_member(number) for number in range(4)]))


def test_once_they_are_stacked_single_models_are_gone(make_task, make_member, monkeypatch):
    task, made = make_task(), []
    make = task.recipe.model

    def noted(**values):
        model = make(**values)
        made.append(weakref.ref(model))
        return model

    monkeypatch.setattr(task.recipe, "model", noted)
    progress = stacked(task, [make_member(number) for number in range(3)])
    next(progress)
    assert [model() for model in made] == [None] * 3


def test_a_trial_s_curve_does_not_depend_on_how_many_train_beside_it(make_task, make_member):
    members = [make_member(number, optimizer__lr=0.01 * (number + 1), batch_size=16) for number in range(16)]
    together = curves(stacked(make_task(), members))
    for count in (1, 3):
        alone = curves(stacked(make_task(), members[:count]))
        for number in range(count):
            assert [it.loss for it in alone[number]] == pytest.approx(
                [it.loss for it in together[number]], rel=1e-5
            )


class TestGrouping:
    """Who shares a stack, and why others do not."""

    def split(self, task, members, least=2):
        groups = split(task, members, least)
        return [({member.number for member in group.members}, group.reason) for group in groups]

    def test_what_only_differs_in_numbers_shares_a_stack(self, make_task, make_member):
        members = [
            make_member(0, optimizer="sgd", schedule="step", batch_size=16),
            make_member(1, optimizer="muon", clip_norm=1.0, batch_size=16, init="orthogonal"),
            make_member(2, model__dropout=0.7, loss__label_smoothing=0.1, batch_size=16),
        ]
        assert self.split(make_task(), members) == [({0, 1, 2}, "")]

    def test_width_batch_size_and_accumulation_part_them(self, make_task, make_member):
        values = [{}, {"model__width": 4}, {"batch_size": 32}, {"accumulate": 2}]
        members = [make_member(number, **({"batch_size": 16} | value)) for number, value in enumerate(values)]
        members += [replace(member, number=member.number + 4) for member in members]
        split = self.split(make_task(), members)
        assert sorted(map(sorted, (numbers for numbers, _ in split))) == [[0, 4], [1, 5], [2, 6], [3, 7]]
        assert {reason for _, reason in split} == {""}

    @pytest.mark.parametrize(
        ("kept", "said"),
        [
            ("self._slope = slope", "self._slope * x"),
            ("self.slopes = [torch.full((2,), slope)]", "self.slopes[0][0] * x"),
            ("self.register_forward_hook(lambda _layer, _inputs, found: slope * found)", "x"),
        ],
        ids=["a private attribute", "a list of tensors", "a hook"],
    )
    def test_what_a_layer_keeps_beside_its_tensors_parts_them(self, make_task, make_member, kept, said):
        source = f"""
import torch
from torch import nn

class Tilted(nn.Module):
    def __init__(self, slope):
        super().__init__()
        {kept}

    def forward(self, x):
        return {said}

def model(slope: float = 1.0):
    return nn.Sequential(nn.Linear(5, 3), Tilted(slope))

def loss(outputs, targets):
    return nn.functional.cross_entropy(outputs, targets)
"""
        task = make_task(source, splits=make_task().splits)
        bare = without_options(make_member().config)
        members = [
            Member(number, Config(bare | {"model.slope": slope, "batch_size": 16}))
            for number, slope in enumerate((1.0, 3.0))
        ]
        assert [numbers for numbers, _ in self.split(task, members, least=1)] == [{0}, {1}]
        held_to_plain(task, members, rel=1e-4)

    def test_random_numbers_beside_dropout_s_train_plainly(self, tiny, make_task, make_member):
        """Alone, both come from one stream; in a stack, dropout has streams of its own."""
        source = tiny.source.replace("nn.BatchNorm1d(width)", "Noise()")
        noise = "class Noise(nn.Module):\n    def forward(self, x):\n        return x + torch.randn_like(x)\n"
        task = make_task(source.replace("def model", f"{noise}\ndef model"))
        for dropout, reason in ((0.0, ""), (0.3, "The model draws random numbers beside those of dropout")):
            members = [make_member(number, model__dropout=dropout, batch_size=16) for number in range(2)]
            assert [said for _, said in self.split(task, members)] == [reason]
            if not reason:
                held_to_plain(task, members, rel=1e-4)

    def test_a_few_are_not_worth_a_stack(self, make_task, make_member):
        [(_, reason)] = self.split(make_task(), [make_member(0), make_member(1)], least=4)
        assert reason == "Its cohort has fewer than 4 trials with a like model and batch size"

    def test_what_has_no_rule_or_another_precision_trains_plainly(self, make_task, make_member):
        members = [make_member(0, optimizer="lbfgs", batch_size="full"), make_member(1, precision="bf16")]
        assert [reason for _, reason in self.split(make_task(), members)] == [
            "There is no fused rule for the optimizer lbfgs",
            "Precision bf16 trains plainly",
        ]

    @pytest.mark.parametrize(
        ("forward", "reason"),
        [
            ("return self.line(x) * float(self.line(x).detach().sum())", "item"),
            ("self.seen = self.seen + 1; return self.line(x)", "assigns a buffer anew"),
            ("return self.used(x)", "The loss does not depend on line."),
        ],
        ids=["looks at a number", "assigns a buffer", "leaves a layer out"],
    )
    def test_what_cannot_be_stacked_trains_plainly_and_says_why(
        self, make_task, make_member, forward, reason
    ):
        source = f"""
import torch
from torch import nn

class Odd(nn.Module):
    def __init__(self):
        super().__init__()
        self.line, self.used = nn.Linear(5, 3), nn.Linear(5, 3)
        self.register_buffer("seen", torch.zeros(()))

    def forward(self, x):
        {forward}

def model():
    return Odd()

def loss(outputs, targets):
    return nn.functional.cross_entropy(outputs, targets)
"""
        if "line" in forward:
            source = source.replace(
                "self.line, self.used = nn.Linear(5, 3), nn.Linear(5, 3)", "self.line = nn.Linear(5, 3)"
            )
        task = make_task(source, splits=make_task().splits)
        bare = without_options(make_member().config)
        members = [Member(number, Config(bare)) for number in range(2)]
        [(_, found)] = self.split(task, members)
        assert reason in found
        wanted = [[point.loss for point in points] for points in curves(plain.train(task, members)).values()]
        found = [[point.loss for point in points] for points in curves(fused.train(task, members)).values()]
        assert found == wanted

    def test_a_point_says_why_its_trial_trained_plainly(self, make_task, make_member):
        members = [make_member(0), make_member(1), make_member(2, precision="bf16")]
        for points in fused.train(make_task(), members):
            notes = [point.notes.get("alone", "") for point in points]
            assert notes == ["", "", "Precision bf16 trains plainly"]


class TestChoice:
    """How many trials to train at once."""

    def test_it_is_measured(self):
        task, baseline = small("mlp", batches=4, batch=32)
        choice = probe.choose(task, baseline, most=16)
        assert choice.size in {1, 2, 4, 8, 16}
        assert 2 <= choice.least <= max(choice.size, 2)
        assert choice.reason.startswith(f"{choice.size} at a time: ")
        assert "(2: " in choice.reason

    @pytest.mark.parametrize(
        ("most", "seconds", "chosen", "least"),
        [
            (64, {1: 1, 2: 4, 4: 3, 8: 4, 16: 5, 32: 8, 64: 20}, 32, 4),
            (16, {1: 1, 2: 4, 4: 6, 8: 7, 16: 9}, 16, 8),
            (64, {1: 1, 2: 1.6, 4: 3.1, 8: 10}, 2, 2),
            (64, {1: 1, 2: 1.6, 4: 2.6, 8: 9, 16: 20}, 4, 2),
            (16, {1: 1, 2: 1.8, 4: 3.3, 8: 6.2, 16: 11.6}, 1, 2),
            (64, {1: 1, 2: 2.2, 4: 7, 8: 14}, 1, 2),
            (64, {1: 1, 2: 1.2, 4: 2.3, 8: 4.6}, 2, 2),
            (16, {1: 1, 2: 3, 4: 5, 8: 11, 16: 8}, 16, 16),
        ],
        ids=[
            "more",
            "as far as there are trials",
            "no more for little",
            "some",
            "a bit faster",
            "never",
            "enough",
            "held up",
        ],
    )
    def test_twice_as_many_must_be_enough_faster(self, monkeypatch, most, seconds, chosen, least):
        """Made-up seconds of an epoch for so many at once; those not listed are never tried."""
        monkeypatch.setattr(probe, "_seconds", lambda _train, _task, _config, size: seconds[size])
        task, baseline = small("mlp", batches=4, batch=32)
        choice = probe.choose(task, baseline, most=most)
        assert (choice.size, choice.least) == (chosen, least)

    def test_who_does_not_learn_takes_what_is_fastest(self, monkeypatch):
        seconds = {1: 1.0, 2: 1.6, 4: 3.0, 8: 5.6, 16: 11.2}
        monkeypatch.setattr(probe, "_seconds", lambda _train, _task, _config, size: seconds[size])
        task, baseline = small("mlp", batches=4, batch=32)
        assert probe.choose(task, baseline, most=16).size == 2
        assert probe.choose(task, baseline, most=16, learns=False).size == 8

    def test_a_slow_first_stack_does_not_end_it(self, monkeypatch):
        """It also pays for what torch does only once, the more so on a busy machine."""

        def seconds(_train, _task, _config, size):
            time.sleep(1.1 * (size == 2))
            return {1: 1.0, 2: 8.0}.get(size, 1.5)

        monkeypatch.setattr(probe, "_seconds", seconds)
        task, baseline = small("mlp", batches=4, batch=32)
        assert probe.choose(task, baseline, most=8).size == 8

    @pytest.mark.parametrize(("epochs", "most", "tried"), [(1, 10, 4), (20_000, 10, 16), (20_000, 1, 4)])
    def test_a_long_search_is_measured_for_longer_but_not_for_ever(self, monkeypatch, epochs, most, tried):
        """An epoch of the whole task takes 1 ms for one trial, so a round of 16 trials 16 ms or 320 s."""
        task, baseline = small("mlp", batches=4, batch=32)
        sizes = []

        def seconds(_train, _task, _config, size):
            sizes.append(size)
            time.sleep(0.6 * (size > 2))
            return 1e-3 * size**0.5

        monkeypatch.setattr(probe, "_seconds", seconds)
        monkeypatch.setattr(probe, "_SECONDS", 0.5)
        monkeypatch.setattr(probe, "_MOST_SECONDS", most)
        probe.choose(replace(task, epochs=epochs), baseline, most=16)
        assert max(sizes) == tried

    @pytest.mark.parametrize("error", [torch.OutOfMemoryError, MemoryError])
    def test_a_size_for_which_there_is_no_room_leaves_those_that_were_measured(self, monkeypatch, error):
        def seconds(_train, _task, _config, size):
            if size > 4:
                raise error
            return 1.0

        monkeypatch.setattr(probe, "_seconds", seconds)
        task, baseline = small("mlp", batches=4, batch=32)
        assert probe.choose(task, baseline, most=64).size == 4

    def test_one_thread_is_not_measured_by_what_others_do(self, monkeypatch):
        waiting = (time.sleep(0.05) for _ in itertools.count())
        monkeypatch.setattr(torch, "get_num_threads", lambda: 1)
        assert max(probe._durations(waiting, "cpu")) < 0.04
        assert min(probe._durations(waiting, "cuda")) > 0.04

    def test_what_is_hardly_faster_is_not_chosen(self):
        assert probe._choice({1: 1.0, 2: 0.99, 4: 1.2}, "") == probe.Choice(
            1, 2, "1 at a time: several at once are not enough faster (2: 1.0x, 4: 0.8x)"
        )
        assert probe._choice({1: 1.0, 2: 0.8, 4: 0.5, 8: 0.6}, "") == probe.Choice(
            4, 2, "4 at a time: 2.0x as fast as one by one (2: 1.2x, 4: 2.0x, 8: 1.7x)"
        )

    def test_no_more_than_fit_into_memory(self):
        task, baseline = small("mlp", batches=4, batch=32)
        one = probe.footprint(task, baseline)
        choice = probe.choose(task, baseline, most=64, budget=3.5 * one)
        assert choice.size <= 3
        assert choice.reason.endswith("; memory is for 3")

    def test_the_memory_that_is_foretold_grows_with_model_and_batch(self):
        task, baseline = small("mlp", batches=4, batch=32)
        wide, large = baseline | {"model.width": 256}, baseline | {"batch_size": 64}
        one = probe.footprint(task, baseline)
        assert probe.footprint(task, wide) > 4 * one
        assert one < probe.footprint(task, large) < 3 * one
