"""From a search to what serves: its winner becomes the champion of a registered model, or steps back."""

from __future__ import annotations

from collections.abc import Callable

from hpo.handover import chosen_trial, trained_again
from hpo.ledger import Ledger
from hpo.plan import Plan
from hpo.settings import PromoteSettings, RollbackSettings
from hpo.tracking.registry import Champion, register, roll_back


def promote(settings: PromoteSettings, hear: Callable[[str], None]) -> str:
    """Train a trial again, register its model as champion, and say so; `hear` is told the curve.

    Raises:
        InputError: there is no such search or trial.
        HpoError: it diverges now, or MLflow does not take it.
    """
    ledger = Ledger(settings.store)
    search = ledger.search(settings.name)
    history, plan = ledger.history(search), Plan.of(search)
    trial = chosen_trial(history, settings.trial, settings.name)
    served = trained_again(plan, trial, hear)
    facts = {
        "hpo.search": search.name,
        "hpo.trial": str(trial.number),
        "hpo.objective": str(search.objective),
        "hpo.score": str(trial.score),
        "hpo.config": trial.proposal.config.to_json(),
    }
    name = settings.model or search.recipe
    found = register(search, name, served, facts, settings.tracking)
    return f"{_told(found)}\nStep back: hpo rollback {name}"


def step_back(settings: RollbackSettings) -> str:
    """Make the version champion that was it before, and say so.

    Raises:
        InputError: there is no such model, or none before.
    """
    return _told(roll_back(settings.model, settings.tracking))


def _told(found: Champion) -> str:
    was = f" It was version {found.before}." if found.before else ""
    return (
        f"Version {found.version} of {found.model} is the champion.{was}\n"
        f'Load it: mlflow.pytorch.load_model("{found.address}")'
    )
