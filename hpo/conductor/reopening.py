"""Whether a search may go on, said before anything of it is changed; and what changes when it does."""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import replace

from hpo.config import Value
from hpo.errors import InputError, Problem
from hpo.history import History, Search, State
from hpo.ledger import Ledger, UnreachableError, beating, time_used
from hpo.planning.plan import Plan
from hpo.progress import outlook
from hpo.progress.clock import Clock
from hpo.progress.rounds import Rounds
from hpo.progress.spending import ALL, Spending
from hpo.settings import StoreSettings
from hpo.stopping import undisturbed
from hpo.trial import GIVEN, Proposal
from hpo.worker.shelf import Shelf, demand_start


def demand_open(ledger: Ledger, search: Search, now: Search) -> None:
    """Demand that there is something left to do of a search, ordered again as it is to be `now`.

    Raises:
        InputError: it has come to its end, less is asked for than was done, or what it goes on from is gone.
    """
    name, history = search.name, ledger.history(search)
    if search.given and history.ended and search.state is not State.INTERRUPTED:
        message = "This training has ended and would end the same way again. Start another one: hpo train"
        raise InputError(Problem(name, f"{message} recipe={search.recipe} …"))
    plan = Plan.of(now)
    _demand_no_less(plan, history)
    before, own = time_used(ledger, search.session, of_devices=now.of_devices)
    spending = Spending(plan, history, Clock(before + (own or 0.0), pace=0))
    reopened = plan.terms != Plan.of(search).terms and not spending.ended
    if search.state is State.FINISHED and not (reopened or Rounds(plan, history, spending).next):
        words = StoreSettings(store=ledger.url).store_words
        look, more = (" ".join([name, *own, *words]) for own in ([], _more(plan, spending, history)))
        ended, on = "This search is finished", f". With more it goes on: hpo resume {more}"
        if plan.configurations and plan.trials == plan.configurations:
            ended, on = f"{ended}: {outlook.all_tried(plan)}", ""
        raise InputError(Problem(name, f"{ended}. Look at it: hpo show {look}{on}"))
    _demand_start(now, ledger.url)


def note_anew(ledger: Ledger, search: Search, noted: Mapping[str, Value]) -> str:
    """Note what is set otherwise from now on, and move what is saved to where it is kept then.

    Returns what begins anew all the same.

    Raises:
        InputError: what is saved cannot be written there; nothing was noted.
    """
    going_on = replace(search, settings={**search.settings, **noted})
    former, later = (Shelf.of(Plan.of(it), ledger.url) for it in (search, going_on))
    lost = _take_along(ledger.history(search), former, later)
    ledger.note_settings(search, noted)
    former.give_way(later)
    return lost


def _take_along(history: History, former: Shelf, later: Shelf) -> str:
    """Copy what is saved from one shelf to another; return what begins anew all the same."""
    if later == former:
        return ""
    why = later.take_over(former) or f"It was looked for in {former.folder}."
    lacking = later.lacks([trial.number for trial in history.running if trial.epochs])
    numbers = ", ".join(map(str, lacking))
    return f"Nothing is saved of trial {numbers}, which began: it begins anew. {why}" if lacking else ""


def _more(plan: Plan, spending: Spending, history: History) -> list[str]:
    """Return what a search that has ended needs more of: trials, what they cost, or both."""
    words = [f"trials={2 * len(history.searched)}"] if spending.ended == ALL else []
    spending.trials = None
    if plan.budget and (spending.ended or not words):
        limit = replace(plan.budget, amount=2 * plan.budget.amount)
        words.append(f"{'budget' if plan.frugal else 'timeout'}={limit}")
    return words


def _demand_start(now: Search, store: str) -> None:
    """Refuse a training that goes on from another one, if nothing of that is kept."""
    if now.extends:
        plan = Plan.of(now)
        kept, _ = Shelf.of(plan, store).find(Proposal(0, plan.baseline, GIVEN))
        demand_start(plan, kept)


def _demand_no_less(plan: Plan, history: History) -> None:
    """Refuse fewer trials than have begun, and fewer trainings than are used up."""
    begun, asked, budget = len(history.searched), plan.setting("trials"), plan.budget
    if begun > (asked or begun):
        message = f"{begun} trials have begun. With trials={begun} no more of them do."
        raise InputError(Problem(f"trials={asked}", message))
    paid = math.inf if budget is None or budget.timed else budget.limit(plan.epochs)
    if history.epochs > paid:
        message = f"This pays for {paid:.0f} epochs, and {history.epochs} are trained. Give a larger budget."
        raise InputError(Problem(f"budget={budget}", message))


@contextmanager
def taken_up(ledger: Ledger, search: Search) -> Iterator[int]:
    """Open a session before anything of a search is changed; if that fails, it stands where it stood.

    Raises:
        InputError: another process was quicker.
    """
    session = ledger.open_session(search)
    try:
        with beating(ledger, session):
            yield session
    except BaseException:
        with undisturbed(), suppress(UnreachableError):  # one that did not end is one whose driver has died
            ledger.close_session(session, search.state, search.reason)
        raise
