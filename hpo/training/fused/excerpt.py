"""A few samples of a recipe's data, read as all of them are, to measure an engine with."""

from __future__ import annotations

import math
from collections.abc import Iterator
from itertools import islice
from typing import Any

from torch.utils.data import DataLoader, IterableDataset, Subset, TensorDataset

from hpo.training.loop.batches import Split


def size_of(split: Split) -> int:
    """Return how many samples a data set has, or that of a loader."""
    rows: Any = split.dataset if isinstance(split, DataLoader) else split
    return len(rows)


def excerpt(split: Split, samples: int) -> Split:
    """Return the first so many samples; of a loader whose batches are its own, about as many."""
    if isinstance(split, TensorDataset):
        return TensorDataset(*(tensor[:samples] for tensor in split.tensors))
    if isinstance(split, IterableDataset):
        return _First(split, samples)
    if not isinstance(split, DataLoader):
        return Subset(split, range(samples))
    if split.batch_size is None and split.batch_sampler is not None:
        count = math.ceil(len(split) * samples / size_of(split))
        own = [*islice(split.batch_sampler, count)]
        return DataLoader(split.dataset, batch_sampler=own, collate_fn=split.collate_fn)
    return DataLoader(excerpt(split.dataset, samples), split.batch_size, collate_fn=split.collate_fn)


class _First(IterableDataset[Any]):
    """The first samples of a stream."""

    def __init__(self, stream: Any, samples: int) -> None:
        self.stream, self.samples = stream, samples

    def __len__(self) -> int:
        return self.samples

    def __iter__(self) -> Iterator[Any]:
        return islice(self.stream, self.samples)
