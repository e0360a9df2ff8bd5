"""Data in batches, as a search cuts and orders them: what an export prints, too, word for word.

So nothing here needs hpo. A batch is (inputs, targets), two tensors with the samples along dimension 0.
"""

from collections.abc import Iterable, Iterator
from copy import copy
from itertools import islice
from typing import Any, Literal

import torch
from torch import Tensor
from torch.utils.data import BatchSampler, DataLoader, IterableDataset, TensorDataset

from hpo.training.gradients import Batch

BatchSize = int | Literal["full"] | None  # None: as a DataLoader cuts, and else USUAL
USUAL = 64
Split = Any  # a Dataset with a length, which torch's own type lacks, or a DataLoader


def place(split: Split, device: str) -> Split:
    """Move data that is in memory to the device, once and for all, if that leaves room for training."""
    if isinstance(split, TensorDataset) and has_room(device, split.tensors):
        return TensorDataset(*(tensor.to(device) for tensor in split.tensors))
    return split


def has_room(device: str, tensors: Iterable[Tensor]) -> bool:
    """Whether these fill no more than half of what can be had of a GPU; elsewhere, always."""
    if not device.startswith("cuda"):
        return True
    return 2 * sum(tensor.numel() * tensor.element_size() for tensor in tensors) <= free_on_gpu(device)


def free_on_gpu(device: str) -> int:
    """Return the bytes of a GPU that this process may have: what is free or put by torch, up to its share."""
    free, total = torch.cuda.mem_get_info(device)
    share = torch.cuda.get_per_process_memory_fraction(torch.device(device).index)
    most = min(free + torch.cuda.memory_reserved(device), int(share * total))
    return max(0, most - torch.cuda.memory_allocated(device))


def cut(rows: Tensor, batch_size: BatchSize) -> list[Tensor]:
    """Cut row numbers, shape [samples], into batches; `full` is a single one.

    A last batch of one joins the batch before it, since batch normalization cannot train on one sample.
    """
    size = step_size(rows, batch_size)
    parts = list(rows.split(size))
    if size > 1 and len(parts) > 1 and len(parts[-1]) == 1:
        parts[-2:] = [torch.cat(parts[-2:])]
    return parts


def step_size(split: Split, batch_size: BatchSize) -> int:
    """Return how many samples a batch has."""
    if batch_size == "full":
        return count_samples(split)
    return batch_size or (isinstance(split, DataLoader) and split.batch_size) or USUAL


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
    size = demand_batch(split, batch_size)
    options = {name: getattr(split, name) for name in _KEPT}
    if isinstance(split.dataset, IterableDataset):
        return DataLoader(split.dataset, size, drop_last=split.drop_last, **options)
    return DataLoader(split.dataset, batch_sampler=Batches(split.sampler, size, split.drop_last), **options)


def demand_batch(split: Split, batch_size: BatchSize) -> int:
    """Return how many samples a batch has.

    Raises:
        ValueError: there are fewer than were asked for.
    """
    if isinstance(batch_size, int) and batch_size > (samples := count_samples(split)):
        raise ValueError(
            f"batch_size={batch_size}, but there are {samples} samples to train on; `full` takes all"
        )
    return step_size(split, batch_size)


def count_batches(split: Split, batch_size: BatchSize) -> int:
    """Return how many batches, so how many steps, one epoch has.

    Raises:
        ValueError: not even one batch of this size can be cut.
    """
    if isinstance(split, DataLoader):
        return len(recut(split, batch_size))
    demand_batch(split, batch_size)
    return len(cut(torch.arange(len(split)), batch_size))


def load(split: Split, batch_size: BatchSize, seed: int | None = None) -> Iterable[Batch]:
    """Return the batches of an epoch of training, shuffled by its seed; without one all data in order.

    A loader orders them by itself; where there is no seed, it also cuts them as it likes.

    Raises:
        ValueError: a loader's batches cannot be cut so; when they are read, that it gives none or too few.
    """
    if isinstance(split, DataLoader):
        return split if seed is None else _epoch(recut(split, batch_size), seed)
    chance = torch.Generator().manual_seed(seed or 0)
    rows = torch.arange(len(split)) if seed is None else torch.randperm(len(split), generator=chance)
    if isinstance(split, TensorDataset):
        parts = cut(rows.to(split.tensors[0].device), batch_size)
        return (tuple(tensor[part] for tensor in split.tensors) for part in parts)
    sampler = [part.tolist() for part in cut(rows, batch_size)]
    return DataLoader(split, batch_sampler=sampler, generator=chance)


def _epoch(loader: Any, seed: int) -> Iterator[Batch]:
    """Yield as many batches as a loader's length says, from which schedules are laid out.

    All chance begins anew: in its generators, and in its workers, which serve this epoch alone.
    """
    own = loader.batch_sampler
    for part in (loader, loader.sampler, own, getattr(own, "sampler", None)):
        generator = getattr(part, "generator", None)
        if isinstance(generator, torch.Generator):
            generator.manual_seed(seed)
    lacking = steps = len(loader)
    for batch in islice(copy(loader), steps):
        lacking -= 1
        yield batch
    if lacking:
        raise ValueError(
            f"The DataLoader to train on gave {steps - lacking} batches, but its length says {steps}: let"
            " the __len__ of its data set or sampler be no more than what comes"
        )
