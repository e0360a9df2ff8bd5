"""Batches for trainers other than a search's own, of data that may come in loaders."""

from typing import Any

from torch.utils.data import DataLoader

from hpo.export.parts.batches import loader
from hpo.training.loop.batches import BatchSize, Split
from hpo.training.loop.loaders import recut


def loader_of(split: Split, batch_size: BatchSize, *, shuffle: bool = False) -> DataLoader[Any]:
    """Return a part of the data in batches; if that is a loader, only those to shuffle are cut anew."""
    if not isinstance(split, DataLoader):
        return loader(split, batch_size, shuffle=shuffle)
    return recut(split, batch_size) if shuffle else split
