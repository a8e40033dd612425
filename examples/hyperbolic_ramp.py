"""A layer: an activation without exponentials, ``(z + sqrt(z^2 + 1)) / 2``."""

import torch
from torch import Tensor, nn

from featureconvex.nn import ElementwiseCard, card
from featureconvex.rounding.ball import Ball
from featureconvex.rounding.directed import FLOAT64


class Hyperbola:
    """One branch of a hyperbola: above ``max(z, 0)``, by 1/2 at 0, and convex, with slopes in (0, 1).

    For ``b = 2 a - 1`` the line of slope ``a`` that touches it has the intercept
    ``inf_z (sqrt(z^2 + 1) - b z) / 2 = sqrt(1 - b^2) / 2 = sqrt(a (1 - a))``.
    """

    # A modulus right to 8 units of roundoff and at most |z| + 1, a sum and a half.
    relative = 16.0
    absolute = 16.0
    kinks_at_zero = False

    def value(self, z: Tensor) -> Tensor:
        """Elementwise; no square overflows."""
        return (z + torch.hypot(z, torch.ones_like(z))) / 2

    def slope(self, z: Tensor) -> Tensor:
        """The derivative."""
        return (1 + z / torch.hypot(z, torch.ones_like(z))) / 2

    def clamp(self, a: Tensor) -> Tensor:
        """Into [0, 1]."""
        return a.double().clamp(0.0, 1.0)

    def intercept(self, a: Tensor) -> Ball:
        """Three roundings, and whatever the root is taken to be right to."""
        root = (a * (1 - a)).sqrt()
        return Ball(root, root * (16 * FLOAT64.unit))


class HyperbolicRamp(nn.Module):
    """``(z + sqrt(z^2 + 1)) / 2``, elementwise, any shape.

    >>> HyperbolicRamp()(torch.tensor([0.0, 0.75, -0.75]))
    tensor([0.5000, 1.0000, 0.2500])
    """

    def forward(self, z: Tensor) -> Tensor:
        """Elementwise."""
        return Hyperbola().value(z)


@card(HyperbolicRamp)
class HyperbolicRampCard(ElementwiseCard[HyperbolicRamp]):
    """Convexity, minorants and rounded steps follow; networks know it as ``"hyperbolic"``."""

    name = "hyperbolic"

    def curve(self, module: HyperbolicRamp) -> Hyperbola:
        """The same for all."""
        return Hyperbola()
