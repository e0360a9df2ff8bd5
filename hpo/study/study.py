"""The study of a search, in memory.

Its state is a pure function of the records that it made or was given back: a sampler is made anew for
each proposal from hash(seed, number), and whatever Optuna must remember of a trial (the rungs that a
pruner noted) goes into the records and comes back from them. So a study that is rebuilt from a ledger
proposes and prunes what the interrupted one would have.

In a deterministic search it goes by a rule, not by who was faster: proposal k is made once trials 0 to
k - lag have ended, from their results, taken in by number; and a verdict on trial t knows the trials that
its proposal knew, and itself.
"""

from __future__ import annotations

import hashlib
import math
import random
import warnings
from collections.abc import Iterator, Mapping
from functools import lru_cache
from typing import Any, Final, cast

import optuna
from optuna.distributions import (
    BaseDistribution,
    CategoricalDistribution,
    distribution_to_json,
    json_to_distribution,
)
from optuna.exceptions import ExperimentalWarning
from optuna.samplers import RandomSampler
from optuna.trial import TrialState, create_trial

from hpo.config import Config
from hpo.plan import Plan
from hpo.study.blend import PRIOR, Blend
from hpo.study.branching import groups
from hpo.study.drawing import Known, Quantiles
from hpo.study.methods import MODELS, PRUNERS
from hpo.study.rivals import Rivals
from hpo.study.view import Memory, telling
from hpo.training.decay import left_to_fall
from hpo.trial import COSTS, Attempt, Ending, Outcome, Point, Proposal, Record

optuna.logging.disable_default_handler()
optuna.logging.set_verbosity(optuna.logging.ERROR)

BASELINE: Final = "baseline"
BLEND: Final = "blend"

# Trials that a model-based sampler needs before it says more than the expert's prior.
_STARTUP: Final = 10

_STATES: Final[Mapping[Outcome, TrialState]] = {
    Outcome.FINISHED: TrialState.COMPLETE,
    Outcome.PRUNED: TrialState.PRUNED,
    Outcome.DIVERGED: TrialState.PRUNED,
    Outcome.FAILED: TrialState.FAIL,
    Outcome.LOST: TrialState.FAIL,
    Outcome.REFUSED: TrialState.PRUNED,
}


class Study:
    """One search's proposals and verdicts.

    The sampler is `blend` (`hpo.study.blend`), `tpe`, `gp`, `cmaes`, `random` (uniform over the space) or
    `qmc` (scrambled Sobol points); the pruner one of `PRUNERS`. Trial 0 is the plan's baseline, which is
    never pruned.
    """

    def __init__(self, plan: Plan) -> None:
        self._plan, self._space, self._objective = plan, plan.space, plan.search.objective
        self._sampler: str = plan.setting("sampler")
        self._seed: int = plan.setting("seed")
        self._lag = plan.search.lag
        self._blend, self._groups = Blend(plan.space, plan.past.found), groups(plan.space)
        self._storage, self._rivals = Memory(), Rivals()
        self._study = optuna.create_study(
            storage=self._storage,
            study_name="hpo",  # Hyperband hashes it into its choice of brackets
            pruner=PRUNERS[plan.setting("pruner")](plan.epochs, self._to_fall),
            direction=cast("Any", self._objective.direction),
        )
        self._live: dict[int, optuna.Trial] = {}
        self._configs: dict[int, Config] = {}  # of those
        self._ended: dict[int, tuple[Outcome, float | None]] = {}  # and not told to the sampler yet
        self._told = 0  # in a deterministic search: the first that was not
        self._passed: set[int] = set()  # numbers that others took
        self._measured = 0
        self._worst = -math.inf  # cost of a trial that has ended
        self._taken: dict[int, Mapping[str, float]] = {}

    @property
    def size(self) -> int:
        """The number of trials proposed so far."""
        return self._storage.size

    @property
    def ready(self) -> bool:
        """Whether all has ended that the next proposal is to know."""
        return not self._lag or all(number in self._ended for number in self._due)

    @property
    def _due(self) -> list[int]:
        """What the sampler is to be told before it proposes again."""
        numbers = range(self._told, self.size - self._lag + 1)
        return [number for number in numbers if number not in self._passed]

    def propose(self) -> Proposal:
        """Return the next trial."""
        self._tell_what_is_due()
        with warnings.catch_warnings():
            # What Optuna still calls experimental (TPE's groups) is its word to us, not to the user.
            warnings.simplefilter("ignore", ExperimentalWarning)
            return self._propose_next(self.size) if self.size else self._propose_baseline()

    def _propose_next(self, number: int) -> Proposal:
        seed = derived_seed(self._seed, number)
        origin, chosen = self._chosen(number, seed)
        self._study.sampler = (
            MODELS[origin](seed, self._groups, self._storage) if origin in MODELS else RandomSampler(seed)
        )
        chosen |= self._space.turn(number)
        if chosen:
            self._study.enqueue_trial(chosen)
        with self._storage.showing(telling(number, self._blend.ranking)):
            trial = self._study.ask()
            config = self._plan.vocabulary.defaults(self._space.sample(trial))
        return self._proposal(trial, config, origin)

    def _chosen(self, number: int, seed: int) -> tuple[str, dict[str, Any]]:
        """Return who proposes, and what, as far as it is not left to Optuna's sampler."""
        if self._sampler == BLEND:
            return self._blend.propose(seed)
        if self._sampler in MODELS and self._measured < _STARTUP:
            return PRIOR, self._space.draw(random.Random(seed))
        return self._sampler, self._sobol_point(number) if self._sampler == "qmc" else {}

    def _propose_baseline(self) -> Proposal:
        """Propose the baseline as it stands; the sampler learns as much of it as its space contains."""
        located = self._space.locate(self._plan.baseline)
        self._study.sampler = RandomSampler(0)
        self._study.enqueue_trial(located)
        trial = self._study.ask()
        self._space.sample(Known(trial, located))
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
        point = Quantiles(dict(zip(names, latest, strict=True)))
        self._space.sample(point)
        return point.drawn

    def _proposal(self, trial: optuna.Trial, config: Config, origin: str) -> Proposal:
        self._live[trial.number], self._configs[trial.number] = trial, config
        told = self._storage.trial(trial.number)  # a live trial copies itself whenever it is asked
        self._blend.proposed(trial.number, origin, told.params)
        return Proposal(
            number=trial.number,
            config=config,
            origin=origin,
            params=dict(told.params),
            distributions={name: distribution_to_json(it) for name, it in told.distributions.items()},
            notes=self._notes(trial.number),
        )

    def _notes(self, number: int) -> dict[str, Any]:
        attributes = self._storage.trial(number).system_attrs
        # CMA-ES keeps its state as a pickle; it is computed again on restoring, never stored. What TPE notes
        # for other processes is in the trial's parameters.
        return {name: it for name, it in attributes.items() if not name.startswith(("cma:", "tpe:"))}

    def report(self, trial: int, epoch: int, score: float) -> tuple[bool, dict[str, Any]]:
        """Take in a score; return whether the trial goes on, and what the pruner noted."""
        before = self._notes(trial)
        live = self._live[trial]
        live.report(score, epoch)
        self._rivals.measured(trial, epoch)
        # The pruner is asked in any case: it notes the trial's rungs while it judges.
        known = trial - self._lag + 1 if self._lag else self.size
        with self._storage.showing(self._no_larger(trial, self._rivals.of(trial, epoch, known))):
            pruned = epoch < self._plan.epochs and live.should_prune() and trial > 0
        return not pruned, {key: it for key, it in self._notes(trial).items() if before.get(key) != it}

    def _to_fall(self, trial: int, epoch: int) -> float:
        """Return how far the learning rate of a trial is still to fall."""
        return left_to_fall(self._configs[trial], epoch, self._plan.epochs)

    def _no_larger(self, trial: int, rivals: set[int]) -> set[int]:
        """Return those rivals that cost no more than the trial: who costs more does not make it needless."""
        if not self._objective.beside:
            return rivals
        own = self._beside(trial)
        return {it for it in rivals if all(a <= b for a, b in zip(self._beside(it), own, strict=True))}

    def _beside(self, trial: int) -> tuple[float, ...]:
        """Return what a trial costs, as it counts."""
        return self._objective.goals(None, self._taken.get(trial, {}))[1:]

    def end(self, trial: int, outcome: Outcome, score: float | None) -> None:
        """Take in how a trial ended."""
        self._ended[trial] = outcome, score
        if not self._lag:
            self._tell(trial)

    def _tell_what_is_due(self) -> None:
        for number in self._due if self._lag else ():
            self._tell(number)
            self._told = number + 1

    def _tell(self, trial: int) -> None:
        """Tell the sampler how a trial ended."""
        live, (outcome, score) = self._live.pop(trial), self._ended.pop(trial)
        del self._configs[trial]
        self._worst = max([self._worst, *self._costs(trial)])
        if outcome is not Outcome.FAILED and outcome is not Outcome.LOST:
            self._measured += 1
            epochs = 0 if outcome is Outcome.DIVERGED else self._last_epoch(live)
            self._blend.ended(trial, epochs, self._objective.cost(score), self._beside(trial))
        if outcome is Outcome.DIVERGED:
            self._rivals.diverged(trial)
        if outcome in (Outcome.DIVERGED, Outcome.REFUSED):
            self._end_hopeless(live)
        elif outcome is Outcome.FINISHED:
            self._study.tell(live, score)
        else:
            self._study.tell(live, state=_STATES[outcome])

    def _end_hopeless(self, live: optuna.Trial) -> None:
        """Tell what diverged or cannot fit in the way that makes each sampler avoid the region.

        TPE ranks a pruned trial whose last value is NaN behind all others of its length; the others
        learn from complete trials only, so they are told the worst score of all that have ended.
        """
        if self._sampler in ("tpe", BLEND) or not math.isfinite(self._worst):
            live.report(math.nan, self._last_epoch(live) + 1)
            self._study.tell(live, state=TrialState.PRUNED)
        else:
            self._study.tell(live, self._worst if self._objective.direction == "minimize" else -self._worst)

    def _costs(self, trial: int) -> Iterator[float]:
        scores = self._storage.trial(trial).intermediate_values.values()
        return (self._objective.cost(score) for score in scores if not math.isnan(score))

    def _last_epoch(self, live: optuna.Trial) -> int:
        return self._storage.trial(live.number).last_step or 0

    def restore(self, record: Record) -> None:
        """Take in a record of the past; the records of a search must come in their order."""
        match record:
            case Proposal() if not record.searched:  # it only takes a number
                self._study.add_trial(create_trial(state=TrialState.FAIL))
                self._passed.add(record.number)
            case Proposal():
                self._restore_proposal(record)
            case Point() if record.trial in self._live:
                self._live[record.trial].report(record.score, record.epoch)
                self._rivals.measured(record.trial, record.epoch)
                self._remember(record.trial, record.notes)
            case Attempt() if COSTS in record.notes:
                self._taken[record.trial] = record.notes[COSTS]
            case Ending() if record.trial in self._live:
                self.end(record.trial, record.outcome, record.score)

    def _restore_proposal(self, proposal: Proposal) -> None:
        if proposal.origin == "cmaes":
            self.propose()
            return
        self._tell_what_is_due()
        distributions = {name: _distribution(text) for name, text in proposal.distributions.items()}
        past = create_trial(
            state=TrialState.RUNNING,
            params=_as_chosen(proposal.params, distributions),
            distributions=distributions,
            system_attrs=dict(proposal.notes),
        )
        self._study.add_trial(past)
        self._live[proposal.number] = optuna.Trial(self._study, self._storage.id(proposal.number))
        self._configs[proposal.number] = proposal.config
        self._blend.proposed(proposal.number, proposal.origin, past.params)

    def _remember(self, trial: int, notes: Mapping[str, Any]) -> None:
        for name, value in notes.items():
            self._storage.set_trial_system_attr(self._storage.id(trial), name, value)


def derived_seed(seed: int, number: int) -> int:
    """Return a seed for proposal `number`, independent of all others."""
    return int.from_bytes(hashlib.sha256(f"{seed}:{number}".encode()).digest()[:4])


@lru_cache(maxsize=1024)
def _distribution(text: str) -> BaseDistribution:
    """Return the distribution that a record spells out; nearly all trials share theirs."""
    return json_to_distribution(text)


def _as_chosen(params: Mapping[str, Any], distributions: Mapping[str, BaseDistribution]) -> dict[str, Any]:
    """Return each value as its distribution holds it: JSON does not keep 1 and 1.0 apart for choices."""
    chosen = dict(params)
    for name, distribution in distributions.items():
        if isinstance(distribution, CategoricalDistribution):
            chosen[name] = distribution.choices[distribution.choices.index(params[name])]
    return chosen
