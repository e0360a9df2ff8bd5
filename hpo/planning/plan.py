"""What a search means to the code: a `Search` from the ledger, understood."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from functools import cached_property
from typing import Any, Final

from hpo import recipe as recipes
from hpo import space as spaces
from hpo.budget import SECONDS, TRAININGS, Budget
from hpo.config import Config, Value
from hpo.history import Search
from hpo.planning.past import Past
from hpo.planning.rungs import Rungs, rungs
from hpo.recipe import MEMORY, Recipe
from hpo.settings import SearchSettings
from hpo.space import Given, Space
from hpo.training.words import vocabulary_of
from hpo.trial import Proposal
from hpo.vocabulary import Vocabulary

_TERMS: Final = ("budget", "timeout", "trials", "confirm", "confirm_seeds")

OPTION: Final = "recipe."
OVERRIDE: Final = "space."
SPACE_FILE: Final = "space_file"
"""The setting that keeps the path of the space, so that it is found again from any folder."""

_ROUNDS: Final = 4
"""So often, at least, a sampler that learns is to learn something before it proposes again."""

FEWEST_SEEDS: Final = 2
"""With one there is no interval."""
_MOST_SEEDS: Final = 5
_TRIALS_TO_EACH: Final = 3

TRIALS: Final = 64
"""Where nothing else says how many."""


@dataclass(frozen=True)
class Plan:
    """A search, understood: its recipe, its space, and the baseline as a complete configuration."""

    search: Search
    recipe: Recipe
    vocabulary: Vocabulary
    space: Space
    baseline: Config
    data_options: Mapping[str, Value]

    @property
    def epochs(self) -> int:
        """How long a full training is."""
        return int(self.search.settings["epochs"] or self.recipe.epochs)

    @property
    def at_once(self) -> int | None:
        """How many trials a worker trains at once; None: what a measurement recommends."""
        fuse = self.search.settings.get("fuse", "off")
        if self.setting("workers_per_trial") > 1 or self.setting("deterministic"):
            return 1
        return None if fuse == "auto" else 1 if fuse == "off" else int(str(fuse))

    @property
    def at_work(self) -> int:
        """How many workers train at the same time."""
        return int(str(self.search.settings.get("at_work", 1)))

    @property
    def beside(self) -> int:
        """How many of these may share one machine."""
        return int(str(self.search.settings.get("beside", self.at_work)))

    @property
    def costs(self) -> tuple[str, ...]:
        """What is measured of each trial before it trains."""
        if self.search.given:
            return ()
        limited = (MEMORY,) if self.setting("memory") else ()
        return tuple(dict.fromkeys((*self.search.objective.beside, *limited)))

    @property
    def most_at_once(self) -> int:
        """The most that a worker may train at once and leave its share to others.

        A sampler that learns needs to see results before it proposes again.
        """
        rounds = _ROUNDS if self.learns else 1
        return max(1, self._about // (rounds * self.at_work))

    @property
    def learns(self) -> bool:
        """Whether what trials come to decides what is proposed after them."""
        return self.setting("sampler") not in ("random", "qmc")

    @property
    def trials(self) -> int | None:
        """How many configurations are tried at most: so many as are asked for, if there are.

        None: as many as the budget pays for.
        """
        asked = self.setting("trials") or (None if self.setting("budget") else TRIALS)
        return min((int(it) for it in (asked, self.configurations) if it), default=None)

    @cached_property
    def configurations(self) -> int | None:
        """How many there are to try, the baseline among them, where they are few and none is tried again."""
        every = self.space.every if self.setting("sampler") == "blend" else []
        return len(every) + (self.repeat is None) if every else None

    @cached_property
    def repeat(self) -> Mapping[str, Value] | None:
        """The draw that would give the baseline once more, if there is one."""
        located = self.space.locate(self.baseline)
        try:
            config = self.space.sample(Given(located))
        except KeyError:  # the space has it only in part
            return None
        return located if self.vocabulary.defaults(config) == self.baseline else None

    @property
    def _about(self) -> int:
        """How many trials there will be, as far as that can be said before the first."""
        budget = self.budget
        if self.trials or budget is None or budget.unit != TRAININGS:
            return self.trials or TRIALS
        return max(1, int(budget.limit(self.epochs) / 2 / self.rungs.further(self.epochs)))

    @property
    def budget(self) -> Budget | None:
        """What the search may cost, all in all, if that is bounded."""
        asked, timeout = self.setting("budget"), self.setting("timeout")
        return Budget.parse(asked) if asked else Budget(timeout, SECONDS) if timeout else None

    @property
    def limit(self) -> str:
        """The word that bounds what it costs; nothing if none does."""
        word = "budget" if self.frugal else "timeout"
        return f"{word}={self.budget}" if self.budget else ""

    @property
    def frugal(self) -> bool:
        """Whether it ends where more is not worth its cost."""
        return bool(self.setting("budget"))

    @property
    def pace(self) -> float:
        """What a second costs: as much as there are devices at work, where these count."""
        return self.search.devices if self.search.of_devices else 1.0

    @property
    def terms(self) -> str:
        """The words that bound the search: a plan of its rest holds as long as they do."""
        return " ".join(f"{name}={self.setting(name)}" for name in _TERMS)

    @property
    def past(self) -> Past:
        """What it begins from."""
        return Past.of(self.search.settings)

    @property
    def rungs(self) -> Rungs:
        """Where trials are compared."""
        return rungs(self.setting("pruner"), self.epochs)

    @property
    def patient(self) -> bool:
        """Whether a trial may wait, saved, for rivals to be judged by.

        Only the ladder leaves any undecided. A deterministic search judges by what it knew at the proposal,
        and one with several goals by rivals that cost no more, of which none may ever come. Shards of a model
        are not saved.
        """
        sharded = self.setting("workers_per_trial") > 1 and self.setting("parallel") == "fsdp"
        impatient = self.search.lag or self.search.objective.beside or sharded
        return self.setting("pruner") == "ladder" and not impatient

    @property
    def confirm(self) -> int:
        """How many of the best are trained again with fresh seeds, beside the baseline and the knee."""
        return 0 if self.search.given else int(self.setting("confirm"))

    @property
    def fresh_seeds(self) -> range:
        """The seeds that they are trained with, each one for all of them."""
        first, asked = int(self.setting("seed")) + 1, self.setting("confirm_seeds")
        count = self._seeds_paid_for if asked == "auto" else int(asked)
        return range(first, first + (count if self.confirm else 0))

    @property
    def _seeds_paid_for(self) -> int:
        """As many as make one training for each three trials, so that a glance stays one.

        Where something is required of the winner, as many as are of use; a budget decides for itself.
        """
        if self.setting("require") or self.frugal:
            return _MOST_SEEDS
        seeds = min(_MOST_SEEDS, self._about // (_TRIALS_TO_EACH * self.candidates(self.confirm)))
        return seeds if seeds >= FEWEST_SEEDS else 0

    @property
    def confirmations(self) -> int:
        """How many trainings with fresh seeds there will be at most."""
        return self.candidates(self.confirm) * len(self.fresh_seeds)

    def candidates(self, best: int) -> int:
        """How many configurations train again with so many of the best: the baseline and any knee, too."""
        return best + (2 if self.search.objective.beside else 1)

    def setting(self, name: str) -> Any:
        """Return one of the words that the search was started with; one that is younger has its default."""
        settings = self.search.settings
        if name in settings:
            return settings[name]
        return SearchSettings.model_fields[name].get_default(call_default_factory=True)

    @classmethod
    def of(cls, search: Search) -> Plan:
        """Understand a search from what the ledger keeps of it."""
        recipe = replace(recipes.read(search.source, search.path), objective=search.objective)
        options = _below(search.settings, OPTION)
        vocabulary = vocabulary_of(recipe)
        space = spaces.read(search.space, f"space of {search.name}", vocabulary)
        return cls(
            search=search,
            recipe=recipe,
            vocabulary=vocabulary,
            space=space,
            baseline=space.first if search.given else _baseline(recipe, vocabulary, space),
            data_options={name: value for name, value in options.items() if name in recipe.data},
        )

    def at(self, search: Search) -> Plan:
        """Return the same with what is set by now, such as the number of trials that people wish for."""
        return replace(self, search=search)

    def whole(self, proposal: Proposal) -> Proposal:
        """Return what a trial trains with: words that are younger than its search are at their defaults."""
        return replace(proposal, config=self.vocabulary.defaults(proposal.config))

    def seed_of(self, proposal: Proposal) -> int:
        """Return the seed that a trial trains with: the search's, unless it has one of its own."""
        return int(self.setting("seed")) if proposal.seed is None else proposal.seed


def _baseline(recipe: Recipe, vocabulary: Vocabulary, space: Space) -> Config:
    """Return the baseline, complete: what it leaves open is as the space fixes it, or the default."""
    fixed = space.fixed
    vocabulary = vocabulary.saying([*recipe.baseline, *fixed])
    branches = [name for name in vocabulary.branches if name in recipe.baseline]
    open_values = {
        name: value
        for name, value in fixed.items()
        if name not in recipe.baseline and name.partition(".")[0] not in branches
    }
    chosen = {name: value for name, value in fixed.items() if name.partition(".")[0] in vocabulary.options}
    return vocabulary.defaults(Config(open_values) | recipe.baseline | chosen)


def _below(values: Mapping[str, Value], prefix: str) -> dict[str, Value]:
    return {key.removeprefix(prefix): value for key, value in values.items() if key.startswith(prefix)}
