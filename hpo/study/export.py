"""A search as a standard Optuna study, in a database that Optuna and its dashboard open."""

from __future__ import annotations

import json
import math
from datetime import datetime
from typing import Any, Final, cast

import optuna
from optuna.distributions import json_to_distribution
from optuna.exceptions import DuplicatedStudyError
from optuna.trial import FrozenTrial, TrialState, create_trial

from hpo.errors import InputError, Problem
from hpo.history import History, Search, Trial
from hpo.trial import Outcome

_STATES: Final = {Outcome.FINISHED: TrialState.COMPLETE, Outcome.PRUNED: TrialState.PRUNED}


def save(search: Search, history: History, url: str) -> int:
    """Write a search as a study of its name; return the number of trials, which keep their numbers.

    A trial's curve becomes intermediate values, its configuration and ending user attributes. What neither
    finished nor was pruned is FAIL there, also while it is under way: nobody will end it in a copy.

    Raises:
        InputError: the database has a study of this name, or cannot be written to.
    """
    try:
        direction = cast("Any", search.objective.direction)
        study = optuna.create_study(storage=url, study_name=search.name, direction=direction)
    except DuplicatedStudyError:
        message = "There is a study of this name in it, and it is left as it is. Choose another file."
        raise InputError(Problem(f"to={url}", message)) from None
    study.set_user_attr("recipe", search.recipe)
    study.set_user_attr("objective", str(search.objective))
    study.set_user_attr("settings", json.dumps(dict(search.settings)))
    study.add_trials([_frozen(trial) for _, trial in sorted(history.trials.items())])
    return len(history.trials)


def _frozen(trial: Trial) -> FrozenTrial:
    proposal = trial.proposal
    score = trial.score if trial.score is not None and math.isfinite(trial.score) else None
    state = _STATES.get(trial.outcome or Outcome.LOST, TrialState.FAIL)
    if not proposal.searched:  # it would be compared with what was searched
        state = TrialState.FAIL
    if state is TrialState.COMPLETE and score is None:
        state = TrialState.FAIL
    frozen = create_trial(
        state=state,
        value=score if state is not TrialState.FAIL else None,
        params=dict(proposal.params),
        distributions={name: json_to_distribution(text) for name, text in proposal.distributions.items()},
        intermediate_values={point.epoch: point.score for point in trial.points},
        user_attrs=_attributes(trial),
    )
    frozen.datetime_start = _time(trial.attempts[0].at if trial.attempts else proposal.at)
    frozen.datetime_complete = _time(_end(trial))
    return frozen


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
