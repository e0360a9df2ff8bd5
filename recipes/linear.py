"""Linear regression, the smallest training there is: a line through 100 noisy points, y = 3 x + 2.

Points and start are NumPy's of seed 0, so that the losses can be compared with those of other
implementations, digit by digit: gradient descent with learning rate 0.1, which is the baseline, has the
training loss 0.0196622 at step 100, 0.0105787 at step 200, and stays at 0.0099244 from step 600 on.
There is one step in each epoch.
"""

from typing import NamedTuple

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn import functional as F
from torch.utils.data import TensorDataset

objective = "minimize loss"
epochs = 1000

baseline = {
    "optimizer": "sgd",
    "optimizer.lr": 0.1,
    "schedule": "constant",
    "batch_size": 100,  # all of them: gradient descent, not stochastic
}


class Draws(NamedTuple):
    """The points, both arrays of shape [100, 1], and the line that training starts from."""

    inputs: np.ndarray
    targets: np.ndarray
    weight: float
    bias: float


def draw() -> Draws:
    """Draw everything from one stream of random numbers, in this order."""
    chance = np.random.RandomState(0)
    inputs = chance.rand(100, 1)
    targets = 3 * inputs + 2 + 0.1 * chance.randn(100, 1)
    return Draws(inputs, targets, weight=chance.randn(), bias=chance.randn())


def model() -> nn.Module:
    """One weight and one bias, in double precision: seven digits are compared.

    Takes numbers of shape [batch, 1], gives numbers of shape [batch, 1].
    """
    start = draw()
    line = nn.Linear(1, 1, dtype=torch.float64)
    nn.init.constant_(line.weight, start.weight)
    nn.init.constant_(line.bias, start.bias)
    return line


def data() -> dict[str, TensorDataset]:
    """All 100 points in each part: two numbers cannot learn them by heart, so nothing is held back."""
    points = draw()
    whole = TensorDataset(torch.tensor(points.inputs), torch.tensor(points.targets))
    return {"train": whole, "validation": whole, "test": whole}


def loss(outputs: Tensor, targets: Tensor) -> Tensor:
    """The mean of the squared errors."""
    return F.mse_loss(outputs, targets)
