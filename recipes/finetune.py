"""A convolutional network that knows the digits 0 to 5 and learns 6 to 9 from two samples of each.

`start: digits_0_to_5` in a space begins with what it knows. Those weights are trained when they are first
needed, which takes seconds, and kept where scikit-learn keeps its data; delete the file to train them again.
"""

import os
from collections import OrderedDict
from pathlib import Path

import torch
from safetensors.torch import save_file
from sklearn.datasets import get_data_home, load_digits
from sklearn.model_selection import train_test_split
from torch import Tensor, nn
from torch.nn import functional as F
from torch.utils.data import TensorDataset

objective = "minimize loss"
epochs = 20

baseline = {
    "optimizer": "adamw",
    "optimizer.lr": 1e-2,
    "optimizer.weight_decay": 0.01,
    "schedule": "cosine",
    "batch_size": 8,
    "start": "digits_0_to_5",
    "body_lr": 0.3,
}

KNOWN, NEW = range(6), range(6, 10)
WIDTH = 16


def network(classes: int, dropout: float) -> nn.Module:
    """A body of two blocks of convolution, batch normalization, ReLU and pooling, and a linear head."""
    body = nn.Sequential(
        nn.Conv2d(1, WIDTH, kernel_size=3, padding=1, bias=False),
        nn.BatchNorm2d(WIDTH),
        nn.ReLU(),
        nn.MaxPool2d(2),
        nn.Conv2d(WIDTH, 2 * WIDTH, kernel_size=3, padding=1, bias=False),
        nn.BatchNorm2d(2 * WIDTH),
        nn.ReLU(),
        nn.MaxPool2d(2),
        nn.Flatten(),
    )
    head = nn.Linear(8 * WIDTH, classes)
    return nn.Sequential(OrderedDict(body=body, dropout=nn.Dropout(dropout), head=head))


def model(dropout: float = 0.1) -> nn.Module:
    """Take images of shape [batch, 1, 8, 8], give logits of shape [batch, 4]."""
    return network(len(NEW), dropout)


def data(samples: int = 2) -> dict[str, TensorDataset]:
    """`samples` of each of the new digits to train on, the rest halved; labels count from 0."""
    images, labels = images_of(NEW)
    train, rest = train_test_split(
        range(len(labels)), train_size=samples * len(NEW), stratify=labels, random_state=0
    )
    validation, test = train_test_split(rest, test_size=0.5, stratify=labels[rest], random_state=0)
    parts = {"train": train, "validation": validation, "test": test}
    return {name: TensorDataset(images[rows], labels[rows]) for name, rows in parts.items()}


def images_of(digits: range) -> tuple[Tensor, Tensor]:
    """Return images of shape [n, 1, 8, 8], from 0 to 1, and labels of shape [n] that count from 0."""
    pixels, labels = load_digits(return_X_y=True)
    chosen = (labels >= digits.start) & (labels < digits.stop)
    images = torch.tensor(pixels[chosen], dtype=torch.float32).reshape(-1, 1, 8, 8) / 16
    return images, torch.tensor(labels[chosen], dtype=torch.int64) - digits.start


def digits_0_to_5() -> Path:
    """Return the file of a network's weights that tells 0 to 5 apart; train it if there is none."""
    path = Path(get_data_home()) / "hpo_digits_0_to_5.safetensors"
    if not path.exists():
        fresh = path.with_name(f"{path.name}.{os.getpid()}")  # whole or not there, whoever else trains it
        save_file(pretrained().state_dict(), fresh)
        fresh.replace(path)
    return path


def pretrained(epochs: int = 10) -> nn.Module:
    """Train on the known digits, from a seed of its own."""
    images, labels = images_of(KNOWN)
    with torch.random.fork_rng():
        torch.manual_seed(0)
        whole = network(len(KNOWN), dropout=0.1)
        optimizer = torch.optim.AdamW(whole.parameters(), lr=3e-3)
        for _ in range(epochs):
            for rows in torch.randperm(len(labels)).split(64):
                optimizer.zero_grad()
                F.cross_entropy(whole(images[rows]), labels[rows]).backward()
                optimizer.step()
    return whole


checkpoints = [digits_0_to_5]


def loss(outputs: Tensor, targets: Tensor) -> Tensor:
    """Cross-entropy."""
    return F.cross_entropy(outputs, targets)


def accuracy(outputs: Tensor, targets: Tensor) -> Tensor:
    """The share of images that were told right."""
    return (outputs.argmax(dim=1) == targets).float().mean()


metrics = {"accuracy": accuracy}
