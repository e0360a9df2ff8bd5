"""K models of one structure as one: their parameters and buffers stacked, `torch.vmap` over the rest.

A row is a model. All trained parameters lie in one flat buffer of shape [K, entries], so that an update
rule, a norm or a penalty is a few operations on the whole of it.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from copy import deepcopy
from typing import Any

import torch
from torch import Tensor, nn

from hpo.training.fused.kernels import Chance, Kernels
from hpo.training.fused.rules import Layout
from hpo.training.loop.loop import seed_chance

Place = tuple[dict[str, Any], str]
"""Where a module holds a tensor: its own parameters or buffers, and the name there."""


class Stack:
    """K models side by side.

    Args:
        models: alike but for their numbers and their dropout rates; see `hpo.training.fused.grouping`.

    Attributes:
        layout: where each trained parameter lies in a row.
        weights: all trained parameters, shape [K, entries], matrices first.
        leaves: the same, each with a shape of its own, [K, ...]; autograd starts from these.
    """

    def __init__(self, models: Sequence[nn.Module]) -> None:
        trained = [_trained(model) for model in models]
        names = sorted(trained[0], key=lambda name: trained[0][name].ndim < 2)
        self.layout = Layout(tuple(names), tuple(tuple(trained[0][name].shape) for name in names))
        self.model = deepcopy(models[0])
        self._recurrent = [layer for layer in self.model.modules() if isinstance(layer, nn.RNNBase)]
        for cells in self._recurrent:  # else torch, on a GPU, lays changed weights out for cuDNN
            cells._flat_weight_refs = [None] * len(cells._flat_weights_names)
        self._droppers = droppers(self.model)
        self._places = [
            (*owner, index) for index, name in enumerate(names) for owner in _owners(self.model, name)
        ]
        still = _still(self.model)
        self._places += [(*owner, index) for index, owner in enumerate(still.values(), start=len(names))]
        found = [_still(model) for model in models]
        rates = [[float(layer.p) for layer in droppers(model)] for model in models]
        self._chance = Chance(_classes(rates), str(next(self.model.parameters()).device))
        self._kernels = Kernels(self._chance)
        self._place(
            torch.stack([torch.cat([own[name].detach().flatten() for name in names]) for own in trained]),
            [_together([_held(own[name]) for own in found]) for name in still],
            torch.tensor(rates, dtype=torch.float64, device=next(self.model.parameters()).device),
        )

    def _place(self, weights: Tensor, still: list[Tensor], rates: Tensor) -> None:
        self.weights, self._still, self._rates = weights, still, rates
        self.leaves = [leaf.requires_grad_() for leaf in self.layout.views(weights)]

    def __len__(self) -> int:
        return len(self.weights)

    def keep(self, rows: Tensor) -> None:
        """Go on with these rows only."""
        self._chance.keep(rows.tolist())
        still = [tensor[rows] if tensor.ndim else tensor for tensor in self._still]
        self._place(self.weights[rows], still, self._rates[rows])

    def row(self, row: int) -> dict[str, Any]:
        """Return one model's tensors, trained ones first."""
        own = [leaf.detach()[row] for leaf in self.leaves]
        return {
            "trained": dict(zip(self.layout.names, own, strict=True)),
            "still": [tensor[row] if tensor.ndim else tensor for tensor in self._still],
        }

    @torch.no_grad()
    def load(self, row: int, kept: Mapping[str, Any]) -> None:
        """Give a model the tensors that another's `row` was."""
        for name, leaf in zip(self.layout.names, self.layout.views(self.weights), strict=True):
            leaf[row].copy_(kept["trained"][name])
        for tensor, value in zip(self._still, kept["still"], strict=True):
            (tensor[row] if tensor.ndim else tensor).copy_(value)

    def seed(self, seed: int) -> None:
        """Let chance, such as dropout, begin anew; every model meets the same as if it were alone."""
        seed_chance(seed)
        self._chance.seed(seed)

    @property
    def drops(self) -> bool:
        """Whether dropout has drawn anything on a CPU since chance began anew."""
        return self._chance.drew

    def train(self, *, mode: bool = True) -> None:
        """From now on behave as in training, else as in evaluation."""
        self.model.train(mode)

    def __call__(self, inputs: Tensor, leaves: Sequence[Tensor] | None = None) -> Any:
        """Return all models' outputs for the same inputs, stacked: shape [K, batch, ...].

        `leaves` stand in for the models' own, for averages of them. Buffers, such as running statistics,
        are changed in training.
        """
        stacked = (*(leaves or self.leaves), *self._still, *self._rates.unbind(1))
        dims = (None, *(0 if tensor.ndim else None for tensor in stacked))
        forward = torch.vmap(self._forward, dims, randomness="same")
        with self._kernels:
            return forward(inputs, *stacked)

    def _forward(self, inputs: Tensor, *own: Tensor) -> Any:
        """Put one model's tensors, all of them stand-ins for K, in their places, and run it."""
        for owner, key, index in self._places:
            owner[key] = own[index]
        rates = own[len(own) - len(self._droppers) :]
        for dropper, rate in zip(self._droppers, rates, strict=True):
            dropper.p = rate  # type: ignore[assignment]
        for cells in self._recurrent:
            cells._flat_weights = [cells._parameters[name] for name in cells._flat_weights_names]
        outputs = self.model(inputs)
        if any(owner[key] is not own[index] for owner, key, index in self._places):
            raise NotImplementedError("the model assigns a buffer anew, rather than in place")
        return outputs


def droppers(model: nn.Module) -> list[nn.Dropout]:
    """Return the layers of a model whose dropout rate may differ between trials."""
    return [layer for layer in model.modules() if type(layer) is nn.Dropout]


def _classes(rates: Sequence[Sequence[float]]) -> list[int]:
    """Number the rows so that those with the same rates share a number, and with it their chance."""
    known: dict[tuple[float, ...], int] = {}
    return [known.setdefault(tuple(row), len(known)) for row in rates]


def _trained(model: nn.Module) -> dict[str, nn.Parameter]:
    return {name: item for name, item in model.named_parameters() if item.requires_grad}


def _owners(model: nn.Module, name: str) -> list[Place]:
    """Return every place that holds this parameter; tied weights have several."""
    wanted = model.get_parameter(name)
    return [
        (layer._parameters, key)
        for layer in model.modules()
        for key, item in layer._parameters.items()
        if item is wanted
    ]


def _still(model: nn.Module) -> dict[str, Place]:
    """Return the place of each tensor that no optimizer steps: of buffers and frozen parameters."""
    return {
        f"{prefix}.{key}": (owner, key)
        for prefix, layer in model.named_modules()
        for owner in (layer._parameters, layer._buffers)
        for key, item in owner.items()
        if item is not None and not item.requires_grad
    }


def _together(tensors: list[Tensor]) -> Tensor:
    """Stack a buffer of all models; a counter, such as of the batches seen, is one for all."""
    first = tensors[0]
    return first.clone() if first.ndim == 0 and not first.is_floating_point() else torch.stack(tensors)


def _held(place: Place) -> Tensor:
    owner, key = place
    held: Tensor = owner[key]
    return held.detach()
