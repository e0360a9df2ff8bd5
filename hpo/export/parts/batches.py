"""Batches for trainers other than a search's own, cut as a search cuts them."""

from typing import Any

from torch.utils.data import DataLoader, RandomSampler, SequentialSampler

from hpo.training.batches import Batches, BatchSize, Split, recut, step_size


def loader(split: Split, batch_size: BatchSize, *, shuffle: bool = False) -> DataLoader[Any]:
    """Return a part of the data in batches; if that is a loader, only those to shuffle are cut anew."""
    if isinstance(split, DataLoader):
        return recut(split, batch_size) if shuffle else split
    sampler = RandomSampler(split) if shuffle else SequentialSampler(split)
    size = step_size(split, batch_size)
    return DataLoader(split, batch_sampler=Batches(sampler, size, drop_last=False))
