"""Affine functions below the network: the base of every certificate."""

from dataclasses import dataclass

import torch
from torch import Tensor

from featureconvex.models.model import FeatureConvexModel, check_one_number_per_row


@dataclass(frozen=True)
class Minorant:
    """For each of n inputs, ``l(u) = value + <slope, u - phi(x)>`` with ``l <= g + tau`` everywhere.

    Attributes:
        value: (n,) float64, ``l(phi(x))``.
        slope: (n, ...) in the shape and dtype of ``phi(x)``.
    """

    value: Tensor
    slope: Tensor


def tangent(model: FeatureConvexModel, x: Tensor) -> Minorant:
    """The tangent of ``g + tau`` at ``phi(x)``: one forward and one backward pass for the batch.

    The subgradient is taken with respect to ``phi(x)``, never through ``phi``: only ``g`` is convex.
    The model must be in eval mode, where rows do not see each other, so the gradient of the sum
    holds every row's own gradient.
    """
    with torch.enable_grad():
        u = model.feature_map(x).detach().requires_grad_()
        logits = check_one_number_per_row(model.convex_net(u), x)
        (slope,) = torch.autograd.grad(logits.sum(), u)
    return Minorant(logits.detach().double() + model.tau, slope)
