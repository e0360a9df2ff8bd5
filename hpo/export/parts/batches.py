"""Batches for trainers other than a search's own, cut as a search cuts them."""

from collections.abc import Iterator
from typing import Any

import torch
from torch.utils.data import BatchSampler, DataLoader, RandomSampler, SequentialSampler

from hpo.training.loop import BatchSize, Split, cut


class Batches(BatchSampler):
    """Row numbers, batch by batch, none of which is a single sample if there are more."""

    def __iter__(self) -> Iterator[list[int]]:
        yield from (rows.tolist() for rows in cut(torch.tensor(list(self.sampler)), self.batch_size))

    def __len__(self) -> int:
        sampler: Any = self.sampler
        return len(cut(torch.arange(len(sampler)), self.batch_size))


def loader(split: Split, batch_size: BatchSize, *, shuffle: bool = False) -> DataLoader[Any]:
    """Return a part of the data in batches; what is a loader already cuts its own."""
    if isinstance(split, DataLoader):
        return split
    sampler = RandomSampler(split) if shuffle else SequentialSampler(split)
    size = len(split) if batch_size == "full" else batch_size
    return DataLoader(split, batch_sampler=Batches(sampler, size, drop_last=False))
