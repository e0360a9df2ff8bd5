"""The keys of each verb."""

from __future__ import annotations

import os
import shlex
from collections.abc import Mapping
from typing import Any, ClassVar, Final, get_args

from pydantic import Field

from hpo.errors import without_password
from hpo.settings.base import Settings
from hpo.settings.values import (
    Bytes,
    Cluster,
    Count,
    Database,
    File,
    Flag,
    Form,
    Fuse,
    Gpus,
    Name,
    Number,
    Parallel,
    Place,
    PlaceThere,
    Priority,
    Pruner,
    PrunerName,
    Requirements,
    Sampler,
    SamplerName,
    Seconds,
    Seeds,
    Service,
    Spend,
    Tracking,
    WarmStart,
    Weights,
    Workers,
)


def _default_store() -> str:
    return os.environ.get("HPO_STORE") or "sqlite:///hpo.db"


def _default_service() -> str:
    return os.environ.get("HPO_SERVICE") or "http://127.0.0.1:8265"


class StoreSettings(Settings):
    """What every verb that reads or writes a ledger takes."""

    store: Database = Field(
        default_factory=_default_store, description="Database of searches (HPO_STORE, or sqlite:///hpo.db)"
    )

    @property
    def store_words(self) -> tuple[str, ...]:
        """The words that find this store again: none for the default; a password is not repeated."""
        if self.store == _default_store():
            return ()
        return (shlex.quote(f"store={without_password(self.store)}"),)


class NameSettings(StoreSettings):
    """What a verb takes that is about one search: `hpo show NAME`."""

    bare: ClassVar[str] = "name"

    name: Name = Field(description="The name of a search; `hpo list` shows them")


class ExportSettings(NameSettings):
    """The keys of `hpo export`."""

    to: str = Field(description="The file to write, such as train.py, or folder/")
    form: Form = Field(
        default="code", alias="as", description="Write: code, lightning, huggingface, yaml, onnx, optuna …"
    )
    pick: str = Field(default="", description="Trial to export: knee, a goal, a number (the winner)")
    trial: Number | None = Field(default=None, description="The same, by its number")
    weights: Weights = Field(default="", description="File in which the script leaves its weights (none)")

    @property
    def of_search(self) -> bool:
        """Whether a whole search is written, not one trial."""
        return self.form in ("optuna", "csv", "parquet")


class TrackingSettings(Settings):
    """The keys of `hpo ui`."""

    tracking: Tracking = Field(
        default="", description="MLflow's store (MLFLOW_TRACKING_URI, or mlflow.db in this folder)"
    )


class SyncSettings(NameSettings, TrackingSettings):
    """The keys of `hpo sync` and `hpo audit`."""


class FetchSettings(SyncSettings):
    """The keys of `hpo fetch`."""

    name: Name = Field(description="The name of a search in MLflow, or the id of its run")
    to: Name | None = Field(default=None, description="What to call it here (its own name)")


class TrialSettings(StoreSettings):
    """How trials under way are saved."""

    unheard: ClassVar[Mapping[str, str]] = {
        "tracking": "MLFLOW_TRACKING_URI says where runs go (mlflow.db in this folder). Set that instead."
    }

    checkpoint_every: Seconds = Field(default=10.0, description="Save what trains so often, after an epoch")
    checkpoints: Place = Field(
        default_factory=lambda: os.environ.get("HPO_CHECKPOINTS", ""),
        description="A folder or s3://… (HPO_CHECKPOINTS, or beside the store)",
    )


class SearchSettings(TrialSettings):
    """The keys of `hpo search`."""

    groups: ClassVar[Mapping[str, str]] = {"recipe": "recipe_options", "space": "space_overrides"}

    recipe: str = Field(description="What to train: a name (`hpo recipes`) or a path")
    space: str = Field(default="default", description="What to search: a name (`hpo spaces`) or a path")
    budget: Spend = Field(default="", description="All it may cost: 20m, 8cpu-h, 4gpu-h, 30trainings (none)")
    trials: Count | None = Field(
        default=None, description="Configurations to try (64, or what the budget pays for)"
    )
    epochs: Count | None = Field(default=None, description="Epochs of a full trial (the recipe's)")
    timeout: Seconds | None = Field(default=None, description="Stop after 90s, 10m or 2h (never)")
    objective: str = Field(default="", description="Goals: loss,memory,seconds,parameters (the recipe's)")
    memory: Bytes | None = Field(
        default=None, description="Refuse what needs more, such as 8GiB (all there is)"
    )
    sampler: Sampler = Field(
        default="blend", description="How to propose: " + ", ".join(get_args(SamplerName))
    )
    pruner: Pruner = Field(default="ladder", description="Stop early by: " + ", ".join(get_args(PrunerName)))
    warm_start: WarmStart = Field(
        default="auto", description="What blend begins from: auto, off, a search's NAME"
    )
    workers: Workers = Field(default="auto", description="Processes that train at the same time")
    cluster: Cluster = Field(
        default_factory=lambda: os.environ.get("HPO_CLUSTER", ""),
        description="Ray cluster: auto, host:6379 (HPO_CLUSTER, or off: ours)",
    )
    priority: Priority = Field(default=1.0, description="Its weight beside other searches there: high, 3 …")
    fuse: Fuse = Field(default="auto", description="Trials that a worker trains at once: auto, off, 32 …")
    gpus_per_trial: Gpus | None = Field(default=None, description="0.25, 1, 2 … (one GPU if there is one)")
    workers_per_trial: Count = Field(default=1, description="Processes that train a trial together")
    parallel: Parallel = Field(default="ddp", description="How they do: ddp copies, fsdp shards the model")
    seed: Number = Field(default=0, description="The same seed, the same search")
    confirm: Number = Field(default=3, description="Train so many of the best, and the baseline, again")
    confirm_seeds: Seeds = Field(default="auto", description="With so many fresh seeds (5, by the trials)")
    require: Requirements = Field(default="", description="Exit with 1 below it: 'accuracy>=0.97' (none)")
    junit: File = Field(default="", description="A file for build servers: junit=hpo.xml (none)")
    deterministic: Flag = Field(default=False, description="Go by a rule, never by who was faster")
    report_within: Seconds | None = Field(
        default=None, description="A worker silent for longer hangs (10m, or 20 epochs)"
    )
    name: Name | None = Field(default=None, description="What to call the search (recipe and number)")
    recipe_options: dict[str, str] = Field(default={}, description="Set an argument of the recipe's model")
    space_overrides: dict[str, str] = Field(default={}, description="Fix or change a part of the space")


class ServiceSettings(Settings):
    """What every verb takes that speaks to a service: the keys of `hpo status`."""

    service: Service = Field(
        default_factory=_default_service,
        description="Where searches are taken (HPO_SERVICE, or port 8265)",
    )


UNHEARD_THERE: Final = {
    "store": "The service has a ledger of its own. Leave this out.",
    "cluster": "The service is a cluster, and trains on it. Leave this out.",
    "tracking": "The service has an MLflow of its own. Leave this out.",
    "junit": "It would be written there, where nobody looks. Leave this out, and see: hpo status.",
}
"""What words mean nothing at a service, and why."""


class ResumeSettings(SearchSettings):
    """The keys of `hpo resume`: a search, and what is to be otherwise than it was ordered."""

    bare: ClassVar[str] = "search"

    search: Name = Field(description="The name of a search; `hpo list` shows them")
    allow_change: Flag = Field(default=False, description="Start anew, as a fork, if anything has changed")
    name: Name | None = Field(default=None, description="What to call the fork (NAME-2)")
    recipe: str = Field(default="", description="Another recipe")
    service: Service = Field(default="", description="Go on there, such as at http://127.0.0.1:8265 (here)")

    @property
    def words_given(self) -> dict[str, Any]:
        """The words of a search that were typed, and only these."""
        own = {"search", "allow_change", "name", "store", "recipe", "service"}
        return {key: getattr(self, key) for key in self.model_fields_set - own}

    @property
    def words_typed(self) -> tuple[str, ...]:
        """The same and the recipe, to be typed once more."""
        return tuple(map(shlex.quote, self.typed("search", "allow_change", "name", "store", "service")))


class SubmitSettings(SearchSettings, ServiceSettings):
    """The keys of `hpo submit`."""

    unheard: ClassVar[Mapping[str, str]] = UNHEARD_THERE

    checkpoints: PlaceThere = Field(default="", description="A folder there, or s3://… (the service's)")


class StopSettings(NameSettings):
    """The keys of `hpo stop`."""

    service: Service = Field(
        default_factory=lambda: os.environ.get("HPO_SERVICE", ""),
        description="Where it was submitted (HPO_SERVICE, or on this machine)",
    )

    @property
    def here(self) -> bool:
        """Whether the search runs on this machine: a store was typed, and no service, or there is none."""
        return not self.service or self.model_fields_set & {"store", "service"} == {"store"}


class ReplaySettings(NameSettings):
    """The keys of `hpo replay`."""

    trial: Number | None = Field(default=None, description="Train this trial again (recompute decisions)")


class TrainSettings(TrialSettings):
    """The keys of `hpo train`."""

    groups: ClassVar[Mapping[str, str]] = {"recipe": "recipe_options"}
    words: ClassVar[str] = "config"

    recipe: str = Field(description="What to train: a name (`hpo recipes`) or a path")
    epochs: Count | None = Field(default=None, description="Epochs to train (the recipe's)")
    seed: Number = Field(default=0, description="The same seed, the same curve")
    name: Name | None = Field(default=None, description="What to call the training (recipe and number)")
    recipe_options: dict[str, str] = Field(default={}, description="Set an argument of the recipe's model")
    config: dict[str, str] = Field(
        default={}, description="Words of the configuration; others are as in the baseline"
    )


class PlotSettings(StoreSettings):
    """The keys of `hpo plot`."""

    bare: ClassVar[str] = "name"

    name: Name | None = Field(default=None, description="The name of a search; `hpo list` shows them")
    space: str | None = Field(default=None, description="Or a space, of which the schedules are drawn")
    recipe: str | None = Field(default=None, description="The recipe that the space is for")
    to: str = Field(default="pictures", description="The folder to write")
