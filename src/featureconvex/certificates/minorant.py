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


# Roundings of one forward pass that a height is lowered by.
ROUNDINGS = 8


def lowered(line: Minorant, place: Tensor, tau: Tensor) -> Minorant:
    """A minorant less what rounding may have added to a value that is not the margin's own.

    In ``l(phi(x))`` of another line than the tangent at x numbers cancel that need not cancel at x: the
    threshold, and products of slope and input.

    Args:
        line: n minorants.
        place: (n, ...), the inputs of the network, in the shape of the slope.
        tau: the threshold.
    """
    size = line.value.abs() + tau.abs() + products(line.slope, place)
    loss = ROUNDINGS * torch.finfo(line.slope.dtype).eps * size
    return Minorant(line.value - loss, line.slope)


def products(slope: Tensor, place: Tensor) -> Tensor:
    """``sum_i |slope_i place_i|``, (n,) float64."""
    return (slope.double() * place.double()).abs().flatten(1).sum(1)


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
