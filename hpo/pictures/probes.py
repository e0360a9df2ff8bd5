"""A look into the winner: it is trained once more, and then shown data.

It is trained by the plain engine from the same seed, as an export would, so this is the winner itself.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

import torch
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from torch import Tensor, nn
from torch.nn.modules.batchnorm import _BatchNorm
from torch.utils.data import TensorDataset

from hpo.config import Config
from hpo.pictures.style import BLACK, COLORS, FAINT, NotDrawnError, legend, panels
from hpo.planning.plan import Plan
from hpo.training import plain
from hpo.training.engine import Member, Task
from hpo.training.loop.loaders import read
from hpo.vocabulary import MODEL
from hpo.worker.job import Job
from hpo.worker.preparation import prepare

_SAMPLES: Final = 1024
_CHANNELS: Final = 32
_BINS: Final = 60


@dataclass
class Winner:
    """A trial's configuration and, once it is asked for, its trained model."""

    plan: Plan
    number: int
    config: Config
    _model: nn.Module | None = None

    @property
    def task(self) -> Task:
        """What it is trained on."""
        return prepare(Job.of(self.plan).here)

    @property
    def name(self) -> str:
        """How pictures call it."""
        return f"{self.plan.search.name}, trial {self.number}"

    def untrained(self) -> nn.Module:
        """Return its model as it starts, to see what it consists of."""
        model: nn.Module = self.task.recipe.model(**self.config.below(MODEL))
        return model

    def trained(self) -> nn.Module:
        """Return its trained model, ready to be evaluated; the first call trains it."""
        if self._model is None:
            self._model = plain.train_model(self.task, Member(self.number, self.config))
        return self._model


def batch_norm(winner: Winner) -> Figure:
    """Draw the activations before and after the first batch normalization, on validation data.

    Raises:
        NotDrawnError: the model has none.
    """
    if _first_norm(winner.untrained()) is None:
        raise NotDrawnError("the model has no batch normalization")
    layer, before, after = _look(winner)
    kind, channels = type(dict(winner.trained().named_modules())[layer]).__name__, len(before)
    about = (
        f"{winner.name}, trained again: layer {layer} ({kind}, {channels} channels), "
        "validation data; faint: single channels"
    )
    title = "Activations before and after batch normalization"
    figure, axes = panels(title, about, columns=2, one_scale=False)
    for panel, title, values in zip(axes, ("before", "after"), (before, after), strict=True):
        _histogram(panel, values)
        panel.set_title(f"{title}: mean {values.mean().item():.2f}, deviation {values.std().item():.2f}")
        panel.set_xlabel("activation")
    axes[0].set_ylabel("density")
    return figure


def _first_norm(model: nn.Module) -> tuple[str, nn.Module] | None:
    norms = ((name, layer) for name, layer in model.named_modules() if isinstance(layer, _BatchNorm))
    return next(norms, None)


def _look(winner: Winner) -> tuple[str, Tensor, Tensor]:
    """Return the layer's name, and what goes in and comes out, each of shape [channels, values]."""
    model = winner.trained()
    found = _first_norm(model)
    if found is None:
        raise NotDrawnError("the model has no batch normalization")
    name, layer = found
    seen: list[tuple[Tensor, Tensor]] = []

    def hook(_: nn.Module, inputs: tuple[Tensor, ...], outputs: Tensor) -> None:
        seen.append((inputs[0].cpu(), outputs.cpu()))

    handle = layer.register_forward_hook(hook)
    inputs, _ = next(iter(read(winner.task.splits["validation"], _SAMPLES)))
    with torch.no_grad():
        model(inputs.to(winner.task.device))
    handle.remove()
    before, after = (tensor.transpose(0, 1).flatten(start_dim=1).float() for tensor in seen[0])
    return name, before, after


def _histogram(panel: Axes, values: Tensor) -> None:
    """Draw the density of all values and, faint, that of each channel; the outermost 0.1% are cut off."""
    low, high = (float(torch.quantile(_thinned(values), share)) for share in (0.001, 0.999))
    for channel in values[:_CHANNELS]:
        _density(panel, channel, low, high, color=FAINT, linewidth=0.7, alpha=0.5)
    _density(panel, values.flatten(), low, high, color=COLORS[0], linewidth=2.2)


def _thinned(values: Tensor) -> Tensor:
    """Return at most a million values: torch takes no quantile of many more."""
    flat = values.flatten()
    return flat[:: max(1, len(flat) // 1_000_000)]


def _density(panel: Axes, values: Tensor, low: float, high: float, **style: object) -> None:
    inside = values[(values >= low) & (values <= high)]
    if len(inside) and high > low:
        panel.hist(inside.numpy(), bins=_BINS, range=(low, high), density=True, histtype="step", **style)  # type: ignore[arg-type]


def fit(winner: Winner) -> Figure:
    """Draw what a model of one input and one output has made of its points.

    Raises:
        NotDrawnError: the data has more columns.
    """
    columns = _columns(winner.task.splits["train"])
    if columns is None:
        raise NotDrawnError("the data is not one column of inputs with one column of targets")
    inputs, targets = columns
    model = winner.trained()
    grid = torch.linspace(float(inputs.min()), float(inputs.max()), 200, dtype=inputs.dtype)[:, None]
    figure, (panel, *_) = panels("The fitted line and its points", f"{winner.name}, trained again")
    panel.plot(inputs.flatten(), targets.flatten(), "o", color=COLORS[0], alpha=0.6, label="training data")
    with torch.no_grad():
        fitted = model(grid.to(winner.task.device)).cpu().flatten()
    panel.plot(grid.flatten(), fitted, color=BLACK, linewidth=2, label=_equation(grid.flatten(), fitted))
    panel.set_xlabel("input")
    panel.set_ylabel("target")
    legend(figure, panel)
    return figure


def _columns(split: object) -> tuple[Tensor, Tensor] | None:
    if not isinstance(split, TensorDataset) or len(split.tensors) != 2:
        return None
    inputs, targets = split.tensors
    single = all(tensor.numel() == len(tensor) and tensor.is_floating_point() for tensor in split.tensors)
    return (inputs, targets) if single and inputs.ndim == 2 else None


def _equation(inputs: Tensor, outputs: Tensor) -> str:
    """Return the line as an equation, if it is a line."""
    slope = float((outputs[-1] - outputs[0]) / (inputs[-1] - inputs[0]))
    start = float(outputs[0]) - slope * float(inputs[0])
    straight = torch.allclose(outputs, slope * inputs + start, rtol=1e-4, atol=1e-6)
    sign = "+" if start >= 0 else "-"
    return f"fitted: {slope:.4g} x {sign} {abs(start):.4g}" if straight else "fitted"
