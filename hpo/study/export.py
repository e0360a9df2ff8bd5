"""A search as a standard Optuna study, in a database that Optuna and its dashboard open."""

from __future__ import annotations

import json
import math
import warnings
from datetime import datetime
from typing import Any, Final, cast

import optuna
from optuna.distributions import json_to_distribution
from optuna.exceptions import DuplicatedStudyError, ExperimentalWarning
from optuna.storages import RDBStorage
from optuna.study import Study
from optuna.trial import FrozenTrial, TrialState, create_trial

from hpo.errors import InputError, Problem
from hpo.history import History, Search, Trial
from hpo.recipe import Objective
from hpo.trial import Outcome

_STATES: Final = {Outcome.FINISHED: TrialState.COMPLETE, Outcome.PRUNED: TrialState.PRUNED}


def save(search: Search, history: History, url: str) -> int:
    """Write a search as a study of its name; return the number of trials, which keep their numbers.

    A trial's curve becomes intermediate values, its configuration and ending user attributes. What neither
    finished nor was pruned is FAIL there, also while it is under way: nobody will end it in a copy.

    Of several goals each is an objective. Optuna's TPE then fails where a pruned trial has intermediate
    values, so there the curve is a user attribute, too (`curve`: the score of each epoch).

    Raises:
        InputError: the database has a study of this name, or cannot be written to.
    """
    storage = RDBStorage(url)
    try:
        study = _study(search, storage, url)
        study.set_user_attr("recipe", search.recipe)
        study.set_user_attr("objective", str(search.objective))
        study.set_user_attr("settings", json.dumps(dict(search.settings)))
        study.add_trials([_frozen(trial, search.objective) for _, trial in sorted(history.trials.items())])
    finally:
        storage.remove_session()
        storage.engine.dispose()
    return len(history.trials)


def _study(search: Search, storage: RDBStorage, url: str) -> Study:
    objective = search.objective
    directions = [cast("Any", it) for it in (objective.direction, *("minimize" for _ in objective.beside))]
    try:
        study = optuna.create_study(storage=storage, study_name=search.name, directions=directions)
    except DuplicatedStudyError:
        message = "There is a study of this name in it, and it is left as it is. Choose another file."
        raise InputError(Problem(f"to={url}", message)) from None
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", ExperimentalWarning)
        study.set_metric_names([objective.metric, *objective.beside])
    return study


def _frozen(trial: Trial, objective: Objective) -> FrozenTrial:
    proposal, values = trial.proposal, _values(trial, objective)
    state = _state(trial, values)
    curve = {point.epoch: point.score for point in trial.points}
    frozen = create_trial(
        state=state,
        values=values if state is not TrialState.FAIL else None,
        params=dict(proposal.params),
        distributions={name: json_to_distribution(text) for name, text in proposal.distributions.items()},
        intermediate_values={} if objective.beside else curve,
        user_attrs=_attributes(trial) | ({"curve": [*curve.values()]} if objective.beside else {}),
    )
    frozen.datetime_start = _time(trial.attempts[0].at if trial.attempts else proposal.at)
    frozen.datetime_complete = _time(_end(trial))
    return frozen


def _values(trial: Trial, objective: Objective) -> list[float] | None:
    """Return what a trial came to in every goal; None if one of them is unknown or infinite."""
    found = [trial.score, *(trial.costs.get(name) for name in objective.beside)]
    values = [it for it in found if it is not None and math.isfinite(it)]
    return values if len(values) == len(found) else None


def _state(trial: Trial, values: list[float] | None) -> TrialState:
    state = _STATES.get(trial.outcome or Outcome.LOST, TrialState.FAIL)
    if not trial.proposal.searched:  # it would be compared with what was searched
        return TrialState.FAIL
    return TrialState.FAIL if state is TrialState.COMPLETE and values is None else state


def _end(trial: Trial) -> float:
    """Return when a trial ended, or was last heard of."""
    if trial.ending:
        return trial.ending.at
    return trial.points[-1].at if trial.points else trial.proposal.at


def _time(at: float) -> datetime:
    return datetime.fromtimestamp(at)


def _attributes(trial: Trial) -> dict[str, Any]:
    outcome = trial.outcome.value if trial.outcome else "running"
    reason = trial.ending.reason if trial.ending else ""
    facts = {"outcome": outcome, "reason": reason, "origin": trial.proposal.origin}
    facts |= {"costs": json.dumps(dict(trial.costs))} if trial.costs else {}
    return {**facts, "config": json.dumps(dict(trial.proposal.config))}
