"""Elementwise activations as steps."""

from dataclasses import dataclass
from typing import ClassVar, Protocol

import torch
from torch import Tensor

from featureconvex.rounding.ball import Ball
from featureconvex.rounding.directed import FLOAT64, Rounding, upper
from featureconvex.rounding.directions import Directions
from featureconvex.rounding.steps import Mode, Step


class Curve(Protocol):
    """A convex 1-Lipschitz function of one number, nondecreasing, with affine minorants.

    Computed with unit roundoff ``u``, ``value(z)`` errs by at most ``u (relative |z| + absolute)``.
    """

    @property
    def relative(self) -> float:
        """Roundings relative to the input."""

    @property
    def absolute(self) -> float:
        """Roundings relative to 1."""

    @property
    def kinks_at_zero(self) -> bool:
        """Whether all minorants pass through 0."""

    def value(self, z: Tensor) -> Tensor:
        """Elementwise."""

    def slope(self, z: Tensor) -> Tensor:
        """Near a subgradient."""

    def clamp(self, a: Tensor) -> Tensor:
        """The nearest slope that has an intercept."""

    def intercept(self, a: Tensor) -> Ball:
        """The largest ``c`` with ``value(z) >= a z + c`` everywhere."""


@dataclass(frozen=True)
class Activation(Step):
    """An elementwise curve; ``choice`` holds its slopes."""

    curve: Curve
    chooses: ClassVar[bool] = True

    def forward(self, x: Ball, mode: Mode, choice: Tensor | None) -> tuple[Ball, Tensor]:
        """The curve is 1-Lipschitz; its minorant ``a z + c`` is ``a``-Lipschitz."""
        z, r = x.centre, x.radius
        if not mode.relaxed:
            u = mode.arithmetic.unit
            error = u * (self.curve.relative * (z.abs() + 2 * r) + self.curve.absolute)
            radius = r if self.curve.relative == 0 else upper(r + error, 6)
            return Ball(self.curve.value(z), radius), self.curve.slope(z)
        a = self.curve.clamp(self.curve.slope(z) if choice is None else choice)
        return self._line(x, a), a

    def _line(self, x: Ball, a: Tensor) -> Ball:
        scaled = _scaled(x, a)
        if self.curve.kinks_at_zero:
            return scaled
        c = self.curve.intercept(a)
        centre = scaled.centre + c.centre
        radius = scaled.radius + c.radius + 2 * FLOAT64.unit * centre.abs()
        return Ball(centre, upper(radius, 4))

    def backward(self, g: Ball, shape: torch.Size, choice: Tensor | None) -> Ball:
        """``a g``."""
        assert choice is not None
        return _scaled(g, choice)

    def growth(self, g: Ball, shape: torch.Size, arithmetic: Rounding) -> Ball:
        """Slopes are at most 1, and the error of the curve grows with ``|z|``."""
        if self.curve.relative == 0:
            return g
        error = 3 * arithmetic.unit * self.curve.relative * g.centre
        q = g.centre * (1 + 3 * arithmetic.unit * self.curve.relative)
        return Ball(upper(q, 3, g.centre > 0), upper(g.radius + error, 3, g.radius + error > 0))

    def directions(self, out: Directions, shape: torch.Size) -> Directions:
        """Nondecreasing: the same."""
        return out


def _scaled(x: Ball, a: Tensor) -> Ball:
    """``a x`` for given numbers ``a`` in [0, 1]; bool slopes round nothing."""
    if a.dtype == torch.bool:
        return Ball(x.centre * a, x.radius * a)
    centre = a * x.centre
    live = (a > 0) & ((x.centre != 0) | (x.radius != 0))
    return Ball(centre, upper(a * x.radius + 2 * FLOAT64.unit * centre.abs(), 4, live))
