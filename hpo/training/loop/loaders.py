"""DataLoaders of a recipe's own, read and cut as a search does: what an export prints, too, word for word.

Whatever a part of the data is, a data set or a loader, is told apart here.
"""

from collections.abc import Iterable, Iterator
from copy import copy
from itertools import islice
from typing import Any

import torch
from torch import Tensor
from torch.utils.data import BatchSampler, DataLoader, IterableDataset

from hpo.training.loop.batches import BatchSize, Split, count_batches, cut, demand_batch, load, step_size
from hpo.training.loop.gradients import Batch


def count_samples(split: Split) -> int:
    """Return how many samples an epoch has; of a loader whose batches are its own, as many as it can tell."""
    if isinstance(split, DataLoader):
        split = split.dataset if isinstance(split.dataset, IterableDataset) else split.sampler
    return len(split)


class Batches(BatchSampler):
    """What a sampler draws, batch by batch, none of which is a single sample if there are more."""

    def __iter__(self) -> Iterator[list[Any]]:
        drawn = list(self.sampler)
        yield from ([drawn[row] for row in rows.tolist()] for rows in self._cut(len(drawn)))

    def __len__(self) -> int:
        sampler: Any = self.sampler
        return len(self._cut(len(sampler)))

    def _cut(self, samples: int) -> list[Tensor]:
        kept = samples - samples % self.batch_size if self.drop_last else samples
        return cut(torch.arange(kept), self.batch_size) if kept else []


_KEPT = (
    *("num_workers", "collate_fn", "pin_memory", "timeout", "worker_init_fn", "multiprocessing_context"),
    *("generator", "prefetch_factor", "in_order"),
)


def cuts_by_size(loader: DataLoader[Any]) -> bool:
    """Whether nothing but a size makes a loader's batches, so that another one can."""
    return loader.batch_size is not None and type(loader).__iter__ is DataLoader.__iter__


def recut(split: Split, batch_size: BatchSize) -> Split:
    """Return a loader that reads as this one, but in batches of this size; a data set is left as it is.

    So is a loader that has such batches, or if none are asked for. Its workers do not outlive an epoch.

    Raises:
        ValueError: its batches are not made by their size alone; or not even one of this size can be cut.
    """
    if not isinstance(split, DataLoader) or batch_size in {None, split.batch_size}:
        return split
    if not cuts_by_size(split):
        raise ValueError(
            f"batch_size={batch_size}, but the DataLoader to train on has batches of its own: give it a"
            " batch_size and a sampler in place of a batch_sampler or an __iter__, or leave batch_size out"
        )
    size = demand_batch(count_samples(split), batch_size)
    options = {name: getattr(split, name) for name in _KEPT}
    if isinstance(split.dataset, IterableDataset):
        return DataLoader(split.dataset, size, drop_last=split.drop_last, **options)
    return DataLoader(split.dataset, batch_sampler=Batches(split.sampler, size, split.drop_last), **options)


def samples_per_step(split: Split, batch_size: BatchSize) -> int:
    """Return how many samples a batch has: as many as a loader says, where nothing is asked for."""
    own = split.batch_size if isinstance(split, DataLoader) else None
    return step_size(count_samples(split), batch_size or own)


def count_steps(split: Split, batch_size: BatchSize) -> int:
    """Return how many batches, so how many steps, one epoch has.

    Raises:
        ValueError: not even one batch of this size can be cut.
    """
    if isinstance(split, DataLoader):
        return len(recut(split, batch_size))
    return count_batches(split, batch_size)


def read(split: Split, batch_size: BatchSize, seed: int | None = None, epoch: int = 1) -> Iterable[Batch]:
    """Return the batches of an epoch of training, shuffled by its seed; without one all data in order.

    A loader orders them by itself, by the number of the epoch, from 1, if it asks for that; where there is no
    seed, it also cuts them as it likes.

    Raises:
        ValueError: a loader's batches cannot be cut so; when they are read, that it gives none or too few.
    """
    if not isinstance(split, DataLoader):
        return load(split, batch_size, seed)
    return split if seed is None else _epoch(recut(split, batch_size), seed, epoch)


def _epoch(loader: Any, seed: int, epoch: int) -> Iterator[Batch]:
    """Yield as many batches as a loader's length says, from which schedules are laid out.

    All chance begins anew: in its generators, and in its workers, which serve this epoch alone. What has a
    `set_epoch`, such as torch's DistributedSampler, is told the epoch, from 0 as is usual there.
    """
    own = loader.batch_sampler
    samplers = loader.sampler, own, getattr(own, "sampler", None)
    for part in (loader, *samplers):
        generator = getattr(part, "generator", None)
        if isinstance(generator, torch.Generator):
            generator.manual_seed(seed)
    for part in (loader.dataset, *samplers):
        getattr(part, "set_epoch", lambda _: None)(epoch - 1)
    lacking = steps = len(loader)
    for batch in islice(copy(loader), steps):
        lacking -= 1
        yield batch
    if lacking:
        raise ValueError(
            f"The DataLoader to train on gave {steps - lacking} batches, but its length says {steps}: let"
            " the __len__ of its data set or sampler be no more than what comes"
        )
