"""Interval bound propagation (Gowal et al. 2018) through a fully connected ReLU network."""

from collections.abc import Sequence

import torch
from torch import Tensor

from featureconvex.baselines.relu.network import Affine
from featureconvex.norms import dual_exponent

Bounds = tuple[Tensor, Tensor]
"""Lower and upper bounds (n, width) on one layer's pre-activations."""


def interval_bounds(layers: Sequence[Affine], x: Tensor, radius: Tensor, p: float) -> list[Bounds]:
    """Bounds on every layer's pre-activations over the balls around ``x``, first to last.

    The first layer's are exact: ``W x + b -+ r ||W_j||_q`` by Hoelder's inequality. From there on
    ``[l, u]`` becomes ``W m + b -+ |W| w`` for the middle ``m`` and half-width ``w`` of
    ``[relu(l), relu(u)]``.

    Args:
        layers: weights and biases, first to last; may require gradients.
        x: (n, *shape).
        radius: (n,) or a scalar tensor, >= 0.
        p: exponent of the ball.
    """
    (weight, bias), *rest = layers
    reach = torch.linalg.vector_norm(weight, dual_exponent(p), dim=1)
    middle = x.flatten(1) @ weight.T + bias
    width = radius.reshape(-1, 1) * reach
    bounds = [(middle - width, middle + width)]
    for weight, bias in rest:
        bounds.append(propagated(bounds[-1], weight, bias))
    return bounds


def propagated(interval: Bounds, weight: Tensor, bias: Tensor) -> Bounds:
    """``W relu(z) + b`` for ``z`` in the interval (n, in): an interval (n, out)."""
    low, high = (bound.relu() for bound in interval)
    middle = (low + high) / 2 @ weight.T + bias
    width = (high - low) / 2 @ weight.abs().T
    return middle - width, middle + width
