"""A recipe's training as one writes it by hand: a model, a torch optimizer, LambdaLR, clip_grad_norm_.

Nothing of hpo is imported. A configuration has hpo's dotted names: `optimizer` is sgd or adamw, `schedule`
constant, step or cosine; `clip_norm` may be None. Chance is that of hpo's own loop: the same initial weights,
and the same order of the data in each epoch.
"""

from __future__ import annotations

import importlib.util
import inspect
import math
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any, NamedTuple

import torch
from torch import Tensor, nn

RECIPES = Path(__file__).resolve().parent.parent / "recipes"


class Task(NamedTuple):
    """What is trained: a recipe's module, its data, and for how long. hpo's own `Task` will do as well."""

    recipe: Any
    splits: Mapping[str, Any]
    epochs: int
    seed: int
    device: str = "cpu"


def load(name: str, options: Mapping[str, Any], epochs: int, seed: int) -> tuple[Task, dict[str, Any]]:
    """Return the task of a recipe that ships, and the part of a configuration that its options are."""
    spec = importlib.util.spec_from_file_location(name, RECIPES / f"{name}.py")
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    data, model = (_taken(function, options) for function in (module.data, module.model))
    task = Task(module, module.data(**data), epochs, seed)
    return task, {f"model.{key}": value for key, value in model.items()}


def _taken(function: Callable[..., Any], options: Mapping[str, Any]) -> dict[str, Any]:
    names = inspect.signature(function).parameters
    return {name: value for name, value in options.items() if name in names}


def train(task: Task, config: Mapping[str, Any]) -> Iterator[float]:
    """Train; yield the loss on validation data after each epoch."""
    torch.manual_seed(task.seed)
    model = task.recipe.model(**below("model", config)).to(task.device)
    optimizer = make_optimizer(model, config)
    inputs, targets = task.splits["train"].tensors
    size = int(config["batch_size"])
    steps = task.epochs * math.ceil(len(inputs) / size)
    schedule = torch.optim.lr_scheduler.LambdaLR(optimizer, factor(config, steps))
    for epoch in range(1, task.epochs + 1):
        torch.manual_seed((1_000_003 * task.seed + epoch) % 2**32)
        model.train()
        for rows in torch.randperm(len(inputs)).to(task.device).split(size):
            optimizer.zero_grad()
            loss = task.recipe.loss(model(inputs[rows]), targets[rows])
            loss.backward()
            if config["clip_norm"]:
                torch.nn.utils.clip_grad_norm_(model.parameters(), config["clip_norm"])
            optimizer.step()
            schedule.step()
        yield validate(task, model, size)


@torch.no_grad()
def validate(task: Task, model: nn.Module, size: int) -> float:
    """Return the mean loss over the validation data."""
    model.eval()
    inputs, targets = task.splits["validation"].tensors
    batches: list[tuple[Tensor, Tensor]] = list(zip(inputs.split(size), targets.split(size), strict=True))
    losses = [float(task.recipe.loss(model(held), wanted)) * len(wanted) for held, wanted in batches]
    return sum(losses) / len(targets)


def make_optimizer(model: nn.Module, config: Mapping[str, Any]) -> torch.optim.Optimizer:
    own = below("optimizer", config)
    rate, decay = own["lr"], own["weight_decay"]
    if config["optimizer"] == "sgd":
        momentum, nesterov = own["momentum"], own["nesterov"]
        return torch.optim.SGD(model.parameters(), rate, momentum, weight_decay=decay, nesterov=nesterov)
    return torch.optim.AdamW(model.parameters(), rate, (own["beta1"], own["beta2"]), weight_decay=decay)


def factor(config: Mapping[str, Any], steps: int) -> Callable[[int], float]:
    """Return what gives for each step by what the learning rate is multiplied."""
    if config["schedule"] == "cosine":
        return lambda step: (1 + math.cos(math.pi * step / steps)) / 2
    if config["schedule"] == "step":
        length = max(1, round(config["schedule.step_size"] * steps))
        return lambda step: float(config["schedule.gamma"] ** (step // length))
    return lambda _: 1.0


def below(name: str, config: Mapping[str, Any]) -> dict[str, Any]:
    return {key.partition(".")[2]: value for key, value in config.items() if key.startswith(f"{name}.")}
