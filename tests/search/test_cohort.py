"""A worker's part: what it trains at once, and what becomes of an error."""

from collections import Counter
from dataclasses import replace

import pytest
import torch

from hpo import recipe
from hpo.config import Config
from hpo.errors import LedgerError
from hpo.protocol import Answer, Choice, DeviceLostError, Hand, Sizing
from hpo.training.words import VOCABULARY
from hpo.trial import WARNING, Outcome, Point, Proposal
from hpo.worker import cohort, sizing
from hpo.worker.job import Job
from hpo.worker.line import Line
from hpo.worker.preparation import prepare
from hpo.worker.shelf import Shelf

RECIPE = """import torch
from torch import nn
from torch.utils.data import TensorDataset

objective = "minimize loss"
epochs = 2
baseline = {"optimizer": "sgd", "batch_size": 4}

def model(width=2, flaw=""):
    if flaw == "model":
        return nn.Linear("wide", 1)
    return nn.Sequential(nn.Linear(3, width), nn.ReLU(), nn.Linear(width, 1))

def data():
    split = TensorDataset(torch.arange(24.0).reshape(8, 3) / 24, torch.ones(8, 1))
    return {"train": split, "validation": split}

def loss(outputs, targets):
    return ((outputs - targets) ** 2).mean()
"""
PATH = "/home/me/hpo/recipes/mine.py"


class Listening:
    """A referee with these trials, who lets everyone go on and keeps what it is told.

    It answers with this `sizing` who asks how many to train at once; without, that it is to be measured.
    """

    def __init__(self, *values, sizing=None):
        own = recipe.read(RECIPE, PATH)
        complete = VOCABULARY.with_options(own.options).defaults
        self.trials = [
            Proposal(number, complete(Config(own.baseline | value)), "tpe")
            for number, value in enumerate(values)
        ]
        self.told, self.sizes, self.alike, self.points, self.asked = [], [], [], [], []
        self.noted = []
        self.sizing, self.choice = sizing or Sizing(None, yours=True), None

    def size(self, cohort, machine):
        self.asked.append(cohort)
        return self.sizing

    def sized(self, machine, choice):
        self.choice = choice

    def take_up(self, cohort, size, worker, because, *, alike):
        self.sizes.append(size)
        self.alike.append(alike)
        return self.trials

    def attempt(self, trials, worker, notes):
        self.sizes.append(notes["at once"])
        self.noted.append(notes)

    def report(self, reports):
        self.points += [report for report in reports if isinstance(report, Point)]
        return Answer([report.trial for report in reports if isinstance(report, Point)])

    def tell(self, endings):
        self.told += endings

    @property
    def outcomes(self):
        return {ending.trial: ending.outcome for ending in self.told}


def job(**changes):
    own = recipe.read(RECIPE, PATH)
    baseline = VOCABULARY.with_options(own.options).defaults(Config(own.baseline))
    values = {"seed": 0, "baseline": baseline, **changes}
    return Job(RECIPE, PATH, own.objective, epochs=2, **values)


def test_an_error_inside_a_library_is_told_with_the_recipe_s_line():
    referee = Listening({"model.flaw": "model"})
    cohort.train(job(), "c", referee)
    (ending,) = referee.told
    assert ending.outcome is Outcome.FAILED
    assert ending.reason.endswith(f"({PATH}:11)")
    assert "Traceback" in ending.notes["traceback"]


@pytest.mark.filterwarnings("default")
@pytest.mark.parametrize("at_once", [1, 3])
def test_what_is_warned_of_at_a_line_of_the_recipe_is_told_once(at_once, capsys):
    """Such as that outputs and targets have shapes that make all pairs of them."""
    source = RECIPE.replace("((outputs - targets) ** 2).mean()", "nn.functional.mse_loss(outputs, targets)")
    flat = source.replace("torch.ones(8, 1)", "torch.ones(8)")
    referee = Listening(*[{}] * at_once, {})
    own = replace(job(at_once=at_once), source=flat)
    for name in "cd":
        cohort.train(own, name, referee)
    [warning] = [notes[WARNING] for notes in referee.noted if WARNING in notes]
    assert warning.startswith("UserWarning: Using a target size (torch.Size([4]))")
    assert warning.endswith(f"({PATH}:19)")
    assert capsys.readouterr().err == ""


@pytest.mark.filterwarnings("default")
@pytest.mark.parametrize("at_once", [1, 3])
def test_that_batch_normalization_sees_too_few_samples_is_told_once(at_once, capsys):
    source = RECIPE.replace("nn.ReLU()", "nn.BatchNorm1d(width)")
    assert source != RECIPE
    referee = Listening(*[{}] * at_once, {})
    for name in "cd":
        cohort.train(replace(job(at_once=at_once), source=source), name, referee)
    [warning] = [notes[WARNING] for notes in referee.noted if WARNING in notes]
    assert warning.startswith("UserWarning: Batch normalization trains on 4 samples at a time;")
    assert f"({PATH}:" in warning
    assert capsys.readouterr().err == ""


LOADED = """
from torch.utils.data import DataLoader

def named(samples):
    return {"inputs": torch.stack([it for it, _ in samples]), "targets": torch.ones(len(samples), 1)}

def several(samples):
    return [torch.zeros(len(samples), 3)] * 2, torch.ones(len(samples), 1)

def data():
    split = TensorDataset(torch.arange(24.0).reshape(8, 3) / 24, torch.ones(8, 1))
    return {"train": DataLoader(split, 4, collate_fn=COLLATE), "validation": split}
"""


@pytest.mark.parametrize("at_once", [1, 3])
@pytest.mark.parametrize(
    ("collate", "form"),
    [("named", "dict of ['Tensor', 'Tensor']"), ("several", "tuple of ['list', 'Tensor']")],
)
def test_a_loader_whose_batches_are_no_pairs_of_tensors_is_told(collate, form, at_once):
    referee = Listening(*[{}] * at_once)
    source = RECIPE + LOADED.replace("COLLATE", collate)
    cohort.train(replace(job(at_once=at_once), source=source), "c", referee)
    assert len(referee.told) == at_once
    for ending in referee.told:
        assert "data()['train'] must give batches (inputs, targets) of two tensors" in ending.reason
        assert f"gave a {form}" in ending.reason
        assert ending.reason.endswith(f"({PATH}:29)")


@pytest.mark.parametrize("at_once", [1, 3])
def test_a_loader_that_cannot_be_cut_as_asked_is_told_with_the_line_of_the_data(at_once):
    referee = Listening(*[{}] * at_once)
    loader = "DataLoader(split, batch_sampler=[[0, 1], [2, 3]])"
    source = RECIPE + LOADED.replace("DataLoader(split, 4, collate_fn=COLLATE)", loader)
    cohort.train(replace(job(at_once=at_once), source=source), "c", referee)
    assert len(referee.told) == at_once
    for ending in referee.told:
        assert "batch_size=4, but the DataLoader to train on has batches of its own" in ending.reason
        assert ending.reason.endswith(f"({PATH}:29)")


def test_one_trial_s_error_costs_the_others_nothing():
    referee = Listening({}, {"model.width": 3}, {"model.flaw": "model"}, {"optimizer.lr": 0.1}, {})
    cohort.train(job(at_once=8), "c", referee)
    failed = {2: Outcome.FAILED}
    assert referee.outcomes == dict.fromkeys(range(5), Outcome.FINISHED) | failed
    assert len(referee.told) == 5


def test_out_of_memory_a_cohort_is_halved_until_it_fits(monkeypatch):
    train, tried = cohort.fused.train, []

    def short_of_memory(task, members, least):
        tried.append(len(members))
        if len(members) > 2:
            raise MemoryError
        return train(task, members, least)

    monkeypatch.setattr(cohort.fused, "train", short_of_memory)
    referee = Listening(*[{"optimizer.lr": 0.1 * number} for number in range(1, 8)])
    cohort.train(job(at_once=7), "c", referee)
    assert set(referee.outcomes.values()) == {Outcome.FINISHED}
    assert Counter(point.trial for point in referee.points) == dict.fromkeys(range(7), 2)
    assert tried[0] == 7
    assert max(tried[-2:]) <= 2


@pytest.mark.parametrize(
    ("flaw", "reason"),
    [
        ("raise MemoryError", "out of memory: MemoryError: "),
        ("torch.empty(2**60)", "out of memory: RuntimeError: "),
        ("raise torch.OutOfMemoryError('CUDA out of memory')", "out of memory: OutOfMemoryError: CUDA out"),
        (
            "raise RuntimeError('CUDA error: CUBLAS_STATUS_ALLOC_FAILED when calling cublasCreate')",
            "out of memory: RuntimeError: CUDA error: CUBLAS_STATUS_ALLOC_FAILED",
        ),
        ("raise SystemExit(3)", "SystemExit: 3"),
    ],
)
def test_what_ends_a_training_is_told_in_one_line_with_the_recipe_s_own(flaw, reason):
    source = RECIPE.replace('return nn.Linear("wide", 1)', flaw)
    referee = Listening({"model.flaw": "model"}, {})
    cohort.train(replace(job(at_once=2), source=source), "c", referee)
    assert referee.outcomes == {0: Outcome.FAILED, 1: Outcome.FINISHED}
    (ending,) = (ending for ending in referee.told if ending.trial == 0)
    assert ending.reason.startswith(reason)
    assert ending.reason.endswith(f"({PATH}:11)")
    assert "\n" not in ending.reason


def test_a_worker_asks_for_as_many_as_it_is_told_to():
    referee = Listening({}, {})
    cohort.train(job(at_once=16), "c", referee)
    assert referee.sizes == [16]


def test_the_next_cohort_is_alike_once_it_is_settled_how_many_train_at_once():
    settled, open_yet = Listening({}), Listening({}, sizing=Sizing(Choice(4, 2, "as told"), yours=False))
    cohort.train(job(at_once=1), "c", settled)
    assert settled.alike == [True]
    own = job(at_once=None, most=8, seed=77)
    for name in "cd":
        cohort.train(own, name, open_yet)
    assert (open_yet.sizes, open_yet.alike) == ([1, 4], [False, True])


@pytest.mark.parametrize(("going", "told"), [(True, ["tell"]), (False, [])])
def test_who_was_stopped_by_the_referee_is_not_told_to_it_again(going, told):
    referee, said = Listening({}, {}), []

    def call(method, *arguments):
        said.append(method)
        if method == "report":
            return Answer([report.trial for report in arguments[0]] if going else [])
        return Hand(referee.trials, {}) if method == "take_up" else None

    cohort.train(job(at_once=2), "c", Line(call))
    assert [it for it in said if it not in ("take_up", "report")] == told


@pytest.mark.parametrize("most", [1, 4])
def test_by_itself_it_begins_with_one_and_then_takes_no_more_than_its_share(most):
    referee = Listening({})
    own = job(at_once=None, most=most, seed=most)
    cohort.train(own, "c", referee)
    assert referee.sizes == [1]
    assert referee.asked == []
    cohort.train(own, "d", referee)
    cohort.train(own, "e", referee)
    assert referee.asked == ["d"] * (most > 1)  # once it is known, nobody is asked
    size = referee.choice.size if most > 1 else 1
    assert 1 <= size <= most
    assert referee.sizes == [1, size, size]


def test_while_another_measures_it_trains_one_at_a_time_and_then_as_many_as_that_one_found():
    own, choice = job(at_once=None, most=8, seed=8), Choice(5, 2, "5 at a time: 3.0x as fast")
    referee = Listening({}, sizing=Sizing(None))
    for name in "cde":
        cohort.train(own, name, referee)
    referee.sizing = Sizing(choice)
    cohort.train(own, "f", referee)
    assert (referee.asked, referee.sizes) == (["d", "e", "f"], [1, 1, 1, 5])
    assert referee.choice is None


def test_a_recipe_that_fails_is_not_measured():
    own = job(at_once=None, most=4, seed=99)
    referee = Listening({"model.flaw": "model"})
    cohort.train(own, "c", referee)
    cohort.train(own, "d", referee)
    assert (referee.asked, referee.sizes) == ([], [1, 1])


def test_a_baseline_that_fails_where_others_do_not_leaves_one_at_a_time():
    own = replace(job(at_once=None, most=4), baseline=job().baseline | {"model.flaw": "model"})
    referee = Listening({})
    cohort.train(own, "c", referee)
    cohort.train(own, "d", referee)
    assert referee.choice.size == 1
    assert "could not be measured (TypeError" in referee.choice.reason


def test_of_who_is_undecided_it_says_so_when_others_can_take_it_up(tmp_path):
    shelf = Shelf(str(tmp_path), "search", 60.0)

    class Waiting(Listening):
        def report(self, reports):
            super().report(reports)
            return Answer([], [report.trial for report in reports])

        def saved(self, trials):
            self.kept = {number: shelf.find(self.trials[number])[0].snapshot.epoch for number in trials}

    referee = Waiting({}, {})
    cohort.train(job(at_once=2, shelf=shelf), "c", referee)
    assert (referee.kept, referee.told) == ({0: 1, 1: 1}, [])


def test_it_says_whether_there_was_a_trial():
    assert cohort.train(job(), "c", Listening({}))
    assert not cohort.train(job(), "d", Listening())


@pytest.mark.parametrize(
    ("returned", "told"),
    [
        ("split", 'data() must return {"train": …, "validation": …}, but it returned a TensorDataset'),
        ('{"train": split}', "data() returned no 'validation', only train"),
        ('{"train": split, "validation": TensorDataset(torch.ones(0, 3))}', "no samples in 'validation'"),
        (
            '{"train": [{"x": 1.0, "y": 2.0}], "validation": split}',
            "must hold pairs (input, target) of tensors",
        ),
        ('{"train": split, "validation": (torch.ones(8, 3), torch.ones(8))}', "torch makes Tensor"),
        (
            '{"train": TensorDataset(*[torch.ones(8)] * 3), "validation": split}',
            "torch makes ['Tensor', 'Tensor', ",
        ),
    ],
)
def test_data_that_a_search_cannot_use_is_told(returned, told):
    source = RECIPE.replace('{"train": split, "validation": split}', returned)
    referee = Listening({})
    cohort.train(replace(job(), source=source), "c", referee)
    assert told in referee.told[0].reason


@pytest.mark.parametrize(
    ("returned", "told"),
    [
        ("0.5", "a float: leave out float"),
        ("outputs.mean(), targets.mean()", "a tuple: add up its parts, for one optimizer takes all"),
        ("(outputs - targets) ** 2", "one of shape [4, 1]: take its mean"),
        ("((outputs - targets) ** 2).mean().detach()", "no parameter has part in what it returned"),
    ],
)
def test_a_loss_that_cannot_be_learnt_from_is_told_with_its_line(returned, told):
    source = RECIPE.replace("((outputs - targets) ** 2).mean()", returned)
    referee = Listening({})
    cohort.train(replace(job(), source=source), "c", referee)
    assert "loss() must return a tensor of one number, such as a mean" in referee.told[0].reason
    assert told in referee.told[0].reason
    assert referee.told[0].reason.endswith(f"({PATH}:18)")


@pytest.mark.parametrize(
    ("returned", "told"),
    [
        ("None", "return a torch.nn.Module, but it returned a NoneType"),
        ("nn.ReLU()", "return a module with parameters to learn"),
        ("nn.Sequential(nn.LazyLinear(1))", "0.weight, 0.bias wait for a batch: pass one through in it"),
        ("nn.Linear(3, 1, dtype=torch.complex64)", "weight, bias are complex: keep torch.view_as_real"),
    ],
)
def test_a_model_that_cannot_be_trained_is_told_with_its_line(returned, told):
    source = RECIPE.replace(
        '    if flaw == "model":', f'    if flaw == "":\n        return {returned}\n    if 1:'
    )
    referee = Listening({})
    cohort.train(replace(job(), source=source), "c", referee)
    assert told in referee.told[0].reason
    assert referee.told[0].reason.endswith(f"({PATH}:9)")


@pytest.mark.parametrize(("returned", "told"), [("outputs", "a tensor of shape [4, 1]"), ("None", "nothing")])
def test_a_metric_that_is_no_number_is_told_with_its_line(returned, told):
    metric = f"\ndef r2(outputs, targets):\n    return {returned}\n\nmetrics = {{'r2': r2}}\n"
    referee = Listening({})
    cohort.train(replace(job(), source=RECIPE + metric), "c", referee)
    assert f"r2() must return one number, but it returned {told}" in referee.told[0].reason
    assert referee.told[0].reason.endswith(f"({PATH}:21)")


@pytest.mark.parametrize(
    ("stream", "told"),
    [
        ("iter(split)", "must have a length"),
        (
            "type('Stream', (torch.utils.data.ChainDataset,), {'__len__': lambda _: 3})([])",
            "return a DataLoader",
        ),
    ],
)
def test_a_stream_is_told_what_it_lacks(stream, told):
    source = RECIPE.replace('{"train": split, ', f'{{"train": {stream}, ')
    referee = Listening({})
    cohort.train(replace(job(), source=source), "c", referee)
    assert told in referee.told[0].reason
    assert referee.told[0].reason.endswith(f"({PATH}:14)")


def test_a_batch_larger_than_the_data_is_told_with_both_numbers():
    referee = Listening({"batch_size": 9})
    cohort.train(job(), "c", referee)
    assert "batch_size=9, but there are 8 samples to train on" in referee.told[0].reason


def test_a_ledger_that_is_out_of_reach_is_no_fault_of_the_trial():
    class Deaf(Listening):
        def report(self, reports):
            raise LedgerError("out of reach")

    referee = Deaf({}, {})
    with pytest.raises(LedgerError):
        cohort.train(job(), "cohort-0", referee)
    assert referee.told == []


@pytest.fixture
def broken_gpu(monkeypatch):
    """Training on a GPU that answers with an error, and from then on with nothing else: CUDA's way."""
    said = "CUDA error: device-side assert triggered"

    def synchronize():
        raise RuntimeError(f"{said}\nCompile with …")

    def train(*_, **__):
        monkeypatch.setattr(torch.cuda, "is_initialized", lambda: True)
        monkeypatch.setattr(torch.cuda, "synchronize", synchronize)
        raise RuntimeError(said)

    monkeypatch.setattr(cohort.fused, "train", train)
    monkeypatch.setattr(cohort.plain, "train", train)
    return said


@pytest.mark.parametrize("together", [1, 3])
def test_where_the_gpu_is_broken_only_who_trained_alone_is_blamed_for_it(together, broken_gpu):
    referee = Listening(*[{}] * together)
    with pytest.raises(DeviceLostError, match=f"^{broken_gpu}$"):
        cohort.train(job(at_once=together), "c", referee)
    assert [ending.outcome for ending in referee.told] == [Outcome.FAILED] * (together == 1)


@pytest.mark.parametrize(("share", "budget"), [(1.0, 500.0), (0.25, 125.0)])
def test_who_measures_may_use_half_of_its_own_share_of_what_is_free(share, budget, monkeypatch):
    """A worker with a GPU of its own that GPU, however many workers there are beside it."""
    asked = []

    def choose(_task, _baseline, _most, budget, **_):
        asked.append(budget)
        return Choice(1, 2, "")

    monkeypatch.setattr(sizing.probe, "choose", choose)
    monkeypatch.setattr(sizing, "available", lambda _, share: 1000 * share)
    own, referee = job(at_once=None, most=8, seed=100 + int(budget), share=share), Listening({})
    for name in "cd":
        cohort.train(own, name, referee)
    assert asked == [budget]


def test_who_shares_a_gpu_is_fenced_before_it_loads_data_and_who_is_alone_is_not(monkeypatch):
    seen = []
    monkeypatch.setattr("hpo.worker.preparation.fence", lambda *words: seen.append(words))
    monkeypatch.setattr("hpo.worker.preparation.load_splits", lambda *_: seen.append("data"))
    own = job(device="cuda", share=0.25)
    prepare.__wrapped__(own)
    assert seen == [("cuda", 0.25), "data"]
    assert own.here.share == 1


CHANCE = """import random
import numpy as np

class Moved(torch.utils.data.Dataset):
    def __init__(self, rows): self.rows = rows
    def __len__(self): return len(self.rows)
    def __getitem__(self, row):
        return self.rows[row] + random.random() + np.random.rand() + torch.rand(()), torch.ones(1)

def data():
    rows = torch.rand(8, 3) + torch.tensor(np.random.rand(8, 3), dtype=torch.float32) + random.random()
    return {"train": Moved(rows), "validation": TensorDataset(rows, torch.ones(8, 1))}
"""


@pytest.mark.parametrize("at_once", [1, 2])
def test_whatever_a_recipe_draws_from_is_the_same_each_time(at_once):
    """Torch, Python and numpy, of whom the last two begin anew in no process by themselves."""
    source = f"{RECIPE}\n{CHANCE}"
    curves = []
    for _ in range(2):
        cohort.prepare.cache_clear()
        referee = Listening({}, {}) if at_once > 1 else Listening({})
        cohort.train(replace(job(at_once=at_once), source=source), "c", referee)
        curves.append([(point.trial, point.loss, point.train_loss) for point in referee.points])
    assert curves[0] == curves[1] != []
