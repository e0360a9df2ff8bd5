"""Which parameters the weight decay is for."""

from typing import Any

from torch import nn


def decay_matrices(model: nn.Module) -> list[dict[str, Any]]:
    """Group the parameters so that those of one dimension, biases and norms, neither decay nor have an L1.

    He et al. 2018, arXiv:1812.01187, section 3.1.
    """
    parameters = list(model.parameters())
    return [
        {"params": [item for item in parameters if item.ndim > 1]},
        {"params": [item for item in parameters if item.ndim < 2], "weight_decay": 0.0, "l1": 0.0},
    ]
