"""The plain engine: one model, one optimizer and one loop for each trial, as anyone would write it."""

from __future__ import annotations

import math
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import replace
from itertools import count
from statistics import fmean
from typing import Any, NamedTuple, cast

import torch
from torch import nn
from torch.optim.swa_utils import AveragedModel

from hpo.config import Config
from hpo.training.beginning import loss_limit, notes_of, start_model, warn_of_few
from hpo.training.demands import demand_batches, demand_scalar, told_of_data
from hpo.training.distributed import Alone
from hpo.training.engine import Member, Progress, Task, unsound_metric
from hpo.training.loop import loaders
from hpo.training.loop.batches import BatchSize, Split, place
from hpo.training.loop.clipping import Clipping, gradient_moments
from hpo.training.loop.gradients import Batch, Gradient, Loss
from hpo.training.loop.loop import Step, epoch_seed, mean_loss, train_epoch
from hpo.training.loop.scheduler import Scheduler
from hpo.training.memory import is_known, measure, predict
from hpo.training.snapshot import PLAIN, Parts, Snapshot, pack, unpack
from hpo.training.transfer import Start
from hpo.training.words.optimizers import optimizer_call
from hpo.training.words.schedule_words import schedule_call
from hpo.training.words.values import (
    average_calls,
    gradient_call,
    loss_calls,
    parameters_call,
    slow_calls,
)
from hpo.trial import TEST, Divergence, Point


def train(task: Task, members: Sequence[Member]) -> Progress:
    """Train the members side by side; see `hpo.training.engine.Engine`."""
    wanted = ("train", "validation", TEST) if any(it.tested for it in members) else ("train", "validation")
    splits = {name: place(task.splits[name], task.device) for name in wanted if name in task.splits}
    begun = [_Training(task, splits, member) for member in members]
    live = [training for training in begun if training.done < task.epochs]
    while live:
        results = [training.epoch(training.done + 1) for training in live]
        chosen = yield results
        sound = {result.trial for result in results if isinstance(result, Point)}
        kept = sound if chosen is None else sound & set(chosen)
        live = [training for training in live if training.number in kept and training.done < task.epochs]


def train_model(
    task: Task,
    member: Member,
    hear: Callable[[Point], None] = lambda _: None,
    begun: tuple[nn.Module, Start] | None = None,
) -> nn.Module:
    """Train one member on to the end; return the model that was measured, ready to be evaluated.

    Args:
        task: what is trained on.
        member: what is trained.
        hear: is told each epoch that is trained.
        begun: the model that is trained on as it is, and what of it a checkpoint has filled; without one, the
            recipe's is made and started.

    Raises:
        FloatingPointError: it has diverged.
    """
    splits = {name: place(it, task.device) for name, it in task.splits.items()}
    training = _Training(task, splits, member, begun)
    for epoch in range(training.done + 1, task.epochs + 1):
        point = training.epoch(epoch)
        if isinstance(point, Divergence):
            raise FloatingPointError(point.reason)
        hear(point)
    measured = training.evaluated
    return (measured.module if isinstance(measured, AveragedModel) else measured).eval()


class Rehearsal(NamedTuple):
    """A model, its optimizer, and what trains it step by step, epoch after epoch, and measures nothing."""

    model: nn.Module
    optimizer: torch.optim.Optimizer
    steps: Iterator[Step]


def rehearse(task: Task, member: Member) -> Rehearsal:
    """Train a member only to see how that goes.

    Raises:
        ValueError: there is nothing to train on.
    """
    training = _Training(task, {"train": place(task.splits["train"], task.device)}, member)
    if not training.steps:
        raise ValueError("there is not one batch to train on")
    steps = (step for epoch in count(1) for step in training.steps_of(epoch))
    return Rehearsal(training.model, training.optimizer, steps)


def read(
    task: Task, splits: Mapping[str, Split], name: str, batch_size: BatchSize, *order: int
) -> Iterator[Batch]:
    """Yield the batches of an epoch of one of the splits; see `hpo.training.loop.loaders.read`.

    Args:
        task: what is trained on.
        splits: its data, as they are placed.
        name: of the split.
        batch_size: samples in one batch.
        *order: the seed that it is shuffled by and the number of the epoch; without them all data in order.

    Raises:
        RecipeError: they cannot be cut so; when they are read, that one is no pair of tensors.
    """
    with told_of_data(task.recipe):
        batches = loaders.read(splits[name], batch_size, *order)
    return demand_batches(name, batches, task.recipe)


def _loss(task: Task, config: Config) -> Loss:
    loss: Loss = demand_scalar("loss", task.recipe.loss, learnt=True)
    for call in loss_calls(config):
        loss = call.build(loss)
    return loss


def _optimizer(task: Task, config: Config, model: nn.Module, started: Start) -> torch.optim.Optimizer:
    parameters = parameters_call(config).build(model)
    for call in slow_calls(config):
        parameters = call.build(parameters, model, started.filled)
    optimizer: torch.optim.Optimizer = optimizer_call(config, task.recipe.__name__).build(parameters)
    return optimizer


def _clipping(config: Config) -> Clipping:
    return Clipping(*(cast("float | None", config[name]) for name in ("clip_norm", "clip_value")))


def _evaluated(config: Config, model: nn.Module, optimizer: torch.optim.Optimizer) -> nn.Module:
    """Return what is measured: the model, or the average of its weights that is kept beside it."""
    evaluated = model
    for call in average_calls(config):
        evaluated = call.build(model, optimizer)
    return evaluated


class _Training:
    """One member under way: its model, its optimizer and its scheduler."""

    def __init__(
        self,
        task: Task,
        splits: Mapping[str, Split],
        member: Member,
        begun: tuple[nn.Module, Start] | None = None,
    ) -> None:
        config = member.config
        self.task = replace(task, snapshots=None)  # which hold on to this training
        self.splits, self.number = splits, member.number
        self.tested = member.tested and TEST in splits
        self.batch_size = member.batch_size
        self.clip = _clipping(config)
        self.loss = _loss(task, config)
        self.measures = {name: demand_scalar(name, it) for name, it in task.measures.items()}
        self.team = task.team or Alone()
        self.model, self.started = begun or start_model(task, config)
        self.spread = self.team.spread(self.model)
        self.optimizer = _optimizer(task, config, self.model, self.started)
        self.micro_batches = cast("int", config["accumulate"])
        self.gradient: Gradient = gradient_call(config, task.device, self.team.innermost).build()
        self.evaluated = _evaluated(config, self.model, self.optimizer)
        schedule = schedule_call(config, task.recipe.__name__).build()
        with told_of_data(task.recipe):
            self.steps = loaders.count_steps(splits["train"], self.batch_size)
        self.scheduler = Scheduler(self.optimizer, schedule, task.epochs * self.steps)
        self.limit = math.inf
        self.predicted = predict(config, self.model) if is_known(config) else None
        self.scores: list[float] = []
        self.parts = Parts(self.model, self.evaluated, self.optimizer, self.gradient)
        if task.snapshots is not None and not self.team.shards:
            task.snapshots[member.number] = self.snapshot
        if member.snapshot and member.snapshot.engine == PLAIN:
            self._take_up(member.snapshot)

    @property
    def done(self) -> int:
        """The epochs that it has been trained for."""
        return len(self.scores)

    def snapshot(self) -> Snapshot:
        """Return the training as it stands."""
        return Snapshot(PLAIN, tuple(self.scores), self.limit, *pack(self.parts.tree()))

    def _take_up(self, past: Snapshot) -> None:
        self.scores, self.limit = list(past.scores), past.limit
        self.parts.load(unpack(past.tensors, past.facts))
        costs = map(self.task.objective.cost, past.scores)
        heard = [(epoch * self.steps, cost) for epoch, cost in enumerate(costs, start=1)]
        self.scheduler.load_state_dict({"taken": self.done * self.steps, "heard": heard})

    def epoch(self, epoch: int) -> Point | Divergence:
        """Train and evaluate for one epoch, counted from 1."""
        start = time.perf_counter()
        steps: list[Step] = []
        for step in self.steps_of(epoch):
            steps.append(step)
            if epoch == 1 and len(steps) == 1:
                self._begin(step)
            if not math.isfinite(step.loss) or step.loss > self.limit:
                return self._divergence(epoch, steps, step.loss)
        return self._ended(epoch, steps, start)

    def _ended(self, epoch: int, steps: Sequence[Step], start: float) -> Point | Divergence:
        """Evaluate after an epoch of these steps, which began at `start`."""
        measured = self._measured("validation")
        score = measured[self.task.objective.metric]
        if not (math.isfinite(measured["loss"]) and math.isfinite(score)):
            unsound = unsound_metric(self.task.objective, measured["loss"], score)
            return self._divergence(epoch, steps, measured["loss"], unsound)
        self.scheduler.hear(self.task.objective.cost(score))
        self.scores.append(score)
        grad_mean, grad_std = gradient_moments(self.model.parameters())
        return Point(
            trial=self.number,
            epoch=epoch,
            score=score,
            loss=measured.pop("loss"),
            train_loss=mean_loss(steps),
            lr=steps[-1].lr,
            grad_norm=fmean(step.grad_norm for step in steps),
            clipped_norm=fmean(step.clipped_norm for step in steps),
            seconds=time.perf_counter() - start,
            metrics=measured,
            clipped_share=fmean(step.clipped_norm < step.grad_norm for step in steps),
            grad_mean=grad_mean,
            grad_std=grad_std,
            notes=self._notes(),
        )

    def _measured(self, split: str) -> dict[str, float]:
        batches = read(self.task, self.splits, split, self.task.measured_at)
        return self.team.evaluate(self.evaluated, self.measures, batches)

    def _notes(self) -> dict[str, Any]:
        """Say what the trial takes, what it started from and, at its end, how it does on test data."""
        taken = {"measured": measure(self.optimizer, self.model, self.evaluated).parts}
        if self.predicted:
            taken = {"predicted": self.predicted.parts, **taken}
        tested = {TEST: self._measured(TEST)} if self.tested and self.done == self.task.epochs else {}
        return {"memory": taken, **notes_of(self.task, self.started), **tested}

    def _begin(self, first: Step) -> None:
        """Note what the first step tells."""
        self.limit = loss_limit(first.loss)
        warn_of_few(self.task, self.model, first.samples, self.micro_batches)

    def steps_of(self, epoch: int) -> Iterator[Step]:
        """Take the steps of an epoch, counted from 1."""
        seed = epoch_seed(self.task.seed, epoch)
        self.team.seed(seed)
        batches = read(self.task, self.splits, "train", self.batch_size, seed, epoch)
        return train_epoch(
            self.spread, self.loss, self.optimizer, self.scheduler, self.gradient, self.clip, batches
        )

    def _divergence(self, epoch: int, steps: Sequence[Step], loss: float, metric: str = "") -> Divergence:
        return Divergence(self.number, epoch, len(steps) - 1, loss, steps[-1].grad_norm, metric=metric)
