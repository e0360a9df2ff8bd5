"""A training that is taken up again goes on to the last digit as if nothing had been, in either engine."""

import gc
import subprocess
import sys
import weakref
from dataclasses import replace
from functools import partial
from pathlib import Path

import pytest
import torch
from test_fused import small, varied
from torch.utils.data import DataLoader
from torch.utils.data.distributed import DistributedSampler

from hpo.config import Config
from hpo.training import fused, plain
from hpo.training.checkpoint import read_checkpoint, write_checkpoint
from hpo.training.engine import Member
from hpo.training.fused import grouping
from hpo.training.fused.rules import RULES
from hpo.training.snapshot import Snapshot, pack, unpack
from hpo.training.words import vocabulary_of
from hpo.training.words.optimizers import OPTIMIZERS
from hpo.training.words.schedule_words import SCHEDULES
from hpo.trial import ALONE, Point

EPOCHS = 6
stacked = partial(fused.train, least=1)


def told(reports):
    """What was measured, without what the clock says."""
    return [replace(it, seconds=0.0) if isinstance(it, Point) else it for it in reports]


def stopped_after(engine, task, members, epoch, folder):
    """Train for so many epochs, and return the members as files on the disk say they stand."""
    task = replace(task, snapshots={})
    progress = engine(task, members)
    for _ in range(epoch):
        reports = next(progress)
    assert reports[0].epoch == epoch
    for number, take in task.snapshots.items():
        taken = take()
        write_checkpoint(folder / f"{number}.safetensors", taken.tensors, taken.about)
    progress.close()
    return [taken_up(member, folder) for member in members]


def taken_up(member, folder):
    tensors, about = read_checkpoint(folder / f"{member.number}.safetensors")
    return replace(member, snapshot=Snapshot.of(tensors, about))


def check_goes_on(engine, task, members, folder, epoch=3):
    task = replace(task, epochs=EPOCHS)
    whole = [told(reports) for reports in engine(task, members)]
    assert len(whole) == EPOCHS
    assert all(isinstance(it, Point) for it in whole[-1])
    again = stopped_after(engine, task, members, epoch, folder)
    assert [told(reports) for reports in engine(task, again)] == whole[epoch:]


VALUES = [
    {"ema": 0.9},
    {"clip_norm": 0.1},
    {"clip_value": 0.01},
    {"l1": 0.01, "weight_decay_on": "matrices"},
    {"accumulate": 3},
    {"precision": "bf16"},
    {"precision": "fp16"},
    {"warmup": 0.2, "schedule": "plateau", "schedule.patience": 0},
    {"schedule": "step", "then": "plateau", "then.switch": 0.3, "then.patience": 0, "then.gamma": 0.5},
    {"batch_size": "full"},
    {"freeze": "0.*,1.*"},
]


@pytest.mark.parametrize("engine", [plain.train, stacked], ids=["plain", "fused"])
def test_a_sampler_that_orders_by_the_epoch_goes_on(engine, make_task, make_member, tmp_path):
    own = make_task().splits
    sampler = DistributedSampler(own["train"], num_replicas=1, rank=0)
    task = make_task(splits={**own, "train": DataLoader(own["train"], 16, sampler=sampler)})
    check_goes_on(engine, task, [make_member()], tmp_path)
    assert sampler.epoch == EPOCHS - 1


@pytest.mark.parametrize("values", VALUES, ids=str)
def test_each_value_goes_on(make_task, make_member, tmp_path, values):
    check_goes_on(plain.train, make_task(), [make_member(**values)], tmp_path)


@pytest.mark.parametrize("name", OPTIMIZERS)
def test_each_optimizer_goes_on(make_task, make_member, tmp_path, name):
    values = {"batch_size": "full", "optimizer__max_iter": 3} if name == "lbfgs" else {}
    check_goes_on(plain.train, make_task(), [make_member(optimizer=name, **values)], tmp_path)


@pytest.mark.parametrize("name", SCHEDULES)
def test_each_schedule_goes_on(make_task, make_member, tmp_path, name):
    check_goes_on(plain.train, make_task(), [make_member(schedule=name, warmup=0.1)], tmp_path)


@pytest.mark.parametrize(
    "values",
    [{"optimizer": "Sign"}, {"optimizer": "heavy"}, {"schedule": "Halving"}, {"start": "elsewhere"}],
    ids=str,
)
def test_words_of_a_recipe_s_own_go_on(make_task, own, tmp_path, values):
    config = vocabulary_of(own).defaults(Config(own.baseline | values))
    check_goes_on(plain.train, make_task(own.source), [Member(0, config)], tmp_path)


@pytest.mark.parametrize("name", RULES)
def test_each_rule_goes_on(make_task, make_member, tmp_path, name):
    members = [make_member(number, optimizer=name, optimizer__lr=0.01 * (number + 1)) for number in range(3)]
    check_goes_on(stacked, make_task(), members, tmp_path)


@pytest.mark.parametrize("recipe", ["mlp", "cnn", "rnn", "transformer"])
def test_a_mixed_cohort_goes_on(tmp_path, recipe):
    task, baseline = small(recipe)
    check_goes_on(stacked, task, varied(baseline, 5), tmp_path, epoch=2)


def test_plateaus_that_a_stack_has_met_are_remembered(make_task, make_member, tmp_path):
    rates = (0.1, 5.0, 9.0)
    values = {"schedule": "plateau", "schedule__patience": 0, "clip_norm": 1.0}
    members = [make_member(number, optimizer__lr=lr, **values) for number, lr in enumerate(rates)]
    check_goes_on(stacked, make_task(), members, tmp_path)


def test_the_limit_of_a_divergence_is_kept(make_task, make_member, tmp_path):
    for engine in (plain.train, stacked):
        (member,) = stopped_after(engine, make_task(), [make_member()], 1, tmp_path)
        tight = replace(member, snapshot=replace(member.snapshot, limit=1e-9))
        ((report,),) = engine(make_task(), [tight])
        assert (report.epoch, report.step) == (2, 0)


def test_rows_go_on_in_other_company(make_task, make_member, tmp_path):
    """What a stack does for all depends on who is there; a row that needs less or more is not disturbed."""
    task = replace(make_task(), epochs=EPOCHS)
    first = [make_member(0), make_member(1, ema=0.5, optimizer__momentum=0.9)]
    second = [make_member(2, clip_norm=0.5), make_member(3, optimizer="adamw")]
    whole = {it.trial: it for it in [*list(stacked(task, first))[-1], *list(stacked(task, second))[-1]]}
    again = [it for pair in (first, second) for it in stopped_after(stacked, task, pair, 2, tmp_path)]
    for company in ([again[1], again[2]], [again[3], again[0]], [again[1]]):
        for report in list(stacked(task, company))[-1]:
            assert report.loss == pytest.approx(whole[report.trial].loss, rel=1e-5)


@pytest.mark.parametrize("optimizer", ["sgd", "muon"])
def test_rows_that_learn_their_body_more_slowly_go_on_in_any_company(own, make_task, tmp_path, optimizer):
    task, vocabulary = replace(make_task(own.source), epochs=EPOCHS), vocabulary_of(own)
    common = {"optimizer": optimizer, "optimizer.lr": 0.02, "batch_size": 16}
    starts = [{}, {"start": "elsewhere"}, {"start": "elsewhere", "body_lr": 0.1}]
    members = [Member(at, vocabulary.defaults(Config(common | start))) for at, start in enumerate(starts)]
    whole = {it.trial: it for it in list(stacked(task, members))[-1]}
    again = stopped_after(stacked, task, members, 2, tmp_path)
    for company in (again, again[2:], again[:1], again[1:]):
        for report in list(stacked(task, company))[-1]:
            assert report.loss == pytest.approx(whole[report.trial].loss, rel=1e-5)


def test_rows_of_several_epochs_train_side_by_side(make_task, make_member, tmp_path):
    task = replace(make_task(), epochs=EPOCHS)
    members = [make_member(number, optimizer__lr=0.1 * (number + 1)) for number in range(3)]
    whole = {it.trial: it for it in list(stacked(task, members))[-1]}
    late = stopped_after(stacked, task, members[:1], 4, tmp_path)
    early = stopped_after(stacked, task, members[1:2], 2, tmp_path)
    epochs = {}
    for reports in fused.train(task, [*late, *early, members[2]], least=2):
        for report in reports:
            epochs.setdefault(report.trial, []).append(report.epoch)
            if report.epoch == EPOCHS:
                assert report.loss == pytest.approx(whole[report.trial].loss, rel=1e-5)
    assert epochs == {0: [5, 6], 1: [3, 4, 5, 6], 2: [1, 2, 3, 4, 5, 6]}


def test_what_began_plainly_goes_on_plainly_and_says_so(make_task, make_member, tmp_path):
    task = make_task()
    whole = [told(reports) for reports in plain.train(task, [make_member()])]
    again = stopped_after(plain.train, task, [make_member()], 1, tmp_path)
    reports = [it for reports in fused.train(task, [*again, make_member(1)], least=1) for it in reports]
    own = [it for it in reports if it.trial == 0]
    assert {it.notes[ALONE] for it in own} == {"It goes on plainly, as it began"}
    assert [it.score for it in own] == [reports[0].score for reports in whole[1:]]


def test_a_row_that_no_longer_fits_into_a_stack_begins_anew(make_task, make_member, tmp_path, monkeypatch):
    again = stopped_after(stacked, make_task(), [make_member()], 1, tmp_path)
    monkeypatch.setattr(grouping, "_obstacle", lambda *_: "The recipe has changed its mind")
    reports = [it for reports in stacked(make_task(), again) for it in reports]
    assert [it.epoch for it in reports] == [1, 2, 3]


CHILD = """
import sys
sys.path.insert(0, {tests!r})
from pathlib import Path
import torch
from hpo import recipe
from hpo.config import Config
from hpo.training import plain
from hpo.training.engine import Member, Task
from hpo.training.execution import execute
from test_snapshot import EPOCHS, stacked, taken_up

torch.set_num_threads(1)
own = recipe.read(Path({tests!r}, "tiny.py").read_text(), "tiny.py")
module = execute(own.source, own.path)
task = Task(module, module.data(), own.objective, EPOCHS, 0)
members = [Member(number, Config.from_json(text)) for number, text in enumerate({configs!r})]
for engine, folder in ((plain.train, "plain"), (stacked, "stacked")):
    again = [taken_up(member, Path({folder!r}, folder)) for member in members]
    print([[it.loss for it in reports] for reports in engine(task, again)])
"""


@pytest.mark.slow
def test_a_process_of_its_own_goes_on(make_task, make_member, tmp_path):
    task, members = replace(make_task(), epochs=EPOCHS), [make_member(0), make_member(1, optimizer="adamw")]
    wanted = ""
    for engine, folder in ((plain.train, tmp_path / "plain"), (stacked, tmp_path / "stacked")):
        folder.mkdir()
        stopped_after(engine, task, members, 3, folder)
        whole = [[it.loss for it in reports] for reports in engine(task, members)]
        wanted += f"{whole[3:]}\n"
    configs = [member.config.to_json() for member in members]
    code = CHILD.format(tests=str(Path(__file__).parent), configs=configs, folder=str(tmp_path))
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True)
    assert done.stdout == wanted, done.stderr


def test_whatever_an_optimizer_keeps_is_packed_as_it_is():
    tree = {
        0: {"d": torch.ones(2), "al": [None, torch.zeros(())]},
        "betas": (0.9, 0.999),
        "best": float("inf"),
    }
    tensors, facts = pack(tree)
    assert list(tensors) == ["0.d", "0.al.1"]
    found = unpack(tensors, facts)
    assert repr(found) == repr(tree)


def test_what_cannot_be_packed_is_named():
    with pytest.raises(TypeError, match=r"state\.0\.rule is a function, which a checkpoint cannot hold"):
        pack({"state": {0: {"rule": lambda: None}}})


def test_a_state_of_another_type_than_its_parameter_stays_as_it_is(make_task, make_member, tmp_path, tiny):
    wide = """
class Wide(torch.optim.SGD):
    def step(self, closure):
        for group in self.param_groups:
            for item in group["params"]:
                self.state[item].setdefault("sum", torch.zeros_like(item, dtype=torch.float64)).add_(1 / 3)
                item.data.mul_(1 - 1e-3 * self.state[item]["sum"].mean())
        return super().step(closure)

def wide(params, lr=0.1):
    return Wide(params, lr)

optimizers = [wide]
"""
    from hpo import recipe

    own = recipe.read(tiny.source + wide, tiny.path)
    config = vocabulary_of(own).defaults(Config(own.baseline | {"optimizer": "wide", "optimizer.lr": 0.1}))
    check_goes_on(plain.train, make_task(own.source), [Member(0, config)], tmp_path)
    (again,) = stopped_after(plain.train, make_task(own.source), [Member(0, config)], 1, tmp_path)
    sums = [item for name, item in again.snapshot.tensors.items() if name.endswith(".sum")]
    assert {item.dtype for item in sums} == {torch.float64}


@pytest.mark.parametrize("engine", [plain.train, stacked])
def test_a_training_that_nobody_has_any_more_leaves_its_memory_at_once(make_task, make_member, engine):
    """Not when Python's collector comes: whoever trains next, such as a half of the cohort, needs it."""
    task = replace(make_task(), snapshots={})
    progress = engine(task, [make_member()])
    next(progress)
    training = weakref.ref(getattr(task.snapshots[0], "func", task.snapshots[0]).__self__)
    gc.disable()
    try:
        del progress, task
        assert training() is None
    finally:
        gc.enable()
