"""Running a recipe's source text, which is all that a worker is sent."""

from __future__ import annotations

import linecache
import sys
from collections.abc import Callable, Mapping
from functools import wraps
from io import StringIO
from types import ModuleType
from typing import Any, Final

from hpo.config import Value
from hpo.recipe import SPLITS, module_name

_RENAME: Final = {
    "train": 'call what is trained on "train"',
    "validation": 'call what is measured on after each epoch "validation"',
}


class RecipeError(TypeError):
    """A recipe's function returns what a search cannot use; `line` is where the function begins, if known."""

    def __init__(self, message: str, function: object) -> None:
        super().__init__(message)
        code = getattr(function, "__code__", None)
        self.path, self.line = getattr(code, "co_filename", ""), getattr(code, "co_firstlineno", None)


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
        RecipeError: it returns something else; a split is missing or empty, does not hold pairs, or is a
            loader of other batches than those asked for.
        Exception: whatever the recipe raises.
    """
    from hpo.training.loop import seed_chance  # whoever only reads words does without torch

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
        if not _counted(splits[name], name, module.data):
            raise RecipeError(f"data() returned no samples in {name!r}", module.data)
        _demand_pairs(name, splits[name], module.data)
    _demand_batches(splits[SPLITS[0]], batch_size, module.data)
    return splits


def _counted(split: Any, name: str, data: object) -> int:
    """Return the number of samples of a data set, or of batches of a loader, which both must tell."""
    try:
        return len(split)
    except TypeError as error:
        message = (
            f"data()[{name!r}] must have a length, from which schedules are laid out: {error}. Give its data"
            " set a __len__ that returns how many samples an epoch has, or return a TensorDataset"
        )
        raise RecipeError(message, data) from None


def demand_module(made: Any, function: object) -> None:
    """Refuse what a recipe's `model` returned if it cannot be trained.

    Raises:
        RecipeError: it is no module, has no parameters, or some that are complex or yet without a shape.
    """
    from torch import nn

    must = ""
    if not isinstance(made, nn.Module):
        must = f"return a torch.nn.Module, but it returned a {type(made).__name__}"
    elif not (parameters := dict(made.named_parameters())):
        must = "return a module with parameters to learn, but this one has none"
    elif lazy := [name for name, it in parameters.items() if isinstance(it, nn.UninitializedParameter)]:
        must = (
            f"give shapes to all parameters, but {', '.join(lazy)} wait for a batch: pass one through in it"
        )
    elif imaginary := [name for name, it in parameters.items() if it.is_complex()]:
        must = (
            f"have real parameters, but {', '.join(imaginary)} are complex: keep torch.view_as_real of them"
        )
    if must:
        raise RecipeError(f"model() must {must}", function)


def demand_scalar(name: str, function: Callable[..., Any], *, learnt: bool = False) -> Callable[..., Any]:
    """Return a recipe's loss or metric as one that refuses to return what cannot be used.

    That is a number, or a tensor of one; a tensor that a gradient can be taken of if it is `learnt` from.
    """

    @wraps(function)
    def measure(*arguments: Any, **options: Any) -> Any:
        value = function(*arguments, **options)
        wrong = _unlearnable(value) if learnt else _unmeasurable(value)
        if wrong:
            raise RecipeError(f"{name}() must return {wrong}", function)
        return value

    return measure


def _unlearnable(value: Any) -> str:
    """Say what a loss that is trained with must be, and what it is, if it is something else."""
    must = "a tensor of one number, such as a mean, of which torch can take the gradient"
    if isinstance(value, list | tuple | Mapping):
        return (
            f"{must}, but it returned a {type(value).__name__}: add up its parts, for one optimizer takes all"
        )
    if not hasattr(value, "requires_grad"):
        return f"{must}, but it returned a {type(value).__name__}: leave out float(…), .item() and the like"
    if value.numel() != 1:
        return f"{must}, but it returned one of shape {list(value.shape)}: take its mean"
    if not value.requires_grad:
        return f"{must}, but no parameter has part in what it returned: leave out detach(), no_grad(), argmax"
    return ""


def _unmeasurable(value: Any) -> str:
    if value is None:
        return "one number, but it returned nothing"
    size = value.numel() if hasattr(value, "numel") else 1
    if size == 1:
        return ""
    return f"one number, but it returned a tensor of shape {list(value.shape)}: take its mean"


def _demand_pairs(name: str, split: Any, data: object) -> None:
    """Refuse a data set whose first sample does not become two tensors; a loader makes its own batches."""
    from torch.utils.data import (  # whoever only reads words does without
        DataLoader,
        IterableDataset,
        default_collate,
    )

    if isinstance(split, DataLoader):
        return
    if isinstance(split, IterableDataset):
        message = f"data()[{name!r}] cannot be shuffled, for it is read in order: return a DataLoader of it"
        raise RecipeError(message, data)
    batch = default_collate([split[0]])
    form = [type(it).__name__ for it in batch] if isinstance(batch, list | tuple) else type(batch).__name__
    if form != ["Tensor", "Tensor"]:
        message = (
            f"data()[{name!r}] must hold pairs (input, target) of tensors, arrays or numbers, as"
            f" TensorDataset(inputs, targets) does; of its first sample torch makes {form}"
        )
        raise RecipeError(message, data)


def _demand_batches(split: Any, asked: str, data: Any) -> None:
    """Refuse a loader if the batch size that was asked for is not its own, since nobody but itself cuts."""
    from torch.utils.data import DataLoader

    if not isinstance(split, DataLoader) or asked in ("", str(split.batch_size)):
        return
    if asked == "full" and len(split) == 1:
        return
    message = (
        f"data()[{SPLITS[0]!r}] is a DataLoader, which cuts its batches by itself (batch_size="
        f"{split.batch_size}), but this search's batch_size is {asked}: return the dataset without a loader,"
        " or leave batch_size to the loader"
    )
    raise RecipeError(message, data)
