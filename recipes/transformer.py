"""A small transformer that learns to write Python's own documentation, character by character.

A decoder alone, as GPT-2 has it (Radford et al. 2019): causal attention, layer normalization before
each part, positions that are learned.
"""

from pydoc_data.topics import topics

import torch
from torch import Tensor, nn
from torch.nn import functional as F
from torch.utils.data import TensorDataset

objective = "minimize loss"
epochs = 8

baseline = {
    "optimizer": "adamw",
    "optimizer.lr": 3e-3,
    "optimizer.beta2": 0.98,
    "optimizer.weight_decay": 0.05,
    "schedule": "cosine",
    "warmup": 0.05,
    "clip_norm": 1.0,
    "batch_size": 16,
}

CHARACTERS = 128  # ASCII; what lies beyond is read as "?"


class Attention(nn.Module):
    """Each position looks at itself and at those before it, with several heads at once."""

    def __init__(self, width: int, heads: int) -> None:
        super().__init__()
        self.heads = heads
        self.look = nn.Linear(width, 3 * width)
        self.join = nn.Linear(width, width)

    def forward(self, states: Tensor) -> Tensor:
        """Take and give states of shape [batch, time, width]."""
        by_head = self.look(states).unflatten(-1, (3, self.heads, -1))  # [batch, time, 3, heads, size]
        query, key, value = by_head.permute(2, 0, 3, 1, 4)
        found = F.scaled_dot_product_attention(query, key, value, is_causal=True)
        return self.join(found.transpose(1, 2).flatten(2))


class Block(nn.Module):
    """Attention, then two linear layers for each position alone; both add to what they were given."""

    def __init__(self, width: int, heads: int, dropout: float) -> None:
        super().__init__()
        self.attend = nn.Sequential(nn.LayerNorm(width), Attention(width, heads), nn.Dropout(dropout))
        self.think = nn.Sequential(
            nn.LayerNorm(width),
            nn.Linear(width, 4 * width),
            nn.GELU(),
            nn.Linear(4 * width, width),
            nn.Dropout(dropout),
        )

    def forward(self, states: Tensor) -> Tensor:
        """Take and give states of shape [batch, time, width]."""
        states = states + self.attend(states)
        return states + self.think(states)


def embedding(count: int, width: int) -> nn.Embedding:
    """One vector for each of `count` things, small at first, so that no character stands out."""
    table = nn.Embedding(count, width)
    nn.init.normal_(table.weight, std=0.02)
    return table


class Transformer(nn.Module):
    """Takes characters of shape [batch, time], gives logits of shape [batch, time, CHARACTERS]."""

    def __init__(self, context: int, width: int, depth: int, heads: int, dropout: float) -> None:
        super().__init__()
        self.characters = embedding(CHARACTERS, width)
        self.positions = embedding(context, width)
        self.blocks = nn.Sequential(*(Block(width, heads, dropout) for _ in range(depth)))
        self.norm = nn.LayerNorm(width)
        self.head = nn.Linear(width, CHARACTERS)

    def forward(self, characters: Tensor) -> Tensor:
        """Predict at each position the character that comes next."""
        positions = torch.arange(characters.shape[1], device=characters.device)
        states = self.characters(characters) + self.positions(positions)
        return self.head(self.norm(self.blocks(states)))


def model(
    context: int = 64, width: int = 64, depth: int = 2, heads: int = 4, dropout: float = 0.0
) -> nn.Module:
    """`depth` blocks on the sum of what a character is and where it stands."""
    return Transformer(context, width, depth, heads, dropout)


def data(context: int = 64, windows: int = 1536) -> dict[str, TensorDataset]:
    """The text, 80 / 10 / 10 in its own order, so that validation and test are on other topics.

    An epoch is not the whole text but `windows` pieces of it, always the same, spread evenly; an
    eighth as many stand for each of the other parts.
    """
    text = "\n".join(topics.values()).encode("ascii", "replace")
    characters = torch.tensor(list(text))
    first, second = int(0.8 * len(text)), int(0.9 * len(text))
    return {
        "train": cut(characters[:first], context, windows),
        "validation": cut(characters[first:second], context, windows // 8),
        "test": cut(characters[second:], context, windows // 8),
    }


def cut(characters: Tensor, context: int, windows: int) -> TensorDataset:
    """Cut windows of shape [windows, context]; the targets lie one character further."""
    starts = torch.linspace(0, len(characters) - context - 1, windows).long()
    rows = starts[:, None] + torch.arange(context)
    return TensorDataset(characters[rows], characters[rows + 1])


def loss(outputs: Tensor, targets: Tensor) -> Tensor:
    """Cross-entropy for each character, in nats."""
    return F.cross_entropy(outputs.flatten(0, 1), targets.flatten())


def bits_per_character(outputs: Tensor, targets: Tensor) -> Tensor:
    """Cross-entropy for each character, in bits: how small the text could be packed."""
    return loss(outputs, targets) / torch.tensor(2.0).log()


def accuracy(outputs: Tensor, targets: Tensor) -> Tensor:
    """The share of characters that were foreseen."""
    return (outputs.argmax(dim=-1) == targets).float().mean()


metrics = {"accuracy": accuracy, "bits_per_character": bits_per_character}
