"""Numbers known up to an error."""

from dataclasses import dataclass

import torch
from torch import Tensor

from featureconvex.rounding.directed import FLOAT64, Rounding, upper


@dataclass(frozen=True)
class Ball:
    """Every exact entry lies within ``radius`` of the computed ``centre``; both (n, ...) float64."""

    centre: Tensor
    radius: Tensor

    @staticmethod
    def exact(centre: Tensor) -> "Ball":
        """A ball of radius 0."""
        centre = centre.double()
        return Ball(centre, torch.zeros_like(centre))

    def reshape(self, *shape: int) -> "Ball":
        """Both parts; moves numbers, rounds nothing."""
        return Ball(self.centre.reshape(*shape), self.radius.reshape(*shape))

    def lower(self) -> Tensor:
        """At most the exact values."""
        return torch.nextafter(self.centre - self.radius, torch.full_like(self.centre, -torch.inf))


def plus(a: Ball, b: Ball, arithmetic: Rounding) -> Ball:
    """The sum, as any computation with unit roundoff at most ``u`` gets it.

    With computed ``a', b'`` inside the balls, ``|fl(a' + b') - (a + b)| <= r + u (|c| + 2 r)`` for
    ``c`` the computed sum of the centres and ``r`` the sum of the radii; ``2 u |c|`` covers the
    rounding of ``c`` itself. Additions do not underflow.
    """
    centre = a.centre + b.centre
    u = arithmetic.unit
    radius = (a.radius + b.radius).mul_(1 + 4 * u).add_(centre.abs(), alpha=2 * u)
    # Zero only where every part is: a multiple of u of a nonzero sum may still underflow.
    return Ball(centre, upper(radius, 6, (radius > 0) | (centre != 0)))


def times(a: Ball, b: Ball) -> Ball:
    """The product, computed in float64."""
    centre = a.centre * b.centre
    radius = (a.centre.abs() + a.radius) * b.radius + b.centre.abs() * a.radius
    live = (a.centre.abs() + a.radius > 0) & (b.centre.abs() + b.radius > 0)
    return Ball(centre, upper(radius + 2 * FLOAT64.unit * centre.abs(), 6, live))
