"""Running a recipe's source text, which is all that a worker is sent, and loading its data."""

from __future__ import annotations

import linecache
import sys
from collections.abc import Mapping
from io import StringIO
from types import ModuleType
from typing import Any, Final

from hpo.config import Value
from hpo.recipe import SPLITS, module_name
from hpo.training.demands import RecipeError, demand_length, demand_pairs

_RENAME: Final = {
    "train": 'call what is trained on "train"',
    "validation": 'call what is measured on after each epoch "validation"',
}


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


def load_splits(module: ModuleType, options: Mapping[str, Value]) -> Mapping[str, Any]:
    """Return what a recipe's `data` returns: datasets by name, or loaders.

    Raises:
        RecipeError: it returns something else; a split is missing or empty, or does not hold pairs.
        Exception: whatever the recipe raises.
    """
    from hpo.training.loop.loop import seed_chance

    seed_chance(0)  # whatever the trial's seed: all share one split, though the recipe may draw it by chance
    splits: Any = module.data(**options)
    if not isinstance(splits, Mapping):
        form = ", ".join(f'"{name}": …' for name in SPLITS)
        message = f"data() must return {{{form}}}, but it returned a {type(splits).__name__}"
        raise RecipeError(message, module.data)
    for name in SPLITS:
        if name not in splits:
            known = ", ".join(map(str, splits))
            raise RecipeError(f"data() returned no {name!r}, only {known}: {_RENAME[name]}", module.data)
        if not demand_length(splits[name], name, module.data):
            few = ": fewer than one batch, with drop_last" if hasattr(splits[name], "drop_last") else ""
            raise RecipeError(f"data() returned no samples in {name!r}{few}", module.data)
        demand_pairs(name, splits[name], module.data)
    for split in splits.values():
        _pin_if_of_use(split)
    return splits


def _pin_if_of_use(split: Any) -> None:
    """Let a loader pin no memory where no accelerator copies from it: torch warns of that at each epoch."""
    import torch

    if getattr(split, "pin_memory", False) and not torch.accelerator.is_available():
        split.pin_memory = False
