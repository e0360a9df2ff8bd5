"""The mode in which torch functions are run by kernels for K trials.

Every kernel has the signature of its torch function and one convention: each tensor has one more dimension,
the first, which counts the trials; it is 1 where all trials share the tensor. It returns tensors of the same
convention, or NotImplemented for options that `torch.vmap` handles as well by itself.

Kernels run below `vmap`, on plain tensors, recorded by ordinary autograd. `torch.autograd.Function.vmap` is
the public way there, but it made a small model's step twice as long; so what `vmap` itself uses is used here:
`torch._C._functorch` to unwrap, to wrap, and to step out of it, as in `torch._functorch.pyfunctorch`.
"""

from collections.abc import Callable, Mapping
from types import FunctionType
from typing import Any

from torch import Tensor
from torch._C import _functorch
from torch.nn import functional
from torch.overrides import TorchFunctionMode

from hpo.training.fused.kernels import (
    attention,
    channels,
    convolution,
    layer_norm,
    losses,
    products,
    recurrent,
    views,
)
from hpo.training.fused.kernels.chance import Chance
from hpo.training.fused.kernels.dropout import Dropout

Kernel = Callable[..., Any]

OUTERMOST = 1  # the level of the vmap over trials; a vmap inside a model is a deeper one


class Kernels(TorchFunctionMode):
    """Runs torch functions on K trials at once, as long as it is entered around a forward under `vmap`.

    The vmap over trials must be the outermost transform, with randomness "same". Gradients are those of
    ordinary autograd, taken outside of the vmap. `chance` draws the masks of dropout, in training; it must
    count as many trials as the vmap.
    """

    def __init__(self, chance: Chance) -> None:
        super().__init__()
        dropout = Dropout(chance)
        self._chance = chance
        self._table: Mapping[Any, Kernel] = {
            **attention.kernels(dropout),
            **convolution.KERNELS,
            **dropout.kernels(),
            **layer_norm.KERNELS,
            **losses.KERNELS,
            **channels.KERNELS,
            **products.KERNELS,
            **recurrent.kernels(dropout),
            **views.KERNELS,
        }

    def __torch_function__(
        self, func: Any, types: Any, args: tuple[Any, ...] = (), kwargs: dict[str, Any] | None = None
    ) -> Any:
        kernel = self._table.get(func)
        if kernel is not None and _functorch.maybe_current_level() == OUTERMOST:
            found = self._run(kernel, args, kwargs or {})
            if found is not NotImplemented:
                return found
        if func in COMPOSED:
            with self:
                return COMPOSED[func](*args, **(kwargs or {}))
        return func(*args, **(kwargs or {}))

    def _run(self, kernel: Kernel, args: tuple[Any, ...], kwargs: dict[str, Any]) -> Any:
        """Run a kernel below the vmap, and bring what it returns back up."""
        args = tuple([_unwrap(value) for value in args])
        kwargs = {name: _unwrap(value) for name, value in kwargs.items()}
        outer = _functorch.pop_dynamic_layer_stack()
        try:
            found = kernel(*args, **kwargs)
        finally:
            _functorch.push_dynamic_layer_stack(outer)
        return self._wrap(found)

    def _wrap(self, found: Any) -> Any:
        if isinstance(found, Tensor):
            shared = len(found) != len(self._chance)
            return found.squeeze(0) if shared else _functorch._add_batch_dim(found, 0, OUTERMOST)
        if isinstance(found, tuple):
            return tuple([self._wrap(part) for part in found])
        return found


def _unwrap(value: Any) -> Any:
    if isinstance(value, Tensor):
        if not _functorch.is_batchedtensor(value):
            return value.unsqueeze(0)
        dimension = _functorch.maybe_get_bdim(value)
        inner = _functorch.get_unwrapped(value)
        return inner.movedim(dimension, 0) if dimension else inner
    if isinstance(value, (list, tuple)) and any(isinstance(part, Tensor) for part in value):
        return [_unwrap(part) for part in value]
    return value


def _opened(function: Any) -> Kernel:
    """Return a function of torch.nn.functional that a mode does not see, so that it sees the parts."""
    names = {**vars(functional), "has_torch_function": lambda _: False}
    opened = FunctionType(function.__code__, names, function.__name__, function.__defaults__)
    opened.__kwdefaults__ = function.__kwdefaults__
    return opened


# torch hands these to a mode whole; it is their parts that have kernels.
COMPOSED = {functional.multi_head_attention_forward: _opened(functional.multi_head_attention_forward)}
