"""Watching a search while it runs: a calm live view in a terminal, plain lines everywhere else."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from dataclasses import replace
from typing import TYPE_CHECKING, Final

from rich.console import Console, Group, RenderableType
from rich.live import Live

from hpo.history import History, Search, State
from hpo.progress import outlook
from hpo.terminal import training, wishing, wording
from hpo.terminal.console import on_stderr
from hpo.terminal.keys import Keys
from hpo.terminal.lines import line, say, tell
from hpo.terminal.notices import Notices
from hpo.terminal.picture import Picture
from hpo.wish import Wish

if TYPE_CHECKING:
    from hpo.planning.plan import Plan

PAUSE: Final = 0.25  # seconds between two pictures; more often only flickers


def viewer(plan: Plan) -> LiveView | LineView | training.Lines:
    """Return the viewer that suits a plan and standard error; standard output is kept for results."""
    console = on_stderr()
    if plan.search.given:
        return (
            LiveView(console, picture=training.Picture) if console.is_interactive else training.Lines(console)
        )
    return LiveView(console) if console.is_interactive else LineView(console)


class LineView:
    """One line for each trial that ends."""

    def __init__(self, console: Console) -> None:
        self._console, self._notices = console, Notices(console)
        self._seen = self._plans = 0
        self._told = self._standing = ""
        self._plan: Plan | None = None

    def start(self, plan: Plan, history: History) -> None:
        """Say what starts, or goes on: the trials of earlier sessions are not told again."""
        self._seen = len(history.ended)
        self._notices.start(history)
        search = plan.search
        self._plan, self._plans = plan, max(len(history.forecasts), 1)
        ordered = "" if plan.frugal else f" · {wording.ordered(plan)}"
        self._say(f"{search.name}  {search.recipe} · {search.objective}{ordered}")
        for sentence in [*outlook.beginning(plan), *outlook.opening(plan, history)]:
            tell(self._console, sentence)

    def update(self, search: Search, history: History) -> None:
        """Print what is new: a pause, how many trials train at once, and those that ended."""
        self._notices.tell(history)
        standing = wishing.standing(search, history)
        if standing != self._standing:
            self._standing = standing
            self._say(standing or "going on")
        if history.because != self._told:
            self._told = history.because
            self._say(self._told)
        for trial in history.ended[self._seen :]:
            self._say(wording.ended(trial, history.objective))
        self._seen = len(history.ended)
        self._tell_plans(history)

    def _tell_plans(self, history: History) -> None:
        """Print how the rest of a budget is planned anew; the first plan was told at the start."""
        for planned in history.forecasts[self._plans :]:
            if self._plan and not planned.over:
                self._say(outlook.changed(self._plan, planned))
            elif self._plan:
                self._say(outlook.ended(self._plan, history))
        self._plans = max(self._plans, len(history.forecasts))

    def finish(self) -> None:
        """Nothing is left to do: every line is out already."""

    def _say(self, text: str) -> None:
        say(self._console, text)


class LiveView:
    """A picture of the search that is drawn over itself and leaves nothing behind; keys are heeded."""

    def __init__(
        self,
        console: Console,
        clock: Callable[[], float] = time.monotonic,
        picture: type[Picture | training.Picture] | None = None,
    ) -> None:
        self._clock, self._make = clock, picture or Picture
        self._drawn, self._notices = -PAUSE, Notices(console)
        self._live = Live(console=console, auto_refresh=False, transient=True)
        self._keys, self._more = Keys(), 0
        self._picture: Picture | training.Picture | None = None

    def start(self, plan: Plan, history: History) -> None:
        """Draw the first picture."""
        self._picture, self._more = self._make(plan, history, self._clock), wishing.step(plan.search)
        self._keys.start()
        self._live.start()
        self._notices.start(history)
        self.update(plan.search, history)

    def update(self, search: Search, history: History) -> Wish | None:
        """Draw the search as it stands, unless that was done a moment ago; return what a key asks for."""
        self._notices.tell(history)
        running = search.state is State.RUNNING
        wish = wishing.wish(self._keys.pressed(), search, self._more) if running else None
        search = replace(search, wish=wish or search.wish)
        if self._picture and (wish or self._clock() - self._drawn >= PAUSE):
            self._drawn = self._clock()
            self._live.update(
                Group(self._picture.of(search, history), *self._below(search, history)), refresh=True
            )
        return wish

    def _below(self, search: Search, history: History) -> Iterator[RenderableType]:
        standing = wishing.standing(search, history)
        if standing:
            yield line(standing, style="bold yellow")
        if self._keys.heard and search.state is State.RUNNING:
            yield line(wishing.legend(search, self._more), style="dim")

    def finish(self) -> None:
        """Take the picture away."""
        self._live.stop()
        self._keys.finish()
