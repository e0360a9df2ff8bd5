"""From a search to code that no longer needs it: a trial as a plain PyTorch script."""

from __future__ import annotations

from pathlib import Path
from typing import Final

from hpo.errors import InputError, Problem
from hpo.export import script
from hpo.history import History, Trial
from hpo.ledger import Ledger
from hpo.plan import Plan

_IN_ONE_PROCESS: Final = """One process adds up in another order, so
losses may differ by a ten-thousandth, and with dropout, which draws other masks, by more."""


def export(name: str, store: str, trial: int | None, to: str, weights: str = "") -> Path:
    """Write a trial, the winner if none is named, as a plain PyTorch script; return its path.

    The script leaves what it trains in the file `weights`, if that is named.

    Raises:
        InputError: there is no such search or trial, or the file cannot be written.
    """
    ledger = Ledger(store)
    search = ledger.search(name)
    history = ledger.history(search)
    chosen = _chosen(history, trial, name)
    plan = Plan.of(search)
    text = script(
        plan.recipe,
        plan.vocabulary.defaults(chosen.proposal.config),
        epochs=plan.epochs,
        seed=plan.setting("seed"),
        threads=plan.setting("threads"),
        data_options=plan.data_options,
        device=plan.setting("device"),
        origin=_origin(plan, history, chosen),
        weights=weights,
    )
    return write_new(Path(to), text)


def _origin(plan: Plan, history: History, chosen: Trial) -> str:
    """Say whose curve a script repeats, and how nearly, since it runs one trial in one process."""
    search, workers = plan.search, plan.setting("workers_per_trial")
    curve, how, caveat = chosen, "", ""
    if chosen is history.best and history.proof:
        curve, how = history.proof, f", trained once more alone as trial {history.proof.number}"
    elif chosen.at_once > 1:
        how = ", trained among others, so equal but for rounding"
    if workers > 1:
        parallel = plan.setting("parallel")
        caveat = f"\n\nThe search trained it with {workers} workers ({parallel}). {_IN_ONE_PROCESS}"
    return f"trial {chosen.number} of {search.name}{how}: {search.objective.metric} {curve.score:.6g}{caveat}"


def _chosen(history: History, trial: int | None, name: str) -> Trial:
    found = history.best if trial is None else history.trials.get(trial)
    if found is None:
        what = "No trial has finished yet" if trial is None else f"There is no trial {trial}"
        raise InputError(Problem(name, f"{what} in this search. Look at it: hpo show {name}."))
    if found.score is None:
        raise InputError(Problem(f"trial={found.number}", "This trial did not train a single epoch."))
    return found


def write_new(path: Path, text: str) -> Path:
    """Write a file that is not there yet, and return its path.

    Raises:
        InputError: it is there, or cannot be written.
    """
    try:
        with path.open("x", encoding="utf-8") as file:
            file.write(text)
    except FileExistsError:
        message = "This file exists and is left as it is. Choose another name, or delete it."
        raise InputError(Problem(f"to={path}", message)) from None
    except OSError as error:
        raise InputError(Problem(f"to={path}", f"Cannot write here: {error.strerror}.")) from None
    return path
