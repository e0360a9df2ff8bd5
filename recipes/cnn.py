"""A small convolutional network that reads handwritten digits."""

import torch
from sklearn.datasets import load_digits
from sklearn.model_selection import train_test_split
from torch import Tensor, nn
from torch.nn import functional as F
from torch.utils.data import TensorDataset

objective = "minimize loss"  # accuracy saturates on digits; the loss still tells good from better
epochs = 18

baseline = {
    "optimizer": "sgd",
    "optimizer.lr": 0.05,
    "optimizer.momentum": 0.9,
    "optimizer.nesterov": True,
    "optimizer.weight_decay": 5e-4,
    "schedule": "cosine",
    "batch_size": 64,
}


def model(width: int = 16, dropout: float = 0.2) -> nn.Module:
    """Two blocks of convolution, batch normalization, ReLU and pooling, then a linear layer.

    Takes images of shape [batch, 1, 8, 8], gives logits of shape [batch, 10].
    """
    return nn.Sequential(
        nn.Conv2d(1, width, kernel_size=3, padding=1, bias=False),
        nn.BatchNorm2d(width),
        nn.ReLU(),
        nn.MaxPool2d(2),
        nn.Conv2d(width, 2 * width, kernel_size=3, padding=1, bias=False),
        nn.BatchNorm2d(2 * width),
        nn.ReLU(),
        nn.MaxPool2d(2),
        nn.Flatten(),
        nn.Dropout(dropout),
        nn.Linear(2 * width * 2 * 2, 10),
    )


def data() -> dict[str, TensorDataset]:
    """Scikit-learn's 1797 digits, 60 / 20 / 20, each digit equally frequent in each part."""
    pixels, digits = load_digits(return_X_y=True)
    images = torch.tensor(pixels, dtype=torch.float32).reshape(-1, 1, 8, 8) / 16
    labels = torch.tensor(digits)
    rest, test = train_test_split(range(len(digits)), test_size=0.2, stratify=digits, random_state=0)
    train, validation = train_test_split(rest, test_size=0.25, stratify=digits[rest], random_state=0)
    parts = {"train": train, "validation": validation, "test": test}
    return {name: TensorDataset(images[rows], labels[rows]) for name, rows in parts.items()}


def loss(outputs: Tensor, targets: Tensor) -> Tensor:
    """Cross-entropy."""
    return F.cross_entropy(outputs, targets)


def accuracy(outputs: Tensor, targets: Tensor) -> Tensor:
    """The share of digits that were read right."""
    return (outputs.argmax(dim=1) == targets).float().mean()


metrics = {"accuracy": accuracy}
