"""A small network on made-up numbers: an epoch takes a tenth of a second or two.

So a search of some trials lasts long enough to be hit in the middle, and not longer.
"""

import torch
from torch import Tensor, nn
from torch.utils.data import TensorDataset

objective = "minimize loss"
epochs = 6
baseline = {"optimizer": "sgd", "optimizer.lr": 0.05, "batch_size": 32}


def model(width: int = 64) -> nn.Module:
    """Two layers; takes numbers of shape [batch, 16], gives scores of shape [batch, 4]."""
    return nn.Sequential(nn.Linear(16, width), nn.ReLU(), nn.Linear(width, 4))


def data() -> dict[str, TensorDataset]:
    """Points of four classes, told apart by a random linear map with some noise."""
    chance = torch.Generator().manual_seed(0)
    inputs = torch.randn(6000, 16, generator=chance)
    scores = inputs @ torch.randn(16, 4, generator=chance)
    labels = (scores + 0.5 * torch.randn(6000, 4, generator=chance)).argmax(1)
    cuts = {"train": slice(0, 5000), "validation": slice(5000, 5500), "test": slice(5500, 6000)}
    return {name: TensorDataset(inputs[cut], labels[cut]) for name, cut in cuts.items()}


def loss(outputs: Tensor, targets: Tensor) -> Tensor:
    """Cross-entropy."""
    return nn.functional.cross_entropy(outputs, targets)
