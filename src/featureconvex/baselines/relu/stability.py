"""ReLU stability (Xiao et al. 2019): a penalty on neurons whose sign is open, for faster proofs."""

from collections.abc import Sequence

import torch
from torch import Tensor

from featureconvex.baselines.relu.interval_bounds import interval_bounds
from featureconvex.baselines.relu.network import Affine


def instability(layers: Sequence[Affine], x: Tensor, radius: float, p: float) -> Tensor:
    """``- sum_j tanh(1 + l_j u_j)`` over the hidden neurons, averaged over the batch: a scalar.

    ``l, u`` are interval bounds on the pre-activations in the balls around ``x`` (n, *shape). Small
    where both have the same sign: every such neuron is one that branch and bound need not split.

    Args:
        layers: first to last, with gradients.
        x: (n, *shape).
        radius: of the balls.
        p: their exponent.
    """
    bounds = interval_bounds(layers, x, torch.full((len(x),), radius).to(x), p)
    parts = [torch.tanh(1 + low * high).sum(dim=1) for low, high in bounds[:-1]]
    return -torch.stack(parts).sum(dim=0).mean()
