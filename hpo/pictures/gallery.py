"""Which pictures there are, and drawing all of them into a folder."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

from matplotlib.figure import Figure

from hpo.history import History
from hpo.pictures.curves import gradient_norms, losses
from hpo.pictures.pareto import pareto
from hpo.pictures.schedules import schedules
from hpo.pictures.style import NotDrawnError
from hpo.planning.plan import Plan
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

    `patience` is that of the `Gallery`.

    Raises:
        OSError: the folder cannot be written to.
    """
    return list(_draw(Gallery(plan, history, patience).all(), folder))


def draw_space(name: str, space: Space, vocabulary: Vocabulary, folder: Path) -> list[Drawn]:
    """Draw what can be seen of a space alone: its schedules.

    Raises:
        OSError: the folder cannot be written to.
    """
    return list(_draw({"schedules": lambda: schedules(name, space, vocabulary)}, folder))


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


class Gallery:
    """The pictures of a search, each drawn when it is asked for.

    Two of them show the winner at work, for which it is trained once more, unless that took it more than
    `patience` seconds.
    """

    def __init__(self, plan: Plan, history: History, patience: float = math.inf) -> None:
        self._plan, self._history, self._patience = plan, history, patience
        self._winner: Winner | None = None

    def schedules(self) -> Figure:
        """Return the learning rate's course under each schedule of the space, and the winner's."""
        best = self._history.best
        plan, chosen = self._plan, best.proposal.config if best else None
        extends = plan.search.extends
        name = f"{plan.search.name}, since it went on from {extends}" if extends else plan.search.name
        return schedules(name, plan.space, plan.vocabulary, chosen)

    def losses(self) -> Figure:
        """Return the losses of all trials by epoch, in training and on validation data.

        Raises:
            NotDrawnError: nothing was measured.
        """
        return losses(self._plan.search.name, self._history)

    def gradient_norms(self) -> Figure:
        """Return the gradient's norm before and after clipping, for the best trials.

        Raises:
            NotDrawnError: nothing was measured.
        """
        return gradient_norms(self._plan.search.name, self._history)

    def batch_norm(self) -> Figure:
        """Return what batch normalization does to a layer of the winner, which is trained once more.

        Raises:
            NotDrawnError: there is no winner, it went on from another training, or it has no such layer.
        """
        from hpo.pictures.probes import batch_norm  # imports torch

        return batch_norm(self._at_work())

    def fit(self) -> Figure:
        """Return the fitted line among the data, where a line is what the winner has learnt.

        Raises:
            NotDrawnError: there is no winner, it went on from another training, or it is no line.
        """
        from hpo.pictures.probes import fit  # imports torch

        return fit(self._at_work())

    def pareto(self) -> Figure:
        """Return the score against each cost, for every finished trial, with the front and its knee.

        Raises:
            NotDrawnError: the search has one goal, or nothing has finished.
        """
        return pareto(self._plan.search.name, self._history)

    def all(self) -> Mapping[str, Callable[[], Figure]]:
        """Return what draws each picture, by name."""
        drawn = [self.schedules, self.losses, self.gradient_norms, self.batch_norm, self.fit]
        drawn += [self.pareto] if self._history.objective.beside else []
        return {draw.__name__: draw for draw in drawn}

    def _at_work(self) -> Winner:
        from hpo.pictures.probes import Winner

        best = self._history.best
        if best is None:
            raise NotDrawnError("no trial has finished")
        if self._plan.search.extends:
            origin = f"it went on from {self._plan.search.extends}"
            raise NotDrawnError(f"{origin}: trained again from its first epoch it would be another model")
        seconds = sum(point.seconds for point in best.points)
        if seconds > self._patience:
            raise NotDrawnError(f"the winner would have to train again, which takes {seconds:.0f} s")
        if self._winner is None:
            config = self._plan.vocabulary.defaults(best.proposal.config)
            self._winner = Winner(self._plan, best.number, config)
        return self._winner
