"""Single values beside the optimizer and the schedule: each one definition with two readers.

As for those, an engine builds the call that a value amounts to and an export prints it. A value that is
off amounts to no call.
"""

from __future__ import annotations

from typing import Final

from hpo.config import Config
from hpo.training.calls import Call
from hpo.vocabulary import LOSS, Hyperparameter

_DEFAULT: Final = "default"
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


def initialize_calls(config: Config) -> list[Call]:
    """Return the call that takes a model and gives it with its weights drawn anew."""
    scheme = config[INIT.name]
    return [Call("hpo.training.initialization.initialize", {"scheme": scheme})] if scheme != _DEFAULT else []


def loss_calls(config: Config) -> list[Call]:
    """Return the call that takes the recipe's loss and gives it with its options, for training."""
    options = config.below(LOSS)
    return [Call("functools.partial", options)] if options else []
