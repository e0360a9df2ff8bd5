"""A small classifier with batch normalization and dropout, on 99 made-up samples."""

import torch
from torch import Tensor, nn
from torch.utils.data import TensorDataset

objective = "minimize loss"
epochs = 3

# What an expert would try first.
baseline = {"optimizer": "sgd", "optimizer.lr": 0.1}


def model(width: int = 8, dropout: float = 0.1) -> nn.Module:
    """Take vectors of shape [batch, 5], give logits of shape [batch, 3]."""
    return nn.Sequential(
        nn.Linear(5, width),
        nn.BatchNorm1d(width),
        nn.ReLU(),
        nn.Dropout(dropout),
        nn.Linear(width, 3),
    )


def data(samples: int = 99) -> dict[str, TensorDataset]:
    """Three classes, told by the largest of the first three features; two thirds to train on."""
    features = torch.randn(samples, 5, generator=torch.Generator().manual_seed(0))
    labels = features[:, :3].argmax(dim=1)
    cut = 2 * samples // 3
    parts = {"train": slice(cut), "validation": slice(cut, None), "test": slice(cut, None)}
    return {name: TensorDataset(features[rows], labels[rows]) for name, rows in parts.items()}


def loss(outputs: Tensor, targets: Tensor, label_smoothing: float = 0.0) -> Tensor:
    """Cross-entropy."""
    return nn.functional.cross_entropy(outputs, targets, label_smoothing=label_smoothing)


def accuracy(outputs: Tensor, targets: Tensor) -> Tensor:
    """The share that was told right."""
    return (outputs.argmax(dim=1) == targets).float().mean()


metrics = {"accuracy": accuracy}


if __name__ == "__main__":
    print(model())
