"""hpo in Python: search, train, load, and what comes of it; the command line is built on the same calls."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, ClassVar, TypedDict, Unpack

from hpo import report
from hpo.advice import Advice, advise
from hpo.config import Config, Value
from hpo.history import History, Search, State
from hpo.ledger import Ledger
from hpo.planning.ordering import order, order_training
from hpo.planning.plan import Plan
from hpo.results import frames, summary
from hpo.results.requirement import Judgement
from hpo.settings import SearchSettings, StoreSettings, TrainSettings
from hpo.terminal.live import viewer

if TYPE_CHECKING:
    import pandas as pd

    from hpo.conductor.session import Telling, Viewing
    from hpo.pictures import Gallery


class TrainingWords(TypedDict, total=False):
    """The words of a training, by the names that they have on the command line."""

    epochs: int
    seed: int
    name: str
    store: str
    checkpoint_every: float
    checkpoints: str
    options: Mapping[str, Value]
    """Arguments of the recipe's model, data and loss: {"width": 64} is recipe.width=64."""


class SearchWords(TrainingWords, total=False):
    """The words of a search, by the names that they have on the command line."""

    space: str
    budget: str
    trials: int
    timeout: float
    objective: str
    memory: int | str
    sampler: str
    pruner: str
    warm_start: str
    workers: int | str
    cluster: str
    priority: float | str
    fuse: int | str
    gpus_per_trial: float
    workers_per_trial: int
    parallel: str
    deterministic: bool
    confirm: int
    confirm_seeds: int | str
    require: str
    report_within: float
    overrides: Mapping[str, object]
    """Places in the space, as plain values: {"optimizer": "sgd"}, {"clip_norm": {"log": [0.1, 10]}}."""


class _SearchSettings(SearchSettings):
    """The words of a search in Python."""

    unheard: ClassVar[Mapping[str, str]] = {
        "junit": "The command line writes it. In Python, look at result.requirements."
    }


_GROUPS = {"options": "recipe", "overrides": "space"}


@dataclass(frozen=True)
class Best:
    """The best trial: `score` is the objective on validation data, `metrics` what else was measured."""

    number: int
    score: float
    config: Config
    metrics: Mapping[str, float]


@dataclass(frozen=True)
class Result:
    """A search, or a single training, as its ledger tells it; notebooks show it as a table."""

    search: Search
    history: History

    @property
    def name(self) -> str:
        """What the search is called."""
        return self.search.name

    @property
    def state(self) -> State:
        """Where it stands."""
        return self.search.state

    @property
    def best(self) -> Best | None:
        """The finished trial with the best score."""
        trial = self.history.best
        if trial is None or trial.score is None:
            return None
        measured = summary.measures(trial, self.search.objective)
        return Best(trial.number, trial.score, trial.proposal.config, measured)

    @property
    def trials(self) -> pd.DataFrame:
        """A row for each trial: outcome, score, measures, configuration."""
        return frames.trials(self.search, self.history)

    @property
    def front(self) -> pd.DataFrame:
        """The rows of trials that no other one beats in every goal, best score first; none of one goal."""
        numbers = [trial.number for trial in self.history.front]
        return self.trials.set_index("trial", drop=False).loc[numbers].reset_index(drop=True)

    @property
    def epochs(self) -> pd.DataFrame:
        """A row for each epoch of each trial."""
        return frames.epochs(self.history)

    @property
    def requirements(self) -> list[Judgement]:
        """Whether the winner does what `require` says, one by one."""
        return summary.required(self.search, self.history)

    @property
    def advice(self) -> list[Advice]:
        """What the search has taught, each finding with its evidence."""
        return advise(self.search, self.history)

    @property
    def plot(self) -> Gallery:
        """Its pictures, as matplotlib figures: `result.plot.losses().savefig("losses.png")`."""
        from hpo.pictures import Gallery  # takes half a second

        return Gallery(Plan.of(self.search), self.history)

    def report(self, to: str | Path = "") -> Path:
        """Write the report, to NAME.html if no file is named, and return its path.

        Raises:
            InputError: the file cannot be written.
        """
        return report.write(self.search, self.history, Path(to or f"{self.name}.html"))

    def __repr__(self) -> str:
        best = f", best {self.best.score:.6g}" if self.best else ""
        return f"<hpo.Result {self.name}: {self.state}, {len(self.history.searched)} trials{best}>"

    def _repr_html_(self) -> str:
        return report.glance(self.search, self.history)


def search(recipe: str, *, show: bool = True, **words: Unpack[SearchWords]) -> Result:
    """Search for the best configuration of a recipe, as `hpo search` does, and return what was found.

    Args:
        recipe: a name (`hpo recipes`) or a path.
        show: whether progress is shown on standard error.
        words: as on the command line; times are in seconds.

    Raises:
        InputError: with everything that is wrong; nothing was started.
        SearchError: no trial came to its end, or trial after trial failed; `load` has what is there.
        InterruptedSearch: Ctrl-C; `hpo resume` goes on.
    """
    settings = _SearchSettings.from_words(_typed(recipe, words))
    return run(order(settings), settings.store, _viewing(show=show))


def train(
    recipe: str,
    config: Mapping[str, Value] | None = None,
    *,
    show: bool = True,
    **words: Unpack[TrainingWords],
) -> Result:
    """Train one configuration in this process, as `hpo train` does; the rest is as in the baseline.

    Raises:
        InputError: with everything that is wrong; nothing was started.
        SearchError: it did not come to its end.
        InterruptedSearch: Ctrl-C; `hpo resume` goes on.
    """
    typed = _typed(recipe, words) + [f"{name}={_text(value)}" for name, value in (config or {}).items()]
    settings = TrainSettings.from_words(typed)
    return run(order_training(settings), settings.store, _viewing(show=show))


def load(name: str, store: str | None = None) -> Result:
    """Return a search that is in a ledger, running or over.

    Raises:
        InputError: there is no such search.
    """
    ledger = Ledger((StoreSettings(store=store) if store else StoreSettings()).store)
    found = ledger.search(name)
    return Result(found, ledger.history(found))


def run(ordered: Search, store: str, viewing: Viewing, tell: Telling = lambda _: None) -> Result:
    """Run what was ordered to its end, and `tell` its result before MLflow has all of it.

    Raises:
        InputError: its name is taken, or the machine lacks what it asks for.
        SearchError: no trial came to its end, or trial after trial failed.
        InterruptedSearch: Ctrl-C, SIGTERM or SIGHUP.
    """
    from hpo.conductor.conductor import run as conduct

    return Result(*conduct(ordered, store, viewing, tell))


def _typed(recipe: str, words: Mapping[str, Any]) -> list[str]:
    """Return keyword arguments as the words of a command line, so that they mean and are refused the same."""
    typed = [f"recipe={recipe}"]
    for key, value in words.items():
        if key in _GROUPS:
            typed += [f"{_GROUPS[key]}.{name}={_text(item)}" for name, item in value.items()]
        elif value is not None:
            typed.append(f"{key}={_text(value)}")
    return typed


def _text(value: object) -> str:
    return value if isinstance(value, str) else json.dumps(value)


class _Quiet:
    """Shows nothing."""

    def start(self, plan: object, history: History) -> None:
        """Nothing is shown."""

    def update(self, search: Search, history: History) -> None:
        """Nothing is shown."""

    def finish(self) -> None:
        """Nothing was shown."""


def _viewing(*, show: bool) -> Viewing:
    return viewer if show else lambda _: _Quiet()
