"""Which pictures there are, and drawing all of them into a folder."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

from matplotlib.figure import Figure

from hpo.history import History, Trial
from hpo.pictures.curves import gradient_norms, losses
from hpo.pictures.schedules import schedules
from hpo.pictures.style import NotDrawnError
from hpo.plan import Plan
from hpo.space import Space
from hpo.vocabulary import Vocabulary

if TYPE_CHECKING:
    from hpo.pictures.probes import Winner


class Drawn(NamedTuple):
    """A picture's name, and its file or why there is none."""

    name: str
    path: Path | None
    reason: str = ""


def draw(plan: Plan, history: History, folder: Path, patience: float = math.inf) -> list[Drawn]:
    """Draw every picture of a search into a folder, over older ones, and return what came of each.

    Two of them show the winner at work, for which it is trained once more, unless that took it more than
    `patience` seconds.

    Raises:
        OSError: the folder cannot be written to.
    """
    return list(_draw(_of_search(plan, history, patience), folder))


def draw_space(name: str, space: Space, vocabulary: Vocabulary, folder: Path) -> list[Drawn]:
    """Draw what can be seen of a space alone: its schedules.

    Raises:
        OSError: the folder cannot be written to.
    """
    return list(_draw({"schedules": lambda: schedules(name, space, vocabulary)}, folder))


def _of_search(plan: Plan, history: History, patience: float) -> Mapping[str, Callable[[], Figure]]:
    name, best = plan.search.name, history.best
    winner = _Once(plan, best, patience)
    chosen = best.proposal.config if best else None
    return {
        "schedules": lambda: schedules(name, plan.space, plan.vocabulary, chosen),
        "losses": lambda: losses(name, history),
        "gradient_norms": lambda: gradient_norms(name, history),
        "batch_norm": winner.batch_norm,
        "fit": winner.fit,
    }


def _draw(pictures: Mapping[str, Callable[[], Figure]], folder: Path) -> Iterator[Drawn]:
    folder.mkdir(parents=True, exist_ok=True)
    for name, picture in pictures.items():
        path = folder / f"{name}.png"
        try:
            picture().savefig(path)
        except NotDrawnError as reason:
            yield Drawn(name, None, str(reason))
        else:
            yield Drawn(name, path)


class _Once:
    """The winner at work; it is trained once for all its pictures, and torch is imported only then."""

    def __init__(self, plan: Plan, best: Trial | None, patience: float) -> None:
        self._plan, self._best, self._patience = plan, best, patience
        self._winner: Winner | None = None

    def batch_norm(self) -> Figure:
        from hpo.pictures.probes import batch_norm

        return batch_norm(self._at_work())

    def fit(self) -> Figure:
        from hpo.pictures.probes import fit

        return fit(self._at_work())

    def _at_work(self) -> Winner:
        from hpo.pictures.probes import Winner

        if self._best is None:
            raise NotDrawnError("no trial has finished")
        seconds = sum(point.seconds for point in self._best.points)
        if seconds > self._patience:
            raise NotDrawnError(f"the winner would have to train again, which takes {seconds:.0f} s")
        if self._winner is None:
            config = self._plan.vocabulary.defaults(self._best.proposal.config)
            self._winner = Winner(self._plan, self._best.number, config)
        return self._winner
