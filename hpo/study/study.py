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
from collections.abc import Callable, Iterator, Mapping
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
from optuna.samplers import BaseSampler, RandomSampler
from optuna.trial import TrialState, create_trial

from hpo.config import Config
from hpo.planning.plan import Plan
from hpo.study.blend import BASELINE, PRIOR, Blend
from hpo.study.branching import groups, kinds
from hpo.study.drawing import Drawn, Known, sobol_point
from hpo.study.methods import MODELS
from hpo.study.pruning import Pruning
from hpo.study.storage import Storage, telling
from hpo.trial import COSTS, UNDECIDED, Attempt, Ending, Judgment, Outcome, Point, Proposal, Record

optuna.logging.disable_default_handler()
optuna.logging.set_verbosity(optuna.logging.ERROR)

_BLEND: Final = "blend"

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
    `qmc` (scrambled Sobol points); verdicts are `hpo.study.pruning`'s. Trial 0 is the plan's baseline, which
    is never pruned.
    """

    def __init__(self, plan: Plan) -> None:
        self._plan, self._space, self._objective = plan, plan.space, plan.search.objective
        self._turns = plan.space.turns(plan.repeat)
        self._sampler: str = plan.setting("sampler")
        self._seed: int = plan.setting("seed")
        self._lag = plan.search.lag
        self._blend, self._groups = Blend(plan.space, plan.past.found, plan.repeat), groups(plan.space)
        self._kinds = kinds(plan.space.parameters)
        self._spelled = {name: distribution_to_json(it) for name, it in self._kinds.items()}
        self._storage = Storage()
        self._study = optuna.create_study(
            storage=self._storage,
            study_name="hpo",  # Hyperband hashes it into its choice of brackets
            direction=cast("Any", self._objective.direction),
        )
        self._live: dict[int, Config] = {}  # what the sampler was not told the end of
        self._ended: dict[int, tuple[Outcome, float | None]] = {}  # and not told to the sampler yet
        self._told = 0  # in a deterministic search: the first that was not
        self._passed: set[int] = set()  # numbers that others took
        self._measured = 0
        self._worst = -math.inf  # cost of a trial that has ended
        self._taken: dict[int, Mapping[str, float]] = {}
        self._pruning = Pruning(plan, self._study, self._storage, self._live, self._beside)

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
        return self._propose_next(self.size) if self.size else self._propose_baseline()

    def _propose_next(self, number: int) -> Proposal:
        seed = _derived_seed(self._seed, number)
        origin, chosen = self._chosen(number, seed)
        chosen |= dict(*self._turns[number - 1 : number])
        if origin in MODELS:
            config = self._asked(lambda: MODELS[origin](seed, self._groups, self._storage), chosen)
        elif self._sampler == "random":
            config = self._asked(lambda: RandomSampler(seed), chosen)
        else:
            config = self._taken_over(chosen)
        return self._proposal(self._plan.vocabulary.defaults(config), origin)

    def _asked(self, make: Callable[[], BaseSampler], chosen: dict[str, Any]) -> Config:
        """Begin a trial with what is chosen and, for the rest, what a sampler of Optuna's proposes."""
        size = self.size
        with warnings.catch_warnings(), self._storage.showing(lambda: telling(size, self._blend.ranking)):
            # What Optuna still calls experimental (TPE's groups) is its word to us, not to the user.
            warnings.simplefilter("ignore", ExperimentalWarning)
            self._study.sampler = make()
            if chosen:
                self._study.enqueue_trial(chosen)
            return self._space.sample(self._study.ask())

    def _taken_over(self, chosen: dict[str, Any]) -> Config:
        """Begin a trial of which everything is chosen: as if Optuna were asked for it, which takes long."""
        drawn = Drawn(chosen, self._kinds)
        config = self._space.sample(drawn)
        notes = {"fixed_params": chosen} if chosen else {}
        self._storage.begin(drawn.params, drawn.distributions, notes)
        return config

    def _chosen(self, number: int, seed: int) -> tuple[str, dict[str, Any]]:
        """Return who proposes, and what, as far as it is not left to Optuna's sampler."""
        if self._sampler == _BLEND:
            return self._blend.propose(seed)
        if self._sampler in MODELS and self._measured < _STARTUP:
            return PRIOR, self._space.draw(random.Random(seed))
        return self._sampler, sobol_point(self._space, self._seed, number) if self._sampler == "qmc" else {}

    def _propose_baseline(self) -> Proposal:
        """Propose the baseline as it stands; the sampler learns as much of it as its space contains."""
        located = self._space.locate(self._plan.baseline)
        self._study.sampler = RandomSampler(0)
        self._study.enqueue_trial(located)
        trial = self._study.ask()
        self._space.sample(Known(trial, located))
        return self._proposal(self._plan.baseline, BASELINE)

    def _proposal(self, config: Config, origin: str) -> Proposal:
        number = self.size - 1
        self._live[number] = config
        told = self._storage.trial(number)
        self._blend.proposed(number, origin, told.params)
        return Proposal(
            number=number,
            config=config,
            origin=origin,
            params=told.params,
            distributions={name: self._spelled[name] for name in told.distributions},
            notes=self._storage.notes(number),
        )

    def report(self, trial: int, epoch: int, score: float) -> tuple[Judgment, dict[str, Any]]:
        """Take in a score; return what becomes of the trial, and what the pruner noted."""
        return self._pruning.report(trial, epoch, score)

    def judge(self, trial: int) -> Judgment:
        """Return what becomes of a trial after its last epoch, by what is known of its rivals now."""
        return self._pruning.judge(trial)

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
        outcome, score = self._ended.pop(trial)
        del self._live[trial]
        self._worst = max([self._worst, *self._costs(trial)])
        if outcome is not Outcome.FAILED and outcome is not Outcome.LOST:
            self._measured += 1
            epochs = 0 if outcome is Outcome.DIVERGED else self._storage.last_epoch(trial)
            self._blend.ended(trial, epochs, self._objective.cost(score), self._beside(trial))
        if outcome in (Outcome.DIVERGED, Outcome.REFUSED):
            self._end_hopeless(trial)
        else:
            self._end(trial, _STATES[outcome], score)
        if outcome is Outcome.DIVERGED:
            self._pruning.diverged(trial)

    def _end(self, trial: int, state: TrialState, score: float | None) -> None:
        """End a trial as Optuna's `tell` would: no score is NaN, and one that failed has none."""
        sound = score is not None and not math.isnan(score) and state is not TrialState.FAIL
        if state is TrialState.COMPLETE and not sound:
            state = TrialState.FAIL
        self._storage.end(trial, state, score if sound else None)

    def _end_hopeless(self, trial: int) -> None:
        """Tell what diverged or cannot fit in the way that makes each sampler avoid the region.

        TPE ranks a pruned trial whose last value is NaN behind all others of its length; the others
        learn from complete trials only, so they are told the worst score of all that have ended.
        """
        if self._sampler in ("tpe", _BLEND) or not math.isfinite(self._worst):
            self._storage.measured(trial, self._storage.last_epoch(trial) + 1, math.nan)
            self._end(trial, TrialState.PRUNED, None)
        else:
            worst = self._worst if self._objective.direction == "minimize" else -self._worst
            self._end(trial, TrialState.COMPLETE, worst)

    def _costs(self, trial: int) -> Iterator[float]:
        return (
            self._objective.cost(score)
            for score in self._storage.curve(trial).values()
            if not math.isnan(score)
        )

    def restore(self, record: Record) -> None:
        """Take in a record of the past; the records of a search must come in their order."""
        match record:
            case Proposal() if not record.searched:  # it only takes a number
                self._study.add_trial(create_trial(state=TrialState.FAIL))
                self._passed.add(record.number)
            case Proposal():
                self._restore_proposal(record)
            case Point() if record.trial in self._live:
                self._pruning.measured(record.trial, record.epoch, record.score)
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
        params = _as_chosen(proposal.params, distributions)
        self._storage.begin(params, distributions, proposal.notes)
        self._live[proposal.number] = proposal.config
        self._blend.proposed(proposal.number, proposal.origin, params)

    def _remember(self, trial: int, notes: Mapping[str, Any]) -> None:
        for name, value in notes.items():
            if name != UNDECIDED:
                self._storage.set_trial_system_attr(self._storage.id(trial), name, value)


def _derived_seed(seed: int, number: int) -> int:
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
