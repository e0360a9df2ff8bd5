"""Single values beside the optimizer and the schedule: each one definition with two readers.

As for those, an engine builds the call that a value amounts to and an export prints it. A value that is
off amounts to no call.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

from hpo.config import Config, Value
from hpo.training.checkpoint import CHECKPOINT_SUFFIX
from hpo.training.words.calls import Call
from hpo.vocabulary import LOSS, Hyperparameter

_DEFAULT: Final = "default"
FULL: Final = "full"
BATCH_SIZE: Final = Hyperparameter(
    "batch_size",
    int,
    None,
    "samples in one step; full takes all at once, null 64, or as many as the recipe's own DataLoader",
    low=1,
    optional=True,
    words=(FULL,),
)
INIT: Final = Hyperparameter(
    "init",
    str,
    _DEFAULT,
    "how weights of linear, convolutional and recurrent layers are drawn, their biases being 0; default: "
    "as the recipe does (xavier: Glorot and Bengio 2010; kaiming: arXiv:1502.01852; orthogonal: "
    "arXiv:1312.6120)",
    choices=(
        _DEFAULT,
        "xavier_uniform",
        "xavier_normal",
        "kaiming_uniform",
        "kaiming_normal",
        "orthogonal",
    ),
)
MATRICES: Final = "matrices"
_PARAMETERS: Final = {
    "all": Call(".parameters"),
    MATRICES: Call("hpo.training.loop.groups.decay_matrices"),
}
WEIGHT_DECAY_ON: Final = Hyperparameter(
    "weight_decay_on",
    str,
    "all",
    "all parameters, or matrices: all but biases and norms, those of one dimension (arXiv:1812.01187)",
    choices=tuple(_PARAMETERS),
)
L1: Final = Hyperparameter(
    "l1",
    float,
    0.0,
    "times the signs of the weights, added to the gradient before it is clipped; where, weight_decay_on says",
    low=0,
)
ACCUMULATE: Final = Hyperparameter(
    "accumulate",
    int,
    1,
    "micro-batches that a batch is processed in, one after the other, for less memory",
    low=1,
)
FULL_PRECISION: Final = "fp32"
_DTYPES: Final = {"bf16": "bfloat16", "fp16": "float16"}
PRECISION: Final = Hyperparameter(
    "precision",
    str,
    FULL_PRECISION,
    "of training, by autocast, for fp16 with loss scaling; validation is in full precision "
    "(arXiv:1710.03740)",
    choices=(FULL_PRECISION, *_DTYPES),
)
EMA: Final = Hyperparameter(
    "ema",
    float,
    None,
    "decay, for each step, of an average of the weights, with which validation is then measured; null for "
    "none (doi.org/10.1137/0330046)",
    low=0,
    high=1,
    open_high=True,
    optional=True,
)
START: Final = Hyperparameter(
    "start",
    str,
    None,
    "checkpoint that fills all parameters and buffers of the same name and shape; null for none",
    optional=True,
    suffix=CHECKPOINT_SUFFIX,
)
FREEZE: Final = Hyperparameter(
    "freeze",
    str,
    None,
    "parameters that do not learn, by patterns such as body.*, with commas between them; normalization in "
    "them keeps its statistics; null for none",
    optional=True,
)
BODY_LR: Final = Hyperparameter(
    "body_lr",
    float,
    1.0,
    "by what the learning rate is multiplied for all that start has filled (arXiv:1801.06146, section 3.2)",
    low=0,
    open_low=True,
)
TRANSFER: Final = (START, FREEZE, BODY_LR)
GRADIENT: Final = Call("hpo.training.loop.gradients.Gradient")


def parameters_call(config: Config) -> Call:
    """Return the call that takes a model and gives the parameters as the optimizer wants them."""
    return _PARAMETERS[str(config[WEIGHT_DECAY_ON.name])]


def measured_at(baseline: Mapping[str, Value]) -> Value:
    """Return the batch size at which all trials of a recipe are measured, whatever they train with."""
    return baseline.get(BATCH_SIZE.name, BATCH_SIZE.default)


def start_calls(config: Config, recipe: str = "") -> list[Call]:
    """Return the call that takes a model, fills it from a checkpoint, and says what it has filled.

    What is no file is a function of the module `recipe` that returns one.
    """
    where = config[START.name]
    if where is None:
        return []
    path = where if str(where).endswith(CHECKPOINT_SUFFIX) else Call(f"{recipe}.{where}")
    return [Call("hpo.training.transfer.start", {"path": path})]


def freeze_calls(config: Config) -> list[Call]:
    """Return the call that takes a model and keeps a part of it from learning."""
    names = config[FREEZE.name]
    return [Call("hpo.training.transfer.freeze", {"names": names})] if names is not None else []


def slow_calls(config: Config) -> list[Call]:
    """Return the call that takes parameters, a model and names, and gives these a lower learning rate."""
    factor = config[BODY_LR.name]
    slowed = config[START.name] is not None and factor != 1
    return [Call("hpo.training.transfer.slow", {"factor": factor})] if slowed else []


def initialize_calls(config: Config) -> list[Call]:
    """Return the call that takes a model and gives it with its weights drawn anew."""
    scheme = config[INIT.name]
    call = Call("hpo.training.loop.initialization.initialize", {"scheme": scheme})
    return [call] if scheme != _DEFAULT else []


def loss_calls(config: Config) -> list[Call]:
    """Return the call that takes the recipe's loss and gives it with its options, for training."""
    options = config.below(LOSS)
    return [Call("functools.partial", options)] if options else []


def gradient_call(config: Config, device: str, innermost: Call = GRADIENT) -> Call:
    """Return the call that makes what takes the gradient: each wrapper around those before it."""
    device_type = device.partition(":")[0]
    call = innermost
    if config[PRECISION.name] != FULL_PRECISION:
        dtype = _DTYPES[str(config[PRECISION.name])]
        call = _wrap("Autocast", inner=call, device_type=device_type, dtype=dtype)
    if config[ACCUMULATE.name] != 1:
        call = _wrap("Accumulated", inner=call, steps=config[ACCUMULATE.name])
    if config[PRECISION.name] == "fp16":
        call = _wrap("Scaled", inner=call, device_type=device_type)
    if config[L1.name]:
        call = _wrap("Penalized", inner=call, l1=config[L1.name])
    return call


def _wrap(name: str, **arguments: object) -> Call:
    return Call(f"hpo.training.loop.gradients.{name}", arguments)


def average_calls(config: Config) -> list[Call]:
    """Return the call that takes a model and its optimizer and gives the average of the weights."""
    decay = config[EMA.name]
    return [Call("hpo.training.loop.averaging.average", {"decay": decay})] if decay is not None else []
