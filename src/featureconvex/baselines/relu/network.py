"""Fully connected ReLU networks with one score, and their layers as plain numbers."""

import itertools
from collections.abc import Sequence

import torch
from torch import Tensor, nn

Affine = tuple[Tensor, Tensor]
"""One layer ``z = W a + b``: weight (out, in) and bias (out,)."""


class ReluNetwork(nn.Module):
    """``w . relu(... relu(W_1 x + b_1) ...) + b``: (n, *shape) -> (n,) scores.

    Args:
        dimension: of one input, flattened.
        hidden: widths of the hidden layers, at least one.
    """

    def __init__(self, dimension: int, hidden: Sequence[int]) -> None:
        super().__init__()
        widths = [dimension, *hidden, 1]
        pairs = itertools.pairwise(widths)
        self.layers = nn.ModuleList(nn.Linear(before, after) for before, after in pairs)

    def reset(self, seed: int) -> None:
        """Initial weights from a seed: He et al. 2015, normal, fan in; biases 0."""
        generator = torch.Generator().manual_seed(seed)
        with torch.no_grad():
            for layer in self._linear():
                scale = (2 / layer.in_features) ** 0.5
                draw = torch.randn(layer.weight.shape, generator=generator)
                layer.weight.copy_(draw * scale)
                layer.bias.zero_()

    def forward(self, x: Tensor) -> Tensor:
        """(n, *shape) -> (n,)."""
        first, *rest = self._linear()
        z: Tensor = first(x.flatten(1))
        for layer in rest:
            z = layer(torch.relu(z))
        return z[:, 0]

    def pairs(self) -> list[Affine]:
        """Weights and biases as they are trained, with gradients, first to last."""
        return [(layer.weight, layer.bias) for layer in self._linear()]

    def affine(self) -> list[Affine]:
        """The layers in float64, detached, first to last."""
        return [(weight.detach().double(), bias.detach().double()) for weight, bias in self.pairs()]

    def _linear(self) -> list[nn.Linear]:
        return [layer for layer in self.layers if isinstance(layer, nn.Linear)]


def scores(layers: Sequence[Affine], x: Tensor) -> Tensor:
    """What the network with these layers gives, in float64: (n, *shape) -> (n,)."""
    (first, bias), *rest = layers
    z = x.flatten(1).to(first) @ first.T + bias
    for weight, bias in rest:
        z = torch.relu(z) @ weight.T + bias
    return z[:, 0]


def shifted(layers: Sequence[Affine], tau: Tensor) -> list[Affine]:
    """The same layers with the threshold added to the score."""
    weight, bias = layers[-1]
    return [*layers[:-1], (weight, bias + tau)]
