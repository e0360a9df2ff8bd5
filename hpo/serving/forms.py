"""Models written for servers, each read back and compared with the one in torch."""

from __future__ import annotations

import logging
import os
import tempfile
import warnings
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from importlib.util import find_spec
from pathlib import Path
from typing import Any, Final, NamedTuple

import torch
from torch import Tensor
from torch.export import Dim, ExportedProgram
from torch.utils._pytree import TreeSpec, tree_structure, tree_unflatten

from hpo.errors import HpoError, InputError, Problem
from hpo.serving.served import Network

ONE: Final = tree_structure(0)
"""The structure of what is a single tensor."""

_ONNX: Final = ("onnx", "onnxscript", "onnxruntime", "torch_pruning")


class Written(NamedTuple):
    """A file: its size in bytes, the inputs that it takes, and how far its outputs are from torch's."""

    path: Path
    size: int
    takes: str
    gap: float

    def __str__(self) -> str:
        """Say it in a line."""
        gap = f"its outputs are torch's to within {self.gap:.1g}" if self.gap else "its outputs are torch's"
        return f"Written: {self.path}, {self.size:,} bytes. It takes {self.takes}; read back, {gap}."


def to_program(network: Network, path: Path) -> Written:
    """Write a `torch.export` program, which torch runs without the model's code (torch.export.load).

    Raises:
        HpoError: torch cannot follow the model; there is no file then.
    """
    with _whole(path) as new:
        torch.export.save(_program(network), new)
        return _written(network, path, new, torch.export.load(new).module())


def to_onnx(network: Network, path: Path) -> Written:
    """Write ONNX; its inputs are called `inputs`, its outputs as `Network.named` says. See `demand_onnx`.

    Raises:
        HpoError: torch cannot follow the model; there is no file then.
    """
    with _whole(path) as new, _quietly():
        outputs = network.outputs(network.inputs)
        names: dict[str, Any] = {"input_names": ["inputs"], "output_names": list(network.named(outputs))}
        torch.onnx.export(_program(network), (), new, external_data=False, verbose=False, **names)
        return _written(network, path, new, run_onnx(new, tree_structure(outputs)))


@contextmanager
def _whole(path: Path) -> Iterator[Path]:
    """Yield where to write a file, which is moved to its place when it has been read back."""
    with tempfile.TemporaryDirectory(prefix=".hpo-", dir=path.parent) as folder:
        new = Path(folder, path.name)
        yield new
        os.replace(new, path)


def demand_onnx(where: str) -> None:
    """Refuse what needs ONNX if it is not installed.

    Raises:
        InputError: with the line that installs it.
    """
    absent = [name for name in _ONNX if find_spec(name) is None]
    if absent:
        message = f"This needs {', '.join(absent)}. Install them: pip install 'hpo[serve]'"
        raise InputError(Problem(where, message))


def run_onnx(path: Path, structure: TreeSpec = ONE) -> Callable[[Tensor], Any]:
    """Return a file of ONNX as a function, run by ONNX Runtime in one thread.

    What it gives has the `structure` that the model's outputs have: one tensor, a tuple, a dictionary.
    """
    import onnxruntime

    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = options.inter_op_num_threads = 1
    options.log_severity_level = 3
    session = onnxruntime.InferenceSession(str(path), options, providers=["CPUExecutionProvider"])
    (name,) = (it.name for it in session.get_inputs())

    def run(inputs: Tensor) -> Any:
        outputs = session.run(None, {name: inputs.numpy()})
        return tree_unflatten(map(torch.from_numpy, outputs), structure)

    return run


def rehearsal(write: Callable[[Network, Path], object]) -> Callable[[Network], None]:
    """Return what tries to write a model, and keeps nothing: to be told before it is trained what fails."""

    def rehearse(network: Network) -> None:
        with tempfile.TemporaryDirectory(prefix="hpo-rehearsal-") as folder:
            write(network, Path(folder, "model.pt2"))

    return rehearse


def _program(network: Network) -> ExportedProgram:
    """Return the model as a program for batches of any size.

    Raises:
        HpoError: torch cannot follow the model, or only at one batch size, or it gives what is no tensor.
    """
    network.named(network.outputs(network.inputs))  # which refuses that
    try:
        with _quietly():
            return torch.export.export(network.model, (network.inputs,), dynamic_shapes=({0: Dim.DYNAMIC},))
    except Exception as error:  # whatever torch or the model raises
        told = str(error).strip().partition("\n")[0]
        raise HpoError(f"torch.export cannot follow this model: {type(error).__name__}: {told}") from error


def _written(network: Network, path: Path, new: Path, run: Callable[[Tensor], Any]) -> Written:
    """Compare what was read back on a batch of another size."""
    inputs = network.inputs[: max(1, len(network.inputs) - 3)]
    with torch.no_grad():
        found, expected = network.named(run(inputs)), network.named(network.outputs(inputs))
    gap = max(_gap(found[name], item) for name, item in expected.items())
    kind = str(inputs.dtype).removeprefix("torch.")
    shape = ", ".join(["batch", *map(str, inputs.shape[1:])])
    return Written(path, new.stat().st_size, f"{kind} of shape [{shape}]", gap)


def _gap(found: Tensor, expected: Tensor) -> float:
    kind = torch.promote_types(expected.dtype, torch.float64)  # in which also truth values can be subtracted
    return (found.to(kind) - expected.to(kind)).abs().max().item()


@contextmanager
def _quietly() -> Iterator[None]:
    """Keep from the screen what torch's exporters say about themselves."""
    logger = logging.getLogger("torch.onnx")
    level = logger.level
    logger.setLevel(logging.ERROR)
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            yield
    finally:
        logger.setLevel(level)


FORMS: Final = {"onnx": to_onnx, "torch_export": to_program}
