"""Watching a search while it runs: a calm live view in a terminal, plain lines everywhere else."""

from __future__ import annotations

import time
from collections import defaultdict
from collections.abc import Callable, Iterator
from typing import TYPE_CHECKING, Final, cast

from rich.console import Console, Group, RenderableType
from rich.live import Live
from rich.progress_bar import ProgressBar
from rich.table import Table
from rich.text import Text

from hpo import summary
from hpo.history import History, Trial
from hpo.terminal import training, wording
from hpo.terminal.notices import Notices

if TYPE_CHECKING:
    from hpo.plan import Plan

Clock = Callable[[], float]

PAUSE: Final = 0.25  # seconds between two pictures; more often only flickers


def viewer(plan: Plan) -> LiveView | LineView | training.Lines:
    """Return the viewer that suits a plan and standard error; standard output is kept for results."""
    console = Console(stderr=True)
    if plan.search.given:
        return (
            LiveView(console, picture=training.Picture) if console.is_interactive else training.Lines(console)
        )
    return LiveView(console) if console.is_interactive else LineView(console)


class LineView:
    """One line for each trial that ends."""

    def __init__(self, console: Console) -> None:
        self._console, self._notices = console, Notices(console)
        self._seen = 0
        self._told = ""

    def start(self, plan: Plan, history: History) -> None:
        """Say what starts, or goes on: the trials of earlier sessions are not told again."""
        self._seen = len(history.ended)
        self._notices.start(history)
        search = plan.search
        self._say(f"{search.name}  {search.recipe} · {search.objective} · {wording.ordered(plan)}")

    def update(self, history: History) -> None:
        """Print how many trials train at once, and those that ended since the last time."""
        self._notices.tell(history)
        if history.because != self._told:
            self._told = history.because
            self._say(self._told)
        for trial in history.ended[self._seen :]:
            self._say(wording.ended(trial, history.objective))
        self._seen = len(history.ended)

    def finish(self) -> None:
        """Nothing is left to do: every line is out already."""

    def _say(self, line: str) -> None:
        self._console.print(_line(line), no_wrap=True, overflow="ellipsis")


class LiveView:
    """A picture of the search that is drawn over itself and leaves nothing behind."""

    def __init__(
        self,
        console: Console,
        clock: Clock = time.monotonic,
        picture: type[Picture | training.Picture] | None = None,
    ) -> None:
        self._clock, self._make = clock, picture or Picture
        self._drawn, self._notices = -PAUSE, Notices(console)
        self._live = Live(console=console, auto_refresh=False, transient=True)
        self._picture: Picture | training.Picture | None = None

    def start(self, plan: Plan, history: History) -> None:
        """Draw the first picture."""
        self._picture = self._make(plan, history, self._clock)
        self._live.start()
        self._notices.start(history)
        self.update(history)

    def update(self, history: History) -> None:
        """Draw the search as it stands, unless that was done a moment ago."""
        self._notices.tell(history)
        if self._picture and self._clock() - self._drawn >= PAUSE:
            self._drawn = self._clock()
            self._live.update(self._picture.of(history), refresh=True)

    def finish(self) -> None:
        """Take the picture away."""
        self._live.stop()


class Picture:
    """Draws a search as it stands; made when a session of it begins."""

    def __init__(self, plan: Plan, history: History, clock: Clock) -> None:
        self._search, self._epochs, self._clock = plan.search, plan.epochs, clock
        self._trials, self._confirmations = cast("int", plan.search.settings["trials"]), plan.confirmations
        self._ordered = wording.ordered(plan)
        self._started = clock()
        self._before = self._progress(history)  # by earlier sessions, which tells nothing about our speed

    def of(self, history: History) -> RenderableType:
        """Return the picture of a search: progress, the best so far, what each worker does."""
        rows = [self._title(), *self._after(), self._bar(history)]
        rows += [*self._company(history), *self._best(history)]
        return Group(*rows, *self._workers(history))

    def _company(self, history: History) -> Iterator[Text]:
        if history.because:
            yield _line(history.because, style="dim")

    def _title(self) -> Text:
        search = self._search
        return _line((search.name, "bold"), f"  {search.recipe} · {search.objective}")

    def _after(self) -> Iterator[Text]:
        """Say what will be trained after the search."""
        if self._confirmations:
            yield _line(self._ordered, style="dim")

    def _bar(self, history: History) -> RenderableType:
        row = Table.grid(padding=(0, 1), expand=True)
        for ratio in (None, 1, None):
            row.add_column(ratio=ratio, no_wrap=True)
        ended = sum(trial.ending is not None for trial in history.searched)
        count = f"{ended}/{self._trials}"
        if history.confirmations:
            again = sum(trial.ending is not None for trial in history.confirmations)
            count = f"again {again}/{len(history.confirmations)}"
        bar = ProgressBar(total=self._all, completed=self._progress(history), width=None)
        row.add_row(count, bar, self._times(history))
        waiting = "no trial has ended yet" if history.trials else "starting the workers"
        return Group(row, _line(wording.tally(history.counts) or waiting, style="dim"))

    def _times(self, history: History) -> str:
        elapsed = self._clock() - self._started
        progress = self._progress(history)
        gained = progress - self._before
        if gained < 1:  # less says nothing yet about the rest
            return wording.duration(elapsed)
        left = elapsed * max(self._all - progress, 0) / gained
        return f"{wording.duration(elapsed)}, {wording.duration(left)} left"

    def _progress(self, history: History) -> float:
        """Return the trials done, with the parts done of those under way."""
        parts = (min(trial.epochs / self._epochs, 1) for trial in history.running)
        return min(self._all, len(history.ended) + sum(parts))

    @property
    def _all(self) -> int:
        """All that is to be trained."""
        return self._trials + self._confirmations

    def _best(self, history: History) -> Iterator[Text]:
        best = history.best
        if best is None:
            return
        yield _line(
            ("best", "bold green"), f"  trial {best.number}  {wording.measured(best, history.objective)}"
        )
        yield _line(("      " + summary.short(best.proposal.config), "green"))

    def _workers(self, history: History) -> Iterator[Text]:
        teams: dict[str, list[Trial]] = defaultdict(list)
        for trial in history.running:
            if trial.attempts:
                teams[trial.attempts[-1].worker].append(trial)
        for worker, trials in sorted(teams.items()):
            yield self._worker(worker, trials, history)

    def _worker(self, worker: str, trials: list[Trial], history: History) -> Text:
        first, more = trials[0], len(trials) - 1
        facts = [
            f"trial {first.number}" + (f" and {more} more" if more else ""),
            f"epoch {first.epochs}/{self._epochs}",
            wording.measured(first, history.objective),
            summary.short(first.proposal.config),
        ]
        return _line((f"{worker}  ", "dim"), "  ".join(filter(None, facts)))


def _line(*parts: str | tuple[str, str], style: str = "") -> Text:
    """Return text that stays on one line, cut off where the line ends."""
    return Text.assemble(*parts, style=style, no_wrap=True, overflow="ellipsis")
