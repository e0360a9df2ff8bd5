"""What a recipe's functions must return, and refusing what no search can use, with the line to look at.

Torch is imported where it is needed: who only tells of an error does without.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import contextmanager
from functools import wraps
from typing import Any


class RecipeError(TypeError):
    """A recipe's function returns what a search cannot use; `line` is where the function begins, if known."""

    def __init__(self, message: str, function: object) -> None:
        super().__init__(message)
        code = getattr(function, "__code__", None)
        self.path, self.line = getattr(code, "co_filename", ""), getattr(code, "co_firstlineno", None)


def demand_length(split: Any, name: str, data: object) -> int:
    """Return the number of samples of a data set, or of batches of a loader, which both must tell."""
    try:
        return len(split)
    except TypeError as error:
        message = (
            f"data()[{name!r}] must have a length, from which schedules are laid out: {error}. Give its data"
            " set or sampler a __len__ that returns how many samples an epoch has, or return a TensorDataset"
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


def demand_pairs(name: str, split: Any, data: object) -> None:
    """Refuse a data set whose first sample does not become two tensors; see `demand_batches` for a loader."""
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


@contextmanager
def told_of_data(recipe: Any) -> Iterator[None]:
    """Tell of what data are refused for as a fault of the recipe's `data`.

    Raises:
        RecipeError: in the place of a ValueError, and with its words.
    """
    try:
        yield
    except ValueError as error:
        raise RecipeError(str(error), recipe.data) from error


def demand_batches(name: str, batches: Iterable[Any], recipe: Any) -> Iterator[Any]:
    """Yield batches of a recipe's data; refuse one that is no pair of tensors, or of what moves as they do.

    Raises:
        RecipeError: a batch is something else.
    """
    for batch in batches:
        parts = list(batch.values() if isinstance(batch, Mapping) else batch)
        if isinstance(batch, Mapping) or len(parts) != 2 or not all(hasattr(it, "to") for it in parts):
            form = f"{type(batch).__name__} of {[type(it).__name__ for it in parts]}"
            message = (
                f"data()[{name!r}] must give batches (inputs, targets) of two tensors, but its DataLoader"
                f" gave a {form}: let its collate_fn return two tensors"
            )
            raise RecipeError(message, recipe.data)
        yield batch
