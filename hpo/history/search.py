"""What a search was started with, and where it stands."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Final

from hpo.budget import Budget
from hpo.config import Value
from hpo.recipe import Objective
from hpo.trial import GIVEN
from hpo.wish import Wish

FORKED_FROM: Final = "forked_from"
"""The setting that names the search which this one was begun in place of, after something had changed."""
EXTENDS: Final = "extends"
"""The setting that names the trial whose training this one goes on with: cnn-1/7."""


class State(StrEnum):
    """Where a search stands."""

    RUNNING = "running"  # its driver is alive
    FINISHED = "finished"  # it came to its end
    INTERRUPTED = "interrupted"  # its driver stopped or died before the end; `hpo resume` goes on
    FAILED = "failed"  # it gave up, for example because trial after trial failed


@dataclass(frozen=True)
class Search:
    """What a search was started with, word for word, and where it stands.

    `source` is the recipe's text, `space` the space as YAML with every override in it, `settings` the
    other words (`trials`, `epochs`, `seed`, `sampler`, `pruner` …), `versions` the libraries' versions.
    `created` is in seconds since 1970, UTC; `session` is the number of its latest session; `uploaded` is the
    number of the last record that is known to be in MLflow, None for searches that are older than this note;
    `wish` is what people ask of that session. `ran` are the seconds that its sessions took, all together,
    as far as that is known; `used` is what they took by its clock (`hpo.progress.clock`), as its budget
    counts that.
    """

    name: str
    recipe: str
    path: str
    source: str
    space: str
    objective: Objective
    settings: Mapping[str, Value]
    versions: Mapping[str, str]
    created: float = 0.0
    state: State = State.RUNNING
    reason: str = ""
    id: int = 0
    uploaded: int | None = None
    session: int = 0
    wish: Wish = field(default_factory=Wish)
    ran: float = 0.0
    used: float = 0.0

    @property
    def lag(self) -> int:
        """How many trials back a deterministic search looks: proposal k knows those up to k - lag; else 0."""
        return int(str(self.settings.get("lag", 0)))

    @property
    def given(self) -> bool:
        """Whether its one configuration was given (`hpo train`), so that nothing is searched."""
        return self.settings.get("sampler") == GIVEN

    @property
    def of_devices(self) -> bool:
        """Whether its budget counts the time of each CPU or GPU."""
        budget = self.settings.get("budget")
        return bool(budget) and Budget.parse(str(budget)).of_devices

    @property
    def devices(self) -> float:
        """How many of them its workers hold."""
        return float(str(self.settings.get("held", 1)))

    @property
    def extends(self) -> str:
        """The trial that its training goes on from (`hpo extend`); nothing if it begins by itself."""
        return str(self.settings.get(EXTENDS, ""))
