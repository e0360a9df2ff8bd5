"""Running a recipe's source text, which is all that a worker is sent."""

from __future__ import annotations

import linecache
import sys
from collections.abc import Mapping
from io import StringIO
from types import ModuleType
from typing import Any, Final

from hpo.config import Value
from hpo.recipe import module_name

SPLITS: Final = ("train", "validation")
"""What a search trains and measures on; the third, test, is for whoever uses the winner."""


def execute(source: str, path: str) -> ModuleType:
    """Run a recipe and return its module.

    Tracebacks show the recipe's own lines, whether or not `path` exists on this machine. Under the
    module's name, which tells versions of a recipe apart, dataclasses and pickle find it again.
    """
    module = ModuleType(module_name(source, path))
    module.__file__ = path
    linecache.cache[path] = (len(source), None, [*StringIO(source)], path)
    sys.modules[module.__name__] = module
    exec(compile(source, path, "exec"), module.__dict__)  # noqa: S102 - the person asked to run it
    return module


def load_splits(module: ModuleType, options: Mapping[str, Value], batch_size: str = "") -> Mapping[str, Any]:
    """Return what a recipe's `data` returns: datasets by name, or loaders of the `batch_size` asked for.

    Raises:
        TypeError: it returns something else, or a data set does not hold pairs.
        ValueError: a split is missing or empty, or a loader cuts other batches than those asked for.
        Exception: whatever the recipe raises.
    """
    splits: Any = module.data(**options)
    if not isinstance(splits, Mapping):
        form = ", ".join(f'"{name}": …' for name in SPLITS)
        raise TypeError(f"data() must return {{{form}}}, but it returned a {type(splits).__name__}")
    for name in SPLITS:
        if name not in splits:
            raise ValueError(f"data() returned no {name!r}, only {', '.join(map(str, splits))}")
        if not len(splits[name]):
            raise ValueError(f"data() returned no samples in {name!r}")
        _demand_pairs(name, splits[name])
    _demand_batches(splits[SPLITS[0]], batch_size)
    return splits


def _demand_pairs(name: str, split: Any) -> None:
    """Refuse a data set whose first sample does not become two tensors; a loader makes its own batches."""
    from torch.utils.data import DataLoader, default_collate  # whoever only reads words does without

    if isinstance(split, DataLoader):
        return
    batch = default_collate([split[0]])
    form = [type(it).__name__ for it in batch] if isinstance(batch, list | tuple) else type(batch).__name__
    if form != ["Tensor", "Tensor"]:
        raise TypeError(
            f"data()[{name!r}] must hold pairs (input, target) of tensors, arrays or numbers, as"
            f" TensorDataset(inputs, targets) does; of its first sample torch makes {form}"
        )


def _demand_batches(split: Any, asked: str) -> None:
    """Refuse a loader if the batch size that was asked for is not its own, since nobody but itself cuts."""
    from torch.utils.data import DataLoader

    if not isinstance(split, DataLoader) or asked in ("", str(split.batch_size)):
        return
    if asked == "full" and len(split) == 1:
        return
    raise ValueError(
        f"data()[{SPLITS[0]!r}] is a DataLoader, which cuts its batches by itself (batch_size="
        f"{split.batch_size}), but this search's batch_size is {asked}: return the dataset without a loader,"
        " or leave batch_size to the loader"
    )
