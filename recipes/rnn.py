"""A recurrent network on the adding problem: remember two numbers, many steps apart, and add them.

Hochreiter and Schmidhuber's test of a long memory (Long Short-Term Memory, 1997). Its gradients are
small for long and then large at once, which is why recurrent networks are trained with clipping.
Harder with a longer `recipe.length=`, and with `recipe.cell=rnn`.
"""

import torch
from torch import Tensor, nn
from torch.nn import functional as F
from torch.utils.data import TensorDataset

objective = "minimize loss"
epochs = 15

baseline = {
    "optimizer": "adam",
    "optimizer.lr": 1e-2,
    "schedule": "step",
    "schedule.step_size": 0.4,
    "schedule.gamma": 0.2,
    "clip_norm": 1.0,
    "batch_size": 64,
}

CELLS = {"lstm": nn.LSTM, "gru": nn.GRU, "rnn": nn.RNN}


class Reader(nn.Module):
    """Reads a sequence of shape [batch, length, 2] step by step, gives numbers of shape [batch, 1]."""

    def __init__(self, cell: str, width: int, depth: int) -> None:
        super().__init__()
        self.cells = CELLS[cell](input_size=2, hidden_size=width, num_layers=depth, batch_first=True)
        self.head = nn.Linear(width, 1)

    def forward(self, sequences: Tensor) -> Tensor:
        """Answer with what is known after the last step."""
        states, _ = self.cells(sequences)
        return self.head(states[:, -1])


def model(cell: str = "lstm", width: int = 32, depth: int = 1) -> nn.Module:
    """`depth` layers of recurrent cells, then a linear layer on the last state."""
    if cell not in CELLS:
        raise ValueError(f"There is no cell {cell!r}. Known: {', '.join(CELLS)}.")
    return Reader(cell, width, depth)


def data(length: int = 20, samples: int = 4096) -> dict[str, TensorDataset]:
    """Draw sequences: `samples` to train on, a quarter as many for validation and for the test."""
    chance = torch.Generator().manual_seed(0)
    sizes = {"train": samples, "validation": samples // 4, "test": samples // 4}
    return {name: draw(size, length, chance) for name, size in sizes.items()}


def draw(samples: int, length: int, chance: torch.Generator) -> TensorDataset:
    """Draw sequences of numbers from 0 to 1, one marked in each half; the target is the sum of the two."""
    numbers = torch.rand(samples, length, generator=chance)
    first = torch.randint(0, length // 2, (samples, 1), generator=chance)
    second = torch.randint(length // 2, length, (samples, 1), generator=chance)
    marked = torch.cat([first, second], dim=1)
    marks = torch.zeros_like(numbers).scatter(1, marked, 1.0)
    return TensorDataset(torch.stack([numbers, marks], dim=2), numbers.gather(1, marked).sum(1, keepdim=True))


def loss(outputs: Tensor, targets: Tensor) -> Tensor:
    """The mean squared error, which is 1/6 for guessing the mean."""
    return F.mse_loss(outputs, targets)


def accuracy(outputs: Tensor, targets: Tensor) -> Tensor:
    """The share of sums that are right to within 0.04, as the problem was first judged."""
    return ((outputs - targets).abs() < 0.04).float().mean()


metrics = {"accuracy": accuracy}
