"""A trained model made smaller and faster, each way measured in ONNX Runtime, as it would serve."""

from __future__ import annotations

import copy
import tempfile
import time
import warnings
import zlib
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from statistics import median
from typing import Any, Final

from torch import Tensor, nn
from torch.nn.utils import prune
from torch.utils._pytree import tree_structure

from hpo.config import Config
from hpo.serving.forms import run_onnx, to_onnx
from hpo.serving.served import Served
from hpo.training.beginning import start_model
from hpo.training.engine import Member
from hpo.training.loop.loaders import read
from hpo.training.loop.loop import mean_measures
from hpo.training.plain import train_model
from hpo.training.transfer import Start

_LAYERS: Final = (nn.Linear, nn.Conv1d, nn.Conv2d, nn.Conv3d)
_RUNS: Final = 50
_BATCHES: Final = 16
"""So many batches of training data tell the range of each activation."""


@dataclass(frozen=True)
class Pruning:
    """What share of the weights, or of the channels, goes, and for how many epochs the rest trains on."""

    share: float
    epochs: int


@dataclass(frozen=True)
class Variant:
    """One form of the model: bytes of its file, and zipped; milliseconds a batch; validation measures.

    Where it could not be made, `reason` says why, and the rest means nothing.
    """

    name: str
    path: Path
    size: int = 0
    zipped: int = 0
    latency: float = 0.0
    measured: Mapping[str, float] | None = None
    reason: str = ""

    def describe(self) -> dict[str, Any]:
        """Return it for programs."""
        return {**vars(self), "path": str(self.path)}


def compress(served: Served, config: Config, pruning: Pruning, folder: Path) -> Iterator[Variant]:
    """Yield the model as it is, then each of its smaller forms, which lie in the folder."""
    whole = folder / "float32.onnx"
    to_onnx(served, whole)
    yield _measure("float32", whole, served)
    ways: dict[str, Callable[[Path], object]] = {
        "int8-dynamic": lambda path: _quantize_dynamic(whole, path),
        "int8-static": lambda path: _quantize_static(whole, path, served, config),
        "pruned-weights": lambda path: to_onnx(_prune_weights(served, config, pruning), path),
        "pruned-channels": lambda path: to_onnx(_prune_channels(served, config, pruning), path),
    }
    for name, make in ways.items():
        path = folder / f"{name}.onnx"
        try:
            with warnings.catch_warnings():
                warnings.simplefilter("ignore")
                make(path)
            yield _measure(name, path, served)
        except Exception as error:  # noqa: BLE001 - a model that one way does not fit may fit the others
            told = str(error).strip().partition("\n")[0]
            yield Variant(name, path, reason=f"{type(error).__name__}: {told}")


def _quantize_dynamic(whole: Path, path: Path) -> None:
    """Round weights to 8 bits, and activations as they come: no data is needed."""
    from onnxruntime.quantization import QuantType, quantize_dynamic

    with _prepared(whole) as prepared:
        quantize_dynamic(prepared, path, weight_type=QuantType.QUInt8)


def _quantize_static(whole: Path, path: Path, served: Served, config: Config) -> None:
    """Round weights and activations to 8 bits, in ranges that training data had."""
    from onnxruntime.quantization import CalibrationDataReader, quantize_static

    batches = read(served.task.splits["train"], Member(0, config).batch_size, 0)
    seen = iter(
        [{"inputs": inputs.numpy()} for _, (inputs, _) in zip(range(_BATCHES), batches, strict=False)]
    )

    class Reader(CalibrationDataReader):  # type: ignore[misc]
        def get_next(self) -> dict[str, Any] | None:
            return next(seen, None)

    with _prepared(whole) as prepared:
        quantize_static(prepared, path, Reader())


@contextmanager
def _prepared(whole: Path) -> Iterator[Path]:
    """Yield the file as quantization wants it: normalization folded into the layer before it.

    Noted shapes go, since ONNX Runtime does not note those anew of the matrices that it turns.
    """
    import onnx
    from onnxruntime.quantization.shape_inference import quant_pre_process

    with tempfile.TemporaryDirectory(prefix="hpo-onnx-") as folder:
        prepared = Path(folder, whole.name)
        quant_pre_process(whole, prepared, skip_symbolic_shape=True)
        graph = onnx.load(prepared)
        graph.graph.ClearField("value_info")
        onnx.save(graph, prepared)
        yield prepared


def _prune_weights(served: Served, config: Config, pruning: Pruning) -> Served:
    """Set the smallest weights of all layers to 0, train the others on: Han et al. 2015, arXiv:1506.02626."""
    model = copy.deepcopy(served.model)
    layers = [(layer, "weight") for layer in model.modules() if isinstance(layer, _LAYERS)]
    prune.global_unstructured(layers, prune.L1Unstructured, amount=pruning.share)
    trained = _train_on(served, model, config, pruning)
    for layer, name in layers:
        prune.remove(layer, name)
    return trained


def _prune_channels(served: Served, config: Config, pruning: Pruning) -> Served:
    """Take out whole channels, and what depends on them, and train on: Fang et al. 2023, arXiv:2301.12900."""
    import torch_pruning

    model = copy.deepcopy(served.model)
    last = [layer for layer in model.modules() if isinstance(layer, _LAYERS)][-1]
    torch_pruning.pruner.MagnitudePruner(
        model,
        served.inputs,
        importance=torch_pruning.importance.MagnitudeImportance(p=2),
        pruning_ratio=pruning.share,
        ignored_layers=[last],
    ).step()
    return _train_on(served, model, config, pruning)


def _train_on(served: Served, model: nn.Module, config: Config, pruning: Pruning) -> Served:
    """Train as the search did, with the whole schedule once more: Renda et al. 2020, arXiv:2003.02389.

    But for an average of the weights: it would copy what holds the pruned ones at 0.
    """
    task = replace(served.task, epochs=pruning.epochs)
    member = Member(0, Config({**config, "ema": None}))
    begun = model.to(task.device), _start_of(served, model, config)
    return replace(served, model=train_model(task, member, begun=begun).cpu())


def _start_of(served: Served, model: nn.Module, config: Config) -> Start:
    """Say what of a model a checkpoint had filled; torch calls a pruned weight `weight_orig`."""
    _, start = start_model(served.task, config)
    own = model.state_dict()
    return start._replace(filled=[name if name in own else f"{name}_orig" for name in start.filled])


def _measure(name: str, path: Path, served: Served) -> Variant:
    """Measure a file: its size, the median time of a batch in one thread, and what validation comes to."""
    run = run_onnx(path, tree_structure(served.outputs(served.inputs)))
    content = path.read_bytes()
    batches = read(served.task.splits["validation"], served.task.measured_at)
    return Variant(
        name,
        path,
        len(content),
        len(zlib.compress(content, 9)),
        _latency(run, served.inputs),
        mean_measures(run, served.task.measures, batches),
    )


def _latency(run: Callable[[Tensor], Any], inputs: Tensor) -> float:
    times = []
    for _ in range(_RUNS):
        start = time.perf_counter()
        run(inputs)
        times.append(1000 * (time.perf_counter() - start))
    return median(times)
