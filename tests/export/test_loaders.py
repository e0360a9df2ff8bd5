"""A recipe may return DataLoaders of its own: a training keeps how they read, and cuts as it is asked to."""

import pytest
from repeating import assert_formatted, complete, curve
from test_script import export, run

from hpo import recipe
from hpo.export import lightning
from hpo.export.run import Run
from hpo.training.engine import Task
from hpo.training.execution import execute, load_splits
from hpo.training.fused import probe

LOADING = recipe.read(
    """
import torch
from torch import nn
from torch.utils.data import BatchSampler, DataLoader, Dataset, IterableDataset, RandomSampler
from torch.utils.data.distributed import DistributedSampler

objective = "minimize loss"
epochs = 2
baseline = {"optimizer": "sgd", "optimizer.lr": 0.1}


class Noisy(Dataset):
    def __init__(self, inputs):
        self.inputs = inputs

    def __len__(self):
        return len(self.inputs)

    def __getitem__(self, row):
        return self.inputs[row] + 0.01 * torch.randn(4), self.inputs[row].sum() * torch.ones(1)


class Stream(Noisy, IterableDataset):
    def __iter__(self):
        return (self[row] for row in range(len(self)))


def model():
    return nn.Linear(4, 1)


def data(kind="shuffled"):
    inputs = torch.randn(200, 4)
    rows = Noisy(inputs[:120])
    own = BatchSampler(RandomSampler(rows), 30, drop_last=False)
    loaders = {
        "shuffled": DataLoader(rows, 25, shuffle=True, drop_last=True),
        "seeded": DataLoader(rows, 25, shuffle=True, generator=torch.Generator()),
        "distributed": DataLoader(rows, 25, sampler=DistributedSampler(rows, 2, 1)),
        "stream": DataLoader(Stream(inputs[:120]), 25),
        "own": DataLoader(rows, batch_sampler=own),
    }
    return {"train": loaders[kind], "validation": DataLoader(Noisy(inputs[120:]), 80)}


def loss(outputs, targets):
    return nn.functional.mse_loss(outputs, targets)
""",
    "loading.py",
)
SIZED = [
    *(
        (kind, size)
        for kind in ("shuffled", "seeded", "distributed", "stream")
        for size in (None, 16, "full")
    ),
    ("own", None),
]


@pytest.mark.parametrize(("kind", "size"), SIZED, ids=str)
def test_the_script_reads_and_cuts_as_the_engine_does(kind, size, tmp_path):
    config, options = complete(LOADING, {"batch_size": size}), {"kind": kind}
    assert run(export(LOADING, config, data_options=options, loaders=True), tmp_path) == curve(
        LOADING, config, options
    )


def test_imports_that_fill_no_single_line_are_formatted(tmp_path):
    path = tmp_path / "lightning.py"
    path.write_text(lightning.lightning(Run(LOADING, complete(LOADING, {}), 2, seed=3, origin="trial 7")))
    assert "import (\n    BatchSampler,\n" in path.read_text()
    assert_formatted(path)


@pytest.mark.parametrize(("kind", "size"), SIZED, ids=str)
def test_how_many_to_train_at_once_is_measured_with_any(kind, size):
    module = execute(LOADING.source, LOADING.path)
    task = Task(module, load_splits(module, {"kind": kind}), LOADING.objective, 2, seed=3)
    assert probe.choose(task, complete(LOADING, {"batch_size": size}), most=2).size in (1, 2)
