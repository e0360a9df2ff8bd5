"""Models written for servers, each read back and compared with the one in torch."""

from __future__ import annotations

import logging
import warnings
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from importlib.util import find_spec
from pathlib import Path
from typing import Any, Final, NamedTuple

import torch
from torch import Tensor
from torch.export import Dim, ExportedProgram

from hpo.errors import HpoError, InputError, Problem
from hpo.serving.served import Served

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


def to_program(served: Served, path: Path) -> Written:
    """Write a `torch.export` program, which torch runs without the model's code (torch.export.load)."""
    torch.export.save(_program(served), path)
    again = torch.export.load(path).module()
    return _written(served, path, again)


def to_onnx(served: Served, path: Path) -> Written:
    """Write ONNX; its inputs are called `inputs`, its outputs `outputs`. See `demand_onnx`."""
    with _quietly():
        names: dict[str, Any] = {"input_names": ["inputs"], "output_names": ["outputs"]}
        torch.onnx.export(_program(served), (), path, external_data=False, verbose=False, **names)
    return _written(served, path, run_onnx(path))


def demand_onnx(where: str) -> None:
    """Refuse what needs ONNX if it is not installed.

    Raises:
        InputError: with the line that installs it.
    """
    absent = [name for name in _ONNX if find_spec(name) is None]
    if absent:
        message = f"This needs {', '.join(absent)}. Install them: pip install 'hpo[serve]'"
        raise InputError(Problem(where, message))


def run_onnx(path: Path) -> Callable[[Tensor], Tensor]:
    """Return a file of ONNX as a function, run by ONNX Runtime in one thread."""
    import onnxruntime

    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = options.inter_op_num_threads = 1
    options.log_severity_level = 3
    session = onnxruntime.InferenceSession(str(path), options, providers=["CPUExecutionProvider"])
    (name,) = (it.name for it in session.get_inputs())

    def run(inputs: Tensor) -> Tensor:
        (outputs, *_) = session.run(None, {name: inputs.numpy()})
        return torch.from_numpy(outputs)

    return run


def _program(served: Served) -> ExportedProgram:
    """Return the model as a program for batches of any size.

    Raises:
        HpoError: torch cannot follow the model, or only at one batch size.
    """
    try:
        with _quietly():
            return torch.export.export(served.model, (served.inputs,), dynamic_shapes=({0: Dim.DYNAMIC},))
    except Exception as error:  # whatever torch or the model raises
        told = str(error).strip().partition("\n")[0]
        raise HpoError(f"torch.export cannot follow this model: {type(error).__name__}: {told}") from error


def _written(served: Served, path: Path, run: Callable[[Tensor], Any]) -> Written:
    """Compare what was read back on a batch of another size."""
    inputs = served.inputs[: max(1, len(served.inputs) - 3)]
    gap = (run(inputs).detach() - served.outputs(inputs)).abs().max().item()
    kind = str(inputs.dtype).removeprefix("torch.")
    shape = ", ".join(["batch", *map(str, inputs.shape[1:])])
    return Written(path, path.stat().st_size, f"{kind} of shape [{shape}]", gap)


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
