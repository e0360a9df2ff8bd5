"""From a search to what serves: its winner becomes the champion of a registered model, or steps back."""

from __future__ import annotations

from collections.abc import Callable

from hpo.handover.chosen import chosen, trained
from hpo.settings import PromoteSettings, RollbackSettings
from hpo.tracking.registry import Champion, demand_registry, register, roll_back


def promote(settings: PromoteSettings, hear: Callable[[str], None]) -> str:
    """Register a trial's model as champion, and say so; `hear` is told the curve if it is trained again.

    Raises:
        InputError: there is no such search or trial.
        HpoError: it diverges now, or MLflow does not take it.
    """
    found = chosen(settings, settings.trial)
    from hpo.serving import forms

    search, trial = found.plan.search, found.trial
    demand_registry(settings.tracking)
    served = trained(found, hear, rehearse=forms.rehearsal(forms.to_program))
    facts = {
        "hpo.search": search.name,
        "hpo.trial": str(trial.number),
        "hpo.objective": str(search.objective),
        "hpo.score": str(trial.score),
        "hpo.config": trial.proposal.config.to_json(),
    }
    name = settings.model or search.recipe
    champion = register(search, name, served, facts, settings.tracking)
    return f"{_told(champion)}\nStep back: hpo rollback {name}"


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
