"""How the weights of a model are drawn before it learns."""

from collections.abc import Iterable

import torch
from torch import Tensor, nn
from torch.nn.modules.conv import _ConvNd

LAYERS = (nn.Linear, _ConvNd, nn.RNNBase, nn.RNNCellBase)


@torch.no_grad()
def initialize(model: nn.Module, scheme: str) -> nn.Module:
    """Draw the weights of linear, convolutional and recurrent layers anew, and set their biases to 0.

    With n inputs and m outputs of a layer, whose entries have mean 0: xavier_normal and xavier_uniform
    draw at variance 2 / (n + m), Glorot and Bengio 2010; kaiming_normal and kaiming_uniform at 2 / n,
    which suits ReLU, He et al. 2015, arXiv:1502.01852; orthogonal draws matrices with W^T W = 1 or
    W W^T = 1, Saxe et al. 2014, arXiv:1312.6120. Each gate of a recurrent layer is a matrix of its own.
    Embeddings, norms and parameters that belong to no such layer stay as the model made them.
    """
    fill = getattr(nn.init, f"{scheme}_")
    for layer in model.modules():
        if isinstance(layer, LAYERS):
            for parameter in layer.parameters(recurse=False):
                for matrix in matrices(layer, parameter):
                    fill(matrix) if matrix.ndim > 1 else nn.init.zeros_(matrix)
    return model


def matrices(layer: nn.Module, parameter: Tensor) -> Iterable[Tensor]:
    """Return a parameter in the parts that are drawn apart: a recurrent layer stacks those of its gates."""
    recurrent = isinstance(layer, nn.RNNBase | nn.RNNCellBase)
    return parameter.split(layer.hidden_size) if recurrent else [parameter]
