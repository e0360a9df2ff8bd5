"""Batches for trainers other than a search's own, cut as a search cuts them."""

from typing import Any

from torch.utils.data import DataLoader, RandomSampler, SequentialSampler

from hpo.training.loop.batches import BatchSize, Split, step_size
from hpo.training.loop.loaders import Batches


def loader(split: Split, batch_size: BatchSize, *, shuffle: bool = False) -> DataLoader[Any]:
    """Return a part of the data in batches."""
    sampler = RandomSampler(split) if shuffle else SequentialSampler(split)
    size = step_size(len(split), batch_size)
    return DataLoader(split, batch_sampler=Batches(sampler, size, drop_last=False))
