"""What fresh seeds say of the best, in sentences and in rows: for the screen, the report and MLflow."""

from __future__ import annotations

import math
from collections.abc import Iterable, Iterator, Sequence
from typing import Final

from hpo.history import History, Standing
from hpo.results.confirmation import Interval, flattery, interval, lead, like_the_winner
from hpo.results.phrasing import brief

COLUMNS: Final = ("trial", "median", "mean, 95 %", "in the search", "flattered by")


def rows(history: History) -> list[tuple[str, ...]]:
    """Return a row for each configuration that was trained with fresh seeds, best first; see `COLUMNS`."""
    return [_row(history, standing) for standing in history.standings]


def _row(history: History, standing: Standing) -> tuple[str, ...]:
    found = interval(list(standing.scores.values()))
    return (
        _named(standing.number),
        _number(standing.median),
        _within(found) if found else "",
        _number(standing.trial.score),
        _number(flattery(history, standing)),
    )


def sentences(history: History) -> list[str]:
    """Return what fresh seeds and test data say of the winner; nothing, if nothing was confirmed."""
    return list(_sentences(history)) if history.standings else []


def _sentences(history: History) -> Iterator[str]:
    first, *others = history.standings
    metric, seeds = history.objective.metric, list(first.again)
    with_seeds = f"{len(seeds)} fresh seeds" if len(seeds) > 1 else "one fresh seed"
    how = "is the best:" if others else "comes to"
    yield f"With {with_seeds}, trial {first.number} {how} {metric} {_number(first.median)} (median)."
    alike = like_the_winner(history)
    if alike:
        yield f"{_listed([first, *alike])} cannot be told apart."
    yield from _gain(history, first, [it for it in others if it not in alike])
    yield _flattery(history, first)
    yield from (_broken(it) for it in (first, *others) if not it.sound)
    if history.test:
        measured = ", ".join(f"{name} {_number(score)}" for name, score in history.test.items())
        yield f"On the test data, which chose nothing, it comes to {measured}."


def _gain(history: History, first: Standing, behind: Iterable[Standing]) -> Iterator[str]:
    for other in behind:
        found = lead(history, first, other)
        if other.number == 0 and found:
            middle = (found.low + found.high) / 2
            yield f"It beats the baseline (trial 0) by {_number(middle)} ({_within(found)})."


def _flattery(history: History, first: Standing) -> str:
    by, found = flattery(history, first), _number(first.trial.score)
    if by > 0:
        return f"The search flattered it by {_number(by)}: there it came to {found}."
    return f"The search did not flatter it: there it came to {found}."


def _broken(standing: Standing) -> str:
    seeds = [str(seed) for seed, score in standing.scores.items() if not math.isfinite(score)]
    word = "seed" if len(seeds) == 1 else "seeds"
    return f"Trial {standing.number} did not come to its end with {word} {', '.join(seeds)}."


def _listed(standings: Sequence[Standing]) -> str:
    *names, last = (_named(it.number) for it in standings)
    return f"Trials {', '.join(names)} and {last}"


def _named(number: int) -> str:
    return f"{number} (baseline)" if number == 0 else str(number)


def _within(found: Interval) -> str:
    return f"{_number(found.low)} … {_number(found.high)}"


def _number(value: float | None) -> str:
    return "" if value is None or not math.isfinite(value) else brief(value, digits=4)
