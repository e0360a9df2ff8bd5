"""A small convolutional network that tells what an image shows.

`recipe.data=` chooses scikit-learn's handwritten digits, which need no download; mnist, fashion_mnist or
cifar10, which come from openml.org and are kept in ~/scikit_learn_data; or a file of your own, by its
path: an .npz with `images`, of shape [n, height, width] or [n, channels, height, width], floats or whole
numbers from 0 to 255, and with `labels`, whole numbers from 0.
"""

from functools import cache

import numpy as np
import torch
from sklearn.datasets import fetch_openml, load_digits
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

ON_OPENML = {  # the name there, and the shape of an image
    "mnist": ("mnist_784", (1, 28, 28)),
    "fashion_mnist": ("Fashion-MNIST", (1, 28, 28)),
    "cifar10": ("CIFAR_10", (3, 32, 32)),
}


def model(data: str = "digits", width: int = 16, dropout: float = 0.2) -> nn.Module:
    """Two blocks of convolution, batch normalization, ReLU and pooling, then a linear layer.

    Takes images of shape [batch, channels, height, width], gives logits of shape [batch, classes].
    """
    images, labels = read(data)
    _, channels, rows, columns = images.shape
    return nn.Sequential(
        nn.Conv2d(channels, width, kernel_size=3, padding=1, bias=False),
        nn.BatchNorm2d(width),
        nn.ReLU(),
        nn.MaxPool2d(2),
        nn.Conv2d(width, 2 * width, kernel_size=3, padding=1, bias=False),
        nn.BatchNorm2d(2 * width),
        nn.ReLU(),
        nn.MaxPool2d(2),
        nn.Flatten(),
        nn.Dropout(dropout),
        nn.Linear(2 * width * (rows // 4) * (columns // 4), int(labels.max()) + 1),
    )


def data(data: str = "digits") -> dict[str, TensorDataset]:
    """The images, 60 / 20 / 20, each class equally frequent in each part; whole numbers become 0 to 1."""
    images, labels = read(data)
    rest, test = train_test_split(range(len(labels)), test_size=0.2, stratify=labels, random_state=0)
    train, validation = train_test_split(rest, test_size=0.25, stratify=labels[rest], random_state=0)
    parts = {"train": train, "validation": validation, "test": test}
    white = 16 if data == "digits" else 255 if np.issubdtype(images.dtype, np.integer) else 1
    return {
        name: TensorDataset(
            torch.tensor(images[rows], dtype=torch.float32) / white,
            torch.tensor(labels[rows], dtype=torch.int64),
        )
        for name, rows in parts.items()
    }


@cache
def read(name: str) -> tuple[np.ndarray, np.ndarray]:
    """Return images of shape [n, channels, height, width] and labels of shape [n]; read once, for all."""
    if name == "digits":
        pixels, labels = load_digits(return_X_y=True)
        return pixels.reshape(-1, 1, 8, 8), labels
    if name in ON_OPENML:
        return download(*ON_OPENML[name])
    if name.endswith(".npz"):
        return load(name)
    raise ValueError(f"There is no data {name!r}. Known: digits, {', '.join(ON_OPENML)}, or PATH.npz.")


def download(name: str, shape: tuple[int, int, int]) -> tuple[np.ndarray, np.ndarray]:
    """Fetch images and labels from openml.org, or from where an earlier call has kept them."""
    pixels, labels = fetch_openml(name, version=1, return_X_y=True, as_frame=False)
    return pixels.reshape(-1, *shape).astype(np.uint8), labels.astype(np.int64)


def load(path: str) -> tuple[np.ndarray, np.ndarray]:
    """Read an .npz."""
    with np.load(path) as file:
        images, labels = file["images"], file["labels"]
    return (images[:, np.newaxis] if images.ndim == 3 else images), labels


def loss(outputs: Tensor, targets: Tensor, label_smoothing: float = 0.0) -> Tensor:
    """Cross-entropy; with label smoothing, a share of each target is spread evenly over all classes.

    Szegedy et al. 2015, arXiv:1512.00567, section 7. `loss: {label_smoothing: …}` in a space searches it.
    """
    return F.cross_entropy(outputs, targets, label_smoothing=label_smoothing)


def accuracy(outputs: Tensor, targets: Tensor) -> Tensor:
    """The share of images that were told right."""
    return (outputs.argmax(dim=1) == targets).float().mean()


metrics = {"accuracy": accuracy}
