"""Trained models as versions of a registered model, of which one is the champion.

A version is a `torch.export` program: plain tensors and a graph, which MLflow reads without running pickled
code and without the model's source. Which versions were champion, in order, is a tag of the registered model.
"""

from __future__ import annotations

import tempfile
import warnings
from collections.abc import Mapping
from dataclasses import dataclass
from importlib.metadata import version
from pathlib import Path
from typing import TYPE_CHECKING, Final
from uuid import uuid4

from hpo.errors import InputError, Problem, did_you_mean
from hpo.history import Search
from hpo.tracking.following import explained
from hpo.tracking.places import open_store, open_to_read

if TYPE_CHECKING:
    from mlflow import MlflowClient

    from hpo.serving import Served

CHAMPION: Final = "champion"
_HISTORY: Final = "hpo.champions"
_MODELS: Final = "models"
_LIBRARIES: Final = ("mlflow", "numpy", "torch")


@dataclass(frozen=True)
class Champion:
    """A version of a registered model that is the champion now, and the one that was before; 0 for none."""

    model: str
    version: int
    before: int

    @property
    def address(self) -> str:
        """How it is loaded."""
        return f"models:/{self.model}@{CHAMPION}"


@explained()
def demand_registry(uri: str) -> None:
    """Make sure that MLflow's registry answers, before a model is trained for it.

    Raises:
        HpoError: it does not.
    """
    open_store(uri).search_registered_models(max_results=1)


@explained()
def register(search: Search, name: str, served: Served, facts: Mapping[str, str], uri: str) -> Champion:
    """Make a model the newest version and the champion of the registered model `name`.

    Args:
        search: whose parent run keeps the files.
        name: of the registered model, which is made if there is none.
        served: the model; it will take batches of any size.
        facts: tags of the version.
        uri: of MLflow's store; empty for the one that MLflow itself would use.

    Raises:
        HpoError: MLflow, or torch.export, does not take it.
    """
    client = open_store(uri)
    from hpo.tracking.runs import Runs

    run, kept = Runs(client, search).parent, f"{_MODELS}/{uuid4().hex}"  # no version lies upon another
    with tempfile.TemporaryDirectory(prefix="hpo-model-") as folder:
        _save(served, Path(folder))
        client.log_artifacts(run, folder, kept)
    if not client.search_registered_models(f"name = '{name}'"):
        client.create_registered_model(name, description=f"The best of recipe {search.recipe}.")
    made = client.create_model_version(name, f"runs:/{run}/{kept}", run, dict(facts))
    return _crown(client, name, [*_champions(client, name), int(made.version)])


@explained()
def roll_back(name: str, uri: str) -> Champion:
    """Make the version champion that was it before.

    Raises:
        InputError: there is no store, no such model in it, or none before.
        HpoError: MLflow cannot be read.
    """
    client = open_to_read(uri)
    if not client.search_registered_models(f"name = '{name}'"):  # a list of all comes in pages
        known = [model.name for model in client.search_registered_models()]
        near = did_you_mean(name, known) or " Make one: hpo promote NAME"
        raise InputError(Problem(name, f"There is no registered model of this name.{near}"))
    champions = _champions(client, name)
    if len(champions) < 2:
        raise InputError(Problem(name, "No version was champion before this one."))
    return _crown(client, name, champions[:-1], champions[-1])


def _crown(client: MlflowClient, name: str, champions: list[int], before: int = 0) -> Champion:
    """Point the alias to the last of the champions, and note them all."""
    client.set_registered_model_alias(name, CHAMPION, str(champions[-1]))
    client.set_registered_model_tag(name, _HISTORY, ",".join(map(str, champions)))
    return Champion(name, champions[-1], before or (champions[-2] if len(champions) > 1 else 0))


def _champions(client: MlflowClient, name: str) -> list[int]:
    noted = client.get_registered_model(name).tags.get(_HISTORY, "")
    return [int(number) for number in noted.split(",") if number]


def _save(served: Served, path: Path) -> None:
    """Write a model as MLflow keeps it, with its signature and an input example."""
    from mlflow import pytorch
    from mlflow.models import infer_signature

    inputs = served.inputs
    outputs = {name: item.numpy() for name, item in served.named(served.outputs(inputs)).items()}
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        pytorch.save_model(
            served.model,
            str(path),
            signature=infer_signature(inputs.numpy(), outputs.get("outputs", outputs)),
            input_example=inputs.numpy(),
            serialization_format="pt2",
            pip_requirements=[f"{name}=={version(name).partition('+')[0]}" for name in _LIBRARIES],
        )
