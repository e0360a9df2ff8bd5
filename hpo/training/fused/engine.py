"""The fused engine: what the plain engine does for each trial, done for K trials at once.

Equal to it beyond rounding: the same weights to begin with, the same order of the data, the same chance.
"""

from __future__ import annotations

import math
import time
from collections.abc import Collection, Sequence
from dataclasses import replace
from functools import partial
from typing import cast

import torch
from torch import Tensor

from hpo.training import plain
from hpo.training.beginning import loss_limit, notes_of, start_model, warn_of_few
from hpo.training.engine import Member, Progress, Task
from hpo.training.fused.allocator import keep_freed
from hpo.training.fused.gradients import Shaping
from hpo.training.fused.grouping import Group, split
from hpo.training.fused.measures import Losses, Measure
from hpo.training.fused.record import Record, Report, Steps
from hpo.training.fused.stack import Stack
from hpo.training.fused.updates import Average, Updates
from hpo.training.loop.batches import place
from hpo.training.loop.gradients import Batch
from hpo.training.loop.loaders import count_steps
from hpo.training.loop.loop import epoch_seed
from hpo.training.snapshot import STACK, Snapshot, pack, unpack
from hpo.training.words.schedule_words import schedule_call
from hpo.training.words.schedules import Schedule
from hpo.training.words.values import ACCUMULATE
from hpo.trial import ALONE, Point


def train(task: Task, members: Sequence[Member], least: int = 2) -> Progress:
    """Train the members fused as far as they can be; see `hpo.training.engine.Engine`.

    So many of them, `least`, must be alike for a stack to be worth it; fewer train plainly.
    """
    keep_freed()
    splits = {name: place(task.splits[name], task.device) for name in ("train", "validation")}
    task = replace(task, splits={**task.splits, **splits})

    def first(member: Member) -> Batch:
        return _on(task.device, next(plain.read(task, splits, "train", member.batch_size, 0)))

    groups = split(task, members, start_model, first, least)
    parts = [_plainly(task, group) if group.reason else _fused(task, group) for group in groups]
    return _side_by_side(parts, [member.number for member in members])


def _side_by_side(parts: Sequence[Progress], order: Sequence[int]) -> Progress:
    """Run groups epoch by epoch, as if they were one."""
    live = [(part, own) for part in parts if (own := next(part, []))]
    while live:
        reports = sorted((it for _, own in live for it in own), key=lambda it: order.index(it.trial))
        chosen = yield reports
        answered = [(part, _answer(part, chosen)) for part, _ in live]
        live = [(part, own) for part, own in answered if own]


def _answer(part: Progress, chosen: Collection[int] | None) -> list[Report]:
    try:
        return part.send(chosen)
    except StopIteration:
        return []


def _plainly(task: Task, group: Group) -> Progress:
    """Train a group plainly, and note why."""
    progress = plain.train(task, group.members)
    reports: list[Report] = next(progress, [])
    while reports:
        chosen = yield [_explained(report, group.reason) for report in reports]
        reports = _answer(progress, chosen)


def _explained(report: Report, reason: str) -> Report:
    if not isinstance(report, Point):
        return report
    return replace(report, notes={**report.notes, ALONE: reason})


def _fused(task: Task, group: Group) -> Progress:
    training, done = _Training(task, group), group.members[0].done
    del group  # with its models, of which the stack has copies
    for epoch in range(done + 1, task.epochs + 1):
        reports = training.epoch(epoch)
        chosen = yield reports
        sound = (it.trial for it in reports if isinstance(it, Point))
        kept = [trial for trial in sound if chosen is None or trial in chosen]
        if not kept:
            return
        training.keep(kept)


def _on(device: str, batch: Sequence[Tensor]) -> Batch:
    return tuple(tensor.to(device) for tensor in batch)


class _Training:
    """A group under way: rows of one stack."""

    def __init__(self, task: Task, group: Group) -> None:
        self.task = replace(task, snapshots=None)  # which hold on to this training
        self.splits, self.members = task.splits, group.members
        first = group.members[0]
        self.batch_size, self.micro_batches = first.batch_size, cast("int", first.config[ACCUMULATE.name])
        self.stack = Stack(group.models)
        configs = [member.config for member in group.members]
        self.updates = Updates(configs, self.stack.layout, self.stack.weights, group.filled)
        self.average = Average(configs, self.stack.weights)
        self.schedules = [schedule_call(member, task.recipe.__name__).build() for member in configs]
        self.measures = {name: Measure(measure) for name, measure in task.measures.items()}
        self.steps = count_steps(self.splits["train"], self.batch_size)
        started = zip(group.members, group.starts, strict=True)
        self.notes = {member.number: notes_of(task, start) for member, start in started}
        self.limits = torch.full((len(configs),), math.inf, dtype=torch.float64)
        self.scores: list[list[float]] = [[] for _ in configs]
        self._settle()
        for row, member in enumerate(self.members):
            if task.snapshots is not None:
                task.snapshots[member.number] = partial(self.snapshot, member.number)
            if member.snapshot:
                self._take_up(row, member.snapshot)

    def snapshot(self, trial: int) -> Snapshot:
        """Return the training of a trial as it stands."""
        row = next(row for row, member in enumerate(self.members) if member.number == trial)
        tree = {
            "stack": self.stack.row(row),
            "updates": self.updates.row(row),
            "average": self.average.row(row),
        }
        return Snapshot(STACK, tuple(self.scores[row]), float(self.limits[row]), *pack(tree))

    def _take_up(self, row: int, past: Snapshot) -> None:
        self.scores[row], self.limits[row] = list(past.scores), past.limit
        found = unpack(past.tensors, past.facts)
        self.stack.load(row, found["stack"])
        self.updates.load(row, found["updates"])
        self.average.load(row, found["average"], self.stack.weights)
        for epoch, score in enumerate(past.scores, start=1):
            self._ask(self.schedules[row], epoch)
            self._tell(self.schedules[row], epoch, score)

    def _settle(self) -> None:
        """Make anew what depends on who is there, and keeps nothing."""
        configs = [member.config for member in self.members]
        self.losses = Losses(self.task.recipe.loss, configs, self.task.device)
        self.shaping = Shaping(configs, self.stack.layout, self.stack.weights)
        self.gradients = torch.empty_like(self.stack.weights)
        self.views = self.stack.layout.views(self.gradients)

    def keep(self, trials: Collection[int]) -> None:
        """Go on with these trials only."""
        places = [row for row, member in enumerate(self.members) if member.number in trials]
        if len(places) == len(self.members):
            return
        rows = torch.tensor(places)  # on the CPU, from where whatever lies anywhere can be picked
        for part in (self.stack, self.updates, self.average):
            part.keep(rows)
        self.limits = self.limits[rows]
        self.members = [self.members[row] for row in places]
        self.schedules = [self.schedules[row] for row in places]
        self.scores = [self.scores[row] for row in places]
        self._settle()

    def epoch(self, epoch: int) -> list[Report]:
        """Train and evaluate for one epoch, counted from 1."""
        start = time.perf_counter()
        factors = self._factors(epoch)
        steps = self._train(epoch, factors)
        if epoch == 1:
            self._begin(steps)
        measured = self._evaluate()
        share = (time.perf_counter() - start) / len(self.members)
        record = Record(epoch, steps, factors[-1], measured, share)
        return [self._report(record, row) for row in range(len(self.members))]

    def _report(self, record: Record, row: int) -> Report:
        objective = self.task.objective
        report = record.report(row, self.members[row], float(self.limits[row]), objective)
        if isinstance(report, Point):
            self._tell(self.schedules[row], report.epoch, report.score)
            self.scores[row].append(report.score)
            report = replace(report, notes=self.notes[report.trial])
        return report

    def _factors(self, epoch: int) -> Tensor:
        each = [self._ask(schedule, epoch) for schedule in self.schedules]
        return torch.tensor(each, dtype=torch.float64).T

    def _ask(self, schedule: Schedule, epoch: int) -> list[float]:
        """Return the factors of all steps of an epoch."""
        first, whole = (epoch - 1) * self.steps, self.task.epochs * self.steps
        return [schedule.factor(step, whole) for step in range(first, first + self.steps)]

    def _tell(self, schedule: Schedule, epoch: int, score: float) -> None:
        cost = self.task.objective.cost(score)
        schedule.hear(cost, epoch * self.steps, self.task.epochs * self.steps)

    def _begin(self, steps: Steps) -> None:
        """Note what the first step tells."""
        limits = map(loss_limit, steps.losses[0].tolist())
        self.limits = torch.tensor([*limits], dtype=torch.float64)
        warn_of_few(self.task, self.stack.model, int(steps.samples[0]), self.micro_batches)

    def _train(self, epoch: int, factors: Tensor) -> Steps:
        seed = epoch_seed(self.task.seed, epoch)
        self.stack.seed(seed)
        self.stack.train()
        self.updates.plan(factors)
        seen, samples, moments = [], [], (torch.empty(0), torch.empty(0))
        for batch in plain.read(self.task, self.splits, "train", self.batch_size, seed, epoch):
            losses = self._look(_on(self.task.device, batch))
            seen.append((losses, *self.shaping(self.stack.weights, self.gradients)))
            samples.append(len(batch[-1]))
            if len(samples) == self.steps:
                moments = self._moments()
            self.updates.step(self.stack.weights, self.gradients)  # which uses the gradients up
            self.average.follow(self.stack.weights)
        losses, norms, clipped = (torch.stack(each).double().cpu() for each in zip(*seen, strict=True))
        return Steps(losses, norms, clipped, torch.tensor(samples, dtype=torch.float64), *moments)

    def _moments(self) -> tuple[Tensor, Tensor]:
        """Return the mean and the mean square of each gradient's entries."""
        square = torch.linalg.vector_norm(self.gradients, dim=1).double().square()
        entries = self.gradients.shape[1]
        return self.gradients.mean(dim=1).double().cpu(), square.cpu() / entries

    def _look(self, batch: Batch) -> Tensor:
        """Leave the gradients of a batch, and return its losses, shape [K]."""
        total = None
        for part, share in self._micro_batches(batch):
            losses = self.losses(self.stack(part[0]), part[1]) * share
            found = torch.autograd.grad(losses.sum(), self.stack.leaves)
            if total is None:
                torch._foreach_copy_(self.views, found)
                total = losses.detach()
            else:
                torch._foreach_add_(self.views, found)
                total = total + losses.detach()
        return cast("Tensor", total)

    def _micro_batches(self, batch: Batch) -> list[tuple[Batch, float]]:
        """Cut a batch, and say by which share of its samples each part counts; see `Accumulated`."""
        samples = len(batch[-1])
        count = max(1, min(self.micro_batches, samples // 2))
        if count == 1:
            return [(batch, 1.0)]
        parts = zip(*(tensor.tensor_split(count) for tensor in batch), strict=True)
        return [(part, len(part[-1]) / samples) for part in parts]

    @torch.no_grad()
    def _evaluate(self) -> dict[str, Tensor]:
        """Return the mean of each measure over the validation data, shape [K]."""
        self.stack.train(mode=False)
        average = self.average.weights
        leaves = None if average is None else self.stack.layout.views(average)
        none = torch.zeros(len(self.members), dtype=torch.float64, device=self.task.device)
        sums = dict.fromkeys(self.measures, none)
        samples = 0
        for batch in plain.read(self.task, self.splits, "validation", self.task.measured_at):
            inputs, targets = _on(self.task.device, batch)
            outputs = self.stack(inputs, leaves)
            samples += len(targets)
            for name, measure in self.measures.items():
                sums[name] = sums[name] + measure(outputs, targets, len(self.members)) * len(targets)
        return {name: (total / samples).cpu() for name, total in sums.items()}
