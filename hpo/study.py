"""The study: what to try next and who may go on, by Optuna's samplers and pruners, in memory.

Its state is a pure function of the records that it made or was given back: a sampler is made anew for
each proposal from hash(seed, number), and whatever Optuna must remember of a trial (TPE's relative
parameters, the rungs that a pruner noted) goes into the records and comes back from them. So a study
that is rebuilt from a ledger proposes and prunes what the interrupted one would have.
"""

from __future__ import annotations

import hashlib
import math
import random
import warnings
from collections.abc import Callable, Mapping
from typing import Any, Final, cast

import optuna
from optuna.distributions import (
    BaseDistribution,
    CategoricalDistribution,
    distribution_to_json,
    json_to_distribution,
)
from optuna.exceptions import ExperimentalWarning
from optuna.pruners import BasePruner, HyperbandPruner, MedianPruner, NopPruner, SuccessiveHalvingPruner
from optuna.samplers import BaseSampler, CmaEsSampler, GPSampler, RandomSampler, TPESampler
from optuna.trial import TrialState, create_trial

from hpo.config import Config
from hpo.plan import Plan
from hpo.trial import Ending, Outcome, Point, Proposal, Record

optuna.logging.disable_default_handler()
optuna.logging.set_verbosity(optuna.logging.ERROR)

BASELINE: Final = "baseline"
PRIOR: Final = "prior"

# Trials that a model-based sampler needs before it says more than the expert's prior.
_STARTUP: Final = 10

_STATES: Final[Mapping[Outcome, TrialState]] = {
    Outcome.FINISHED: TrialState.COMPLETE,
    Outcome.PRUNED: TrialState.PRUNED,
    Outcome.DIVERGED: TrialState.PRUNED,
    Outcome.FAILED: TrialState.FAIL,
    Outcome.LOST: TrialState.FAIL,
}


def _tpe(seed: int) -> BaseSampler:
    # `group` samples the hyperparameters of one branch together, which a conditional space needs.
    return TPESampler(seed=seed, multivariate=True, group=True, n_startup_trials=1)


def _gp(seed: int) -> BaseSampler:
    return GPSampler(seed=seed, independent_sampler=RandomSampler(seed), n_startup_trials=1)


def _cmaes(seed: int) -> BaseSampler:
    independent = RandomSampler(seed)
    return CmaEsSampler(
        seed=seed, independent_sampler=independent, warn_independent_sampling=False, n_startup_trials=1
    )


MODELS: Final[Mapping[str, Callable[[int], BaseSampler]]] = {"tpe": _tpe, "gp": _gp, "cmaes": _cmaes}


def _halving(epochs: int) -> BasePruner:
    # Rungs at 1/6, 1/3 and 2/3 of the epochs; from each, the better half goes on. Earlier or sharper cuts
    # stop what warms up or decays late.
    return SuccessiveHalvingPruner(min_resource=max(1, round(epochs / 6)), reduction_factor=2)


def _hyperband(epochs: int) -> BasePruner:
    return HyperbandPruner(min_resource=1, max_resource=epochs, reduction_factor=3)


def _median(epochs: int) -> BasePruner:
    return MedianPruner(n_startup_trials=5, n_warmup_steps=max(1, epochs // 6))


PRUNERS: Final[Mapping[str, Callable[[int], BasePruner]]] = {
    "halving": _halving,
    "hyperband": _hyperband,
    "median": _median,
    "none": lambda _: NopPruner(),
}


class Study:
    """One search's proposals and verdicts.

    The sampler is `tpe`, `gp`, `cmaes`, `random` (uniform over the space) or `qmc` (scrambled Sobol
    points); the pruner one of `PRUNERS`. Trial 0 is the plan's baseline, which is never pruned.
    """

    def __init__(self, plan: Plan) -> None:
        self._plan, self._space, self._objective = plan, plan.space, plan.search.objective
        self._sampler: str = plan.setting("sampler")
        self._seed: int = plan.setting("seed")
        self._storage = optuna.storages.InMemoryStorage()
        self._study = optuna.create_study(
            storage=self._storage,
            study_name="hpo",  # Hyperband hashes it into its choice of brackets
            pruner=PRUNERS[plan.setting("pruner")](plan.epochs),
            direction=cast("Any", self._objective.direction),
        )
        self._study_id = self._storage.get_study_id_from_name("hpo")
        self._live: dict[int, optuna.Trial] = {}
        self._measured = 0
        self._worst = -math.inf

    @property
    def size(self) -> int:
        """The number of trials proposed so far."""
        return len(self._study.get_trials(deepcopy=False))

    def propose(self) -> Proposal:
        """Return the next trial."""
        with warnings.catch_warnings():
            # What Optuna still calls experimental (TPE's groups) is its word to us, not to the user.
            warnings.simplefilter("ignore", ExperimentalWarning)
            return self._propose_next(self.size) if self.size else self._propose_baseline()

    def _propose_next(self, number: int) -> Proposal:
        seed = derived_seed(self._seed, number)
        origin = self._origin()
        self._study.sampler = MODELS[origin](seed) if origin in MODELS else RandomSampler(seed)
        chosen: dict[str, Any] = {}
        if origin == PRIOR:
            chosen = self._space.draw(random.Random(seed))
        elif origin == "qmc":
            chosen = self._sobol_point(number)
        chosen |= self._space.turn(number)
        if chosen:
            self._study.enqueue_trial(chosen)
        trial = self._study.ask()
        config = self._plan.vocabulary.defaults(self._space.sample(trial))
        return self._proposal(trial, config, origin)

    def _origin(self) -> str:
        if self._sampler in MODELS and self._measured < _STARTUP:
            return PRIOR
        return self._sampler

    def _propose_baseline(self) -> Proposal:
        """Propose the baseline as it stands; the sampler learns as much of it as its space contains."""
        located = self._space.locate(self._plan.baseline)
        self._study.sampler = RandomSampler(0)
        self._study.enqueue_trial(located)
        trial = self._study.ask()
        self._space.sample(_Only(trial, located))
        return self._proposal(trial, self._plan.baseline, BASELINE)

    def _sobol_point(self, number: int) -> dict[str, Any]:
        from scipy.stats import qmc  # takes as long to import as all the rest

        names = [parameter.name for parameter in self._space.parameters]
        if not names:
            return {}
        sequence = qmc.Sobol(len(names), seed=self._seed)
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", UserWarning)  # one point at a time is not a power of two
            latest = sequence.random(number)[-1]  # trial 0 is the baseline, so these are points 1, 2 …
        point = _Quantiles(dict(zip(names, latest, strict=True)))
        self._space.sample(point)
        return point.drawn

    def _proposal(self, trial: optuna.Trial, config: Config, origin: str) -> Proposal:
        self._live[trial.number] = trial
        return Proposal(
            number=trial.number,
            config=config,
            origin=origin,
            params=dict(trial.params),
            distributions={name: distribution_to_json(it) for name, it in trial.distributions.items()},
            notes=self._notes(trial.number),
        )

    def _notes(self, number: int) -> dict[str, Any]:
        attributes = self._study.get_trials(deepcopy=False)[number].system_attrs
        # CMA-ES keeps its state as a pickle; it is computed again on restoring, never stored.
        return {name: value for name, value in attributes.items() if not name.startswith("cma:")}

    def report(self, trial: int, epoch: int, score: float) -> tuple[bool, dict[str, Any]]:
        """Take in a score; return whether the trial goes on, and what the pruner noted."""
        before = self._notes(trial)
        live = self._live[trial]
        live.report(score, epoch)
        self._worst = max(self._worst, self._objective.cost(score))
        # The pruner is asked in any case: it notes the trial's rungs while it judges.
        pruned = epoch < self._plan.epochs and live.should_prune() and trial > 0
        return not pruned, {key: it for key, it in self._notes(trial).items() if before.get(key) != it}

    def end(self, trial: int, outcome: Outcome, score: float | None) -> None:
        """Take in how a trial ended."""
        live = self._live.pop(trial)
        self._measured += outcome is not Outcome.FAILED and outcome is not Outcome.LOST
        if outcome is Outcome.DIVERGED:
            self._end_diverged(live)
        elif outcome is Outcome.FINISHED:
            self._study.tell(live, score)
        else:
            self._study.tell(live, state=_STATES[outcome])

    def _end_diverged(self, live: optuna.Trial) -> None:
        """Tell it in the way that makes each sampler avoid the region.

        TPE ranks a pruned trial whose last value is NaN behind all others of its length; the others
        learn from complete trials only, so they are told the worst score that the search has seen.
        """
        if self._sampler == "tpe" or not math.isfinite(self._worst):
            live.report(math.nan, self._diverged_step(live))
            self._study.tell(live, state=TrialState.PRUNED)
        else:
            worst = self._worst if self._objective.direction == "minimize" else -self._worst
            self._study.tell(live, worst)

    def _diverged_step(self, live: optuna.Trial) -> int:
        last = self._study.get_trials(deepcopy=False)[live.number].last_step
        return (last or 0) + 1

    def restore(self, record: Record) -> None:
        """Take in a record of the past; the records of a search must come in their order."""
        match record:
            case Proposal():
                self._restore_proposal(record)
            case Point():
                self._live[record.trial].report(record.score, record.epoch)
                self._worst = max(self._worst, self._objective.cost(record.score))
                self._remember(record.trial, record.notes)
            case Ending():
                self.end(record.trial, record.outcome, record.score)

    def _restore_proposal(self, proposal: Proposal) -> None:
        if proposal.origin == "cmaes":
            self.propose()
            return
        distributions = {name: json_to_distribution(text) for name, text in proposal.distributions.items()}
        past = create_trial(
            state=TrialState.RUNNING,
            params=_as_chosen(proposal.params, distributions),
            distributions=distributions,
            system_attrs=dict(proposal.notes),
        )
        self._study.add_trial(past)
        self._live[proposal.number] = optuna.Trial(self._study, self._id(proposal.number))

    def _remember(self, trial: int, notes: Mapping[str, Any]) -> None:
        for name, value in notes.items():
            self._storage.set_trial_system_attr(self._id(trial), name, value)

    def _id(self, trial: int) -> int:
        return self._storage.get_trial_id_from_study_id_trial_number(self._study_id, trial)


def derived_seed(seed: int, number: int) -> int:
    """Return a seed for proposal `number`, independent of all others."""
    return int.from_bytes(hashlib.sha256(f"{seed}:{number}".encode()).digest()[:4])


def _as_chosen(params: Mapping[str, Any], distributions: Mapping[str, BaseDistribution]) -> dict[str, Any]:
    """Return each value as its distribution holds it: JSON does not keep 1 and 1.0 apart for choices."""
    chosen = dict(params)
    for name, distribution in distributions.items():
        if isinstance(distribution, CategoricalDistribution):
            chosen[name] = distribution.choices[distribution.choices.index(params[name])]
    return chosen


class _Only:
    """Passes on what is known and does not draw what is not, so that nothing false is learned."""

    def __init__(self, trial: optuna.Trial, known: Mapping[str, Any]) -> None:
        self._trial, self._known = trial, known

    def suggest_float(self, name: str, low: float, high: float, *, log: bool = False) -> float:
        return self._trial.suggest_float(name, low, high, log=log) if name in self._known else low

    def suggest_int(self, name: str, low: int, high: int) -> int:
        return self._trial.suggest_int(name, low, high) if name in self._known else low

    def suggest_categorical(self, name: str, choices: Any) -> Any:
        return self._trial.suggest_categorical(name, choices) if name in self._known else choices[0]


class _Quantiles:
    """Turns a point of the unit cube into the values at these quantiles, and keeps those asked for."""

    def __init__(self, quantiles: Mapping[str, float]) -> None:
        self._quantiles = quantiles
        self.drawn: dict[str, Any] = {}

    def suggest_float(self, name: str, low: float, high: float, *, log: bool = False) -> float:
        share = float(self._quantiles[name])
        value = low * (high / low) ** share if log else low + share * (high - low)
        return float(self._keep(name, min(max(value, low), high)))

    def suggest_int(self, name: str, low: int, high: int) -> int:
        return int(self._keep(name, min(low + int(self._quantiles[name] * (high - low + 1)), high)))

    def suggest_categorical(self, name: str, choices: Any) -> Any:
        return self._keep(name, choices[int(self._quantiles[name] * len(choices))])

    def _keep(self, name: str, value: Any) -> Any:
        self.drawn[name] = value
        return value
