"""A single training on the screen: about ten of its epochs, and the memory that it takes."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Final

from rich.console import Console, Group, RenderableType
from rich.padding import Padding
from rich.table import Table
from rich.text import Text

from hpo.history import History, Search, Trial
from hpo.recipe import Objective
from hpo.results import phrasing
from hpo.terminal import overview, wishing, wording
from hpo.terminal.lines import say, tell
from hpo.terminal.notices import Notices
from hpo.trial import Point

if TYPE_CHECKING:
    from hpo.planning.plan import Plan

_ROWS: Final = 10
_WIDTHS: Final = {"epoch": 5, "train_loss": 10, "loss": 9, "grad_norm": 9, "clipped": 9, "share": 5}
_WIDTH: Final = 8


def stride(epochs: int) -> int:
    """Return the step between shown epochs: 1, 2 or 5 times a power of ten, so that about ten are shown.

    >>> stride(1000), stride(18), stride(7)
    (100, 2, 1)
    """
    size = 1
    while True:
        for digit in (1, 2, 5):
            if digit * size * _ROWS >= epochs:
                return digit * size
        size *= 10


def shown(points: Sequence[Point], epochs: int) -> list[Point]:
    """Return the points of round numbers of epochs, and the last one."""
    step = stride(epochs)
    return [point for point in points if point.epoch % step == 0 or point is points[-1]]


def cells(point: Point, objective: Objective) -> dict[str, str]:
    """Return what is shown of an epoch, by column; the losses with the digits that papers print."""
    scores = {objective.metric: point.score} | {"loss": point.loss, **point.metrics}
    return {
        "epoch": str(point.epoch),
        "train_loss": wording.loss(point.train_loss),
        **{name: wording.loss(it) if name == "loss" else wording.number(it) for name, it in scores.items()},
        "lr": wording.number(point.lr),
        "grad_norm": wording.number(point.grad_norm),
        "clipped": wording.number(point.clipped_norm),
        "share": f"{point.clipped_share:.0%}",
    }


def curve(trial: Trial, objective: Objective, epochs: int) -> Table:
    """Return a training's shown epochs as a table."""
    rows = [cells(point, objective) for point in shown(trial.points, epochs)]
    table = Table(box=None, pad_edge=False, padding=(0, 2, 0, 0), header_style="dim")
    for name in rows[0] if rows else ():
        table.add_column(name, justify="right", min_width=_WIDTHS.get(name, 0))
    for row in rows:
        table.add_row(*row.values())
    return table


def show(search: Search, history: History, words: Sequence[str] = ()) -> RenderableType:
    """Return a training on one page: what it is, its curve, its memory, and what to do next.

    `words` are what the commands need to find it again, such as `store=…`.
    """
    title = Text.assemble(*_title(search, history))
    parts: list[RenderableType] = [title]
    for trial in history.trials.values():
        title.append(f"\n{phrasing.short(trial.proposal.config)}")
        parts += [curve(trial, history.objective, trial.epochs)] if trial.points else []
        parts += [Text(wording.memory(trial.memory))] if trial.memory else []
    return Group(
        *(Padding(part, (0, 0, 1, 0)) for part in parts), overview.next_steps(search, history, words)
    )


def _title(search: Search, history: History) -> list[str | tuple[str, str]]:
    epochs = f"{history.epochs} epoch{'' if history.epochs == 1 else 's'}"
    took = f"{epochs} {overview.took(search, history)}"
    where = f"{search.settings['device']} · seed {search.settings['seed']} · {took}"
    return [*overview.headline(search), f"\n{search.recipe} · {search.objective} · {where}"]


def foretold(plan: Plan) -> str:
    """Say what memory the training will take."""
    from hpo.worker.job import Job
    from hpo.worker.preparation import foretell  # imports torch

    try:
        return wording.memory({"predicted": foretell(Job.of(plan), plan.baseline).parts})
    except Exception as error:  # noqa: BLE001 - whatever the recipe raises is told again when it trains
        return f"memory not predicted: {type(error).__name__}: {wording.first_line(str(error))}"


def _opening(plan: Plan) -> list[str]:
    """Return what is said before a training begins."""
    search, where = plan.search, plan.search.settings["device"]
    return [
        f"{search.name}  {search.recipe} · {search.objective} · {plan.epochs} epochs · {where}",
        phrasing.short(plan.baseline),
        foretold(plan),
    ]


class Lines:
    """A line for each epoch that is shown, as soon as it is trained."""

    def __init__(self, console: Console) -> None:
        self._console, self._notices = console, Notices(console)
        self._told, self._stride, self._headed, self._standing = 0, 1, False, ""
        self._history: History | None = None

    def start(self, plan: Plan, history: History) -> None:
        """Say what is trained, and what memory it will take."""
        self._stride = stride(plan.epochs)
        self._told = history.epochs
        self._notices.start(history)
        for line in _opening(plan):
            tell(self._console, line)

    def update(self, search: Search, history: History) -> None:
        """Print the epochs that are new, and that it pauses or goes on."""
        self._history = history
        self._notices.tell(history)
        self._tell(history, whole=False)
        standing = wishing.standing(search, history)
        if standing != self._standing:
            self._standing = standing
            self._say(standing or "going on")

    def finish(self) -> None:
        """Print the last epoch, if it was not yet."""
        if self._history:
            self._tell(self._history, whole=True)

    def _tell(self, history: History, *, whole: bool) -> None:
        points = [point for trial in history.trials.values() for point in trial.points][self._told :]
        for point in points:
            if point.epoch % self._stride == 0 or (whole and point is points[-1]):
                self._row(cells(point, history.objective))
                self._told = point.epoch

    def _row(self, row: dict[str, str]) -> None:
        widths = {name: _WIDTHS.get(name, max(_WIDTH, len(name))) for name in row}
        if not self._headed:
            self._say("  ".join(f"{name:>{width}}" for name, width in widths.items()))
            self._headed = True
        self._say("  ".join(f"{cell:>{widths[name]}}" for name, cell in row.items()))

    def _say(self, text: str) -> None:
        say(self._console, text)


class Picture:
    """Draws a training as it stands; made when a session of it begins."""

    def __init__(self, plan: Plan, history: History, clock: Callable[[], float] = time.monotonic) -> None:
        self._epochs, self._clock, self._started = plan.epochs, clock, clock()
        self._before = history.epochs
        self._opening = [Text(line) for line in _opening(plan)]

    def of(self, search: Search, history: History) -> RenderableType:  # noqa: ARG002 - as Picture.of
        """Return the opening, the epochs so far and the time left."""
        curves = [
            curve(trial, history.objective, self._epochs) for trial in history.trials.values() if trial.points
        ]
        return Group(*self._opening, *curves, Text(self._times(history), style="dim"))

    def _times(self, history: History) -> str:
        elapsed, gained = self._clock() - self._started, history.epochs - self._before
        known = f"epoch {history.epochs}/{self._epochs}, {wording.duration(elapsed)}"
        if gained < 1:
            return known
        left = elapsed * (self._epochs - history.epochs) / gained
        return f"{known}, {wording.duration(left)} left"
