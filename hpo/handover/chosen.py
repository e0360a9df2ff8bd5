"""A trial that is to be handed over, and its model as training left it."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, NamedTuple

from hpo.errors import InputError, Problem
from hpo.history import History, Trial
from hpo.ledger import Ledger
from hpo.machine.hardware import device_here
from hpo.planning.plan import Plan
from hpo.results import pareto
from hpo.settings import NameSettings
from hpo.trial import Point

if TYPE_CHECKING:  # imports torch
    from hpo.serving import Network, Served
    from hpo.worker.shelf import Kept


class Chosen(NamedTuple):
    """A trial that is handed over, its search, and the store that they are in."""

    store: str
    plan: Plan
    history: History
    trial: Trial

    @property
    def apart(self) -> int | None:
        """The trial's number, if it is not the winner: what is kept of it is then kept apart."""
        return None if self.trial is self.history.best else self.trial.number


def chosen(settings: NameSettings, trial: int | None, pick: str = "") -> Chosen:
    """Return a trial, by its number or what it is picked for; the winner if nothing is named.

    Raises:
        InputError: there is no such search or trial, or it did not train.
    """
    ledger = Ledger(settings.store)
    search = ledger.search(settings.name)
    history = ledger.history(search)
    number = pareto.pick(history, pick) if pick else trial
    return Chosen(settings.store, Plan.of(search), history, _trial(history, number, settings.name))


def _trial(history: History, trial: int | None, name: str) -> Trial:
    found = history.best if trial is None else history.trials.get(trial)
    if found is None:
        what = "No trial has finished yet" if trial is None else f"There is no trial {trial}"
        raise InputError(Problem(name, f"{what} in this search. Look at it: hpo show {name}."))
    if found.score is None:
        raise InputError(Problem(f"trial={found.number}", "This trial did not train a single epoch."))
    return found


def trained(
    chosen: Chosen,
    hear: Callable[[str], None],
    what_for: str = "for the weights",
    rehearse: Callable[[Network], None] | None = None,
) -> Served:
    """Return a trial as its training left it, or train it again.

    Args:
        chosen: the trial.
        hear: is told what it is trained for, and the curve.
        what_for: in words.
        rehearse: raises what would be in the way of that, given the model before it trains.

    Raises:
        InputError: it goes on from a training of which nothing is kept.
        HpoError: it diverges now, or `rehearse` raises it.
    """
    from hpo.serving import train_again, untrained
    from hpo.worker.shelf import demand_start

    plan, trial, past = chosen.plan, chosen.trial, _kept(chosen)
    demand_start(plan, past)
    device = plan.setting("device")
    where = "" if device_here(device) == device else " on the CPU, since this machine has no GPU"

    def tell(point: Point) -> None:
        hear(f"epoch {point.epoch}  {plan.search.objective.metric} {point.score:.6g}")

    if rehearse and not (past and past.snapshot.epoch == plan.epochs):
        rehearse(untrained(plan, trial.proposal))
    if past is None:
        hear(f"Training trial {trial.number} once more{where}, {what_for}.")
    elif past.snapshot.epoch < plan.epochs:
        hear(f"Training trial {trial.number} on from epoch {past.snapshot.epoch}{where}, {what_for}.")
    return train_again(plan, trial.proposal, tell, past)


def _kept(chosen: Chosen) -> Kept | None:
    """Return what the search has kept of the winner's training, if that was plain: see `Shelf.close`."""
    from hpo.training.snapshot import PLAIN
    from hpo.worker.shelf import Shelf

    lasting = chosen.history.lasting
    if lasting is None or chosen.trial is not chosen.history.best:
        return None
    kept, _ = Shelf.of(chosen.plan, chosen.store).find(lasting.proposal)  # a damaged one is trained again
    return kept if kept and kept.snapshot.engine == PLAIN else None
