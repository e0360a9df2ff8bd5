"""A multilayer perceptron for the tables of scikit-learn.

`recipe.table=` chooses breast_cancer, wine or digits, whose rows belong to classes, or diabetes, whose
rows have a number to be predicted.
"""

from collections.abc import Callable
from itertools import pairwise
from typing import Any, NamedTuple

import torch
from sklearn.datasets import load_breast_cancer, load_diabetes, load_digits, load_wine
from sklearn.model_selection import train_test_split
from sklearn.preprocessing import StandardScaler
from torch import Tensor, nn
from torch.nn import functional as F
from torch.utils.data import TensorDataset

objective = "minimize loss"
epochs = 20

baseline = {
    "optimizer": "adamw",
    "optimizer.lr": 3e-3,
    "optimizer.weight_decay": 0.01,
    "schedule": "cosine",
    "batch_size": 32,
}


class Table(NamedTuple):
    """A table: who loads it, how many columns it has, and how many classes; 1 stands for a number."""

    load: Callable[..., Any]
    columns: int
    classes: int


TABLES = {
    "breast_cancer": Table(load_breast_cancer, columns=30, classes=2),
    "wine": Table(load_wine, columns=13, classes=3),
    "digits": Table(load_digits, columns=64, classes=10),
    "diabetes": Table(load_diabetes, columns=10, classes=1),
}


def find(table: str) -> Table:
    """Return the table of this name."""
    if table not in TABLES:
        raise ValueError(f"There is no table {table!r}. Known: {', '.join(TABLES)}.")
    return TABLES[table]


def model(table: str = "breast_cancer", width: int = 64, depth: int = 2, dropout: float = 0.1) -> nn.Module:
    """`depth` hidden layers with ReLU and dropout, then a linear layer.

    Takes rows of shape [batch, columns], gives logits of shape [batch, classes], or numbers of
    shape [batch, 1].
    """
    shape = find(table)
    sizes = [shape.columns] + depth * [width]
    layers: list[nn.Module] = []
    for before, after in pairwise(sizes):
        layers += [nn.Linear(before, after), nn.ReLU(), nn.Dropout(dropout)]
    return nn.Sequential(*layers, nn.Linear(sizes[-1], shape.classes))


def data(table: str = "breast_cancer") -> dict[str, TensorDataset]:
    """The rows of a table, 60 / 20 / 20, each class equally frequent in each part.

    Columns, and numbers that are to be predicted, have mean 0 and variance 1 in the training part.
    """
    rows, wanted = find(table).load(return_X_y=True)
    is_class = find(table).classes > 1
    rest, test = train_test_split(
        range(len(rows)), test_size=0.2, stratify=wanted if is_class else None, random_state=0
    )
    train, validation = train_test_split(
        rest, test_size=0.25, stratify=wanted[rest] if is_class else None, random_state=0
    )
    inputs = torch.tensor(standardize(rows, train), dtype=torch.float32)
    if is_class:
        targets = torch.tensor(wanted, dtype=torch.int64)
    else:
        targets = torch.tensor(standardize(wanted.reshape(-1, 1), train), dtype=torch.float32)
    parts = {"train": train, "validation": validation, "test": test}
    return {name: TensorDataset(inputs[part], targets[part]) for name, part in parts.items()}


def standardize(columns: Any, train: list[int]) -> Any:
    """Scale columns by what the training part knows of them; the others are to stay unseen."""
    return StandardScaler().fit(columns[train]).transform(columns)


def loss(outputs: Tensor, targets: Tensor) -> Tensor:
    """Cross-entropy for classes; for numbers the mean squared error, which is 1 for guessing the mean."""
    if targets.is_floating_point():
        return F.mse_loss(outputs, targets)
    return F.cross_entropy(outputs, targets)


def accuracy(outputs: Tensor, targets: Tensor) -> Tensor:
    """The share of rows whose class, or whose side of the mean, was told right."""
    if targets.is_floating_point():
        return ((outputs > 0) == (targets > 0)).float().mean()
    return (outputs.argmax(dim=1) == targets).float().mean()


metrics = {"accuracy": accuracy}
