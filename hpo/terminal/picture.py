"""A search as it stands, on less than a screen: how far it is, the best so far, what is tried and by whom."""

from __future__ import annotations

import platform
import time
from collections import Counter, defaultdict
from collections.abc import Callable, Iterator
from typing import TYPE_CHECKING, Final

from rich.console import Group, RenderableType
from rich.progress_bar import ProgressBar
from rich.table import Table
from rich.text import Text

from hpo.budget import SECONDS
from hpo.history import History, Search, Trial
from hpo.machine import usage
from hpo.progress import outlook
from hpo.results import phrasing
from hpo.terminal import wording
from hpo.terminal.lines import line
from hpo.terminal.spark import Curve

if TYPE_CHECKING:
    from hpo.planning.plan import Plan

Clock = Callable[[], float]

_WORKERS: Final = 8  # lines, which leave room for the rest on a screen of 24
_LOOK_SECONDS: Final = 2.0


class Picture:
    """Draws a search as it stands; made when a session of it begins."""

    def __init__(self, plan: Plan, history: History, clock: Clock = time.monotonic) -> None:
        self._plan, self._epochs, self._clock = plan, plan.epochs, clock
        self._limit = plan.budget.amount if plan.budget and plan.budget.unit == SECONDS else None
        self._started = clock()
        # By earlier sessions, which tells nothing of our speed.
        self._before = _progress(history, self._epochs)
        self._load = LoadLine(clock)

    def of(self, search: Search, history: History) -> RenderableType:
        """Return the picture: progress, outcomes, the best so far, what is tried, what each worker does."""
        plan = self._plan.at(search)
        ordered = "" if plan.frugal or not plan.confirmations else wording.ordered(plan)
        return Group(
            line((search.name, "bold"), f"  {search.recipe} · {search.objective}"),
            *([line(ordered, style="dim")] if ordered else []),
            *(line(it, style="dim") for it in outlook.beginning(plan)),
            *(line(it, style="dim") for it in outlook.now(plan, history)),
            self._bar(_trials(plan, history), _again(plan, history), history),
            line(wording.outcomes(history) or _waiting(history), style="dim"),
            *([line(history.because, style="dim")] if history.because else []),
            *_best(history),
            *_tried(history),
            *self._load.of(history),
            *self._workers(history),
        )

    def _bar(self, trials: int, again: int, history: History) -> RenderableType:
        row = Table.grid(padding=(0, 1), expand=True)
        for ratio in (None, 1, None):
            row.add_column(ratio=ratio, no_wrap=True)
        total = trials + again
        done = min(_progress(history, self._epochs), total)
        row.add_row(
            _count(trials, history),
            ProgressBar(total=total, completed=done, width=None),
            self._times(total, done),
        )
        return row

    def _times(self, trials: int, done: float) -> str:
        elapsed, gained = self._clock() - self._started, done - self._before
        spent = self._plan.search.ran + elapsed  # of a limit, that counts all sessions
        took = f"{wording.duration(spent)} of {wording.duration(self._limit)}" if self._limit else ""
        rest = self._limit - spent if self._limit else None
        if gained >= 1:  # less says nothing yet about the rest
            left = elapsed * (trials - done) / gained
            rest = left if rest is None else min(left, rest)
        left_over = "" if rest is None else f", {wording.duration(max(rest, 0.0))} left"
        return f"{took or wording.duration(elapsed)}{left_over}"

    def _workers(self, history: History) -> Iterator[Text]:
        teams: dict[str, list[Trial]] = defaultdict(list)
        for trial in history.under_way:
            if trial.attempts:
                teams[trial.attempts[-1].worker].append(trial)
        for worker, trials in sorted(teams.items())[:_WORKERS]:
            yield self._worker(worker, trials, history)
        if len(teams) > _WORKERS:
            yield line(f"and {len(teams) - _WORKERS} more workers", style="dim")
        waiting = len(history.running) - len(history.under_way)
        if waiting:
            yield line(f"{waiting} saved, to be judged when there are more rivals", style="dim")

    def _worker(self, worker: str, trials: list[Trial], history: History) -> Text:
        first, more = trials[0], len(trials) - 1
        facts = [
            f"trial {first.number}" + (f" and {more} more" if more else ""),
            f"epoch {first.epochs}/{self._epochs}",
            wording.measured(first, history.objective),
            phrasing.short(first.proposal.config),
        ]
        return line((f"{worker}  ", "dim"), "  ".join(filter(None, facts)))


class LoadLine:
    """How busy this machine is, if trials train here."""

    def __init__(self, clock: Clock) -> None:
        self._clock, self._looked, self._said = clock, -_LOOK_SECONDS, ""
        usage.processors()

    def of(self, history: History) -> Iterator[Text]:
        """Return one line, or none."""
        workers = {trial.attempts[-1].worker for trial in history.under_way if trial.attempts}
        if any(worker.startswith(f"{platform.node()}/") for worker in workers):
            yield line(self._look(), style="dim")

    def _look(self) -> str:
        if self._clock() - self._looked >= _LOOK_SECONDS:
            self._looked = self._clock()
            uses = [
                ("cpu", usage.processors()),
                *((f"gpu {number}", it) for number, it in enumerate(usage.gpus())),
            ]
            self._said = " · ".join(wording.use(name, use) for name, use in uses)
        return self._said


def _trials(plan: Plan, history: History) -> int:
    """Return how many trials there will be, as far as anybody knows."""
    planned = history.forecast.trials if history.forecast and plan.frugal else None
    return planned or plan.trials or len(history.searched) or 1


def _again(plan: Plan, history: History) -> int:
    """Return how many trainings with fresh seeds there will be."""
    planned = history.forecast
    if planned is None:
        return plan.confirmations
    return plan.candidates(planned.confirm) * planned.seeds if planned.confirm else 0


def _progress(history: History, epochs: int) -> float:
    """Return the trials done, with the parts done of those under way."""
    return len(history.ended) + sum(min(trial.epochs / epochs, 1) for trial in history.running)


def _count(trials: int, history: History) -> str:
    """Say how many trials have ended, or how many of the best have trained again."""
    if history.confirmations:
        again = sum(trial.ending is not None for trial in history.confirmations)
        return f"again {again}/{len(history.confirmations)}"
    return f"{sum(trial.ending is not None for trial in history.searched)}/{trials}"


def _waiting(history: History) -> str:
    return "no trial has ended yet" if history.trials else "starting the workers"


def _best(history: History) -> Iterator[RenderableType]:
    best = history.best
    if best is None:
        return
    words = line(
        ("best", "bold green"), f"  trial {best.number}  {wording.measured(best, history.objective)}"
    )
    yield Curve(words, [point.score for point in best.points])
    yield line(("      " + phrasing.short(best.proposal.config), "green"))


def _tried(history: History) -> Iterator[Text]:
    """Say what is tried now, optimizer by optimizer, and on whose word."""
    rates: dict[str, list[float]] = defaultdict(list)
    for trial in history.under_way:
        config = trial.proposal.config
        rates[str(config.get("optimizer"))].append(float(str(config.get("optimizer.lr", "nan"))))
    if rates:
        kinds = " · ".join(f"{len(its)} {name} lr {_span(its)}" for name, its in rates.items())
        origins = Counter(trial.proposal.origin for trial in history.under_way)
        told = ", ".join(f"{name} {number}" for name, number in origins.most_common())
        yield line(("now", "bold"), f"   {kinds}  ({told})")


def _span(values: list[float]) -> str:
    ends = dict.fromkeys(wording.number(value) for value in (min(values), max(values)))
    return " to ".join(ends)
