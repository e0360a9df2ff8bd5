"""Data sets in batches, as a search cuts and orders them: what an export prints, too, word for word.

So nothing here needs hpo. A batch is (inputs, targets), two tensors with the samples along dimension 0.
"""

from collections.abc import Iterable
from typing import Any, Literal

import torch
from torch import Tensor
from torch.utils.data import DataLoader, TensorDataset

from hpo.training.loop.gradients import Batch

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
    size = step_size(len(rows), batch_size)
    parts = list(rows.split(size))
    if size > 1 and len(parts) > 1 and len(parts[-1]) == 1:
        parts[-2:] = [torch.cat(parts[-2:])]
    return parts


def step_size(samples: int, batch_size: BatchSize) -> int:
    """Return how many of so many samples a batch has."""
    return samples if batch_size == "full" else batch_size or USUAL


def demand_batch(samples: int, batch_size: BatchSize) -> int:
    """Return how many of so many samples a batch has.

    Raises:
        ValueError: there are fewer than were asked for.
    """
    if isinstance(batch_size, int) and batch_size > samples:
        raise ValueError(
            f"batch_size={batch_size}, but there are {samples} samples to train on; `full` takes all"
        )
    return step_size(samples, batch_size)


def count_batches(split: Split, batch_size: BatchSize) -> int:
    """Return how many batches, so how many steps, one epoch has.

    Raises:
        ValueError: not even one batch of this size can be cut.
    """
    demand_batch(len(split), batch_size)
    return len(cut(torch.arange(len(split)), batch_size))


def load(split: Split, batch_size: BatchSize, seed: int | None = None) -> Iterable[Batch]:
    """Return the batches of an epoch of training, shuffled by its seed; without one all data in order."""
    chance = torch.Generator().manual_seed(seed or 0)
    rows = torch.arange(len(split)) if seed is None else torch.randperm(len(split), generator=chance)
    if isinstance(split, TensorDataset):
        parts = cut(rows.to(split.tensors[0].device), batch_size)
        return (tuple(tensor[part] for tensor in split.tensors) for part in parts)
    sampler = [part.tolist() for part in cut(rows, batch_size)]
    return DataLoader(split, batch_sampler=sampler, generator=chance)
