"""Nondecreasing functions of single coordinates, as steps of feature maps."""

import math
from collections.abc import Callable
from dataclasses import dataclass

import torch
from torch import Tensor

from featureconvex.rounding.ball import Ball
from featureconvex.rounding.directed import Rounding, upper
from featureconvex.rounding.directions import Directions
from featureconvex.rounding.steps import Mode, Step


@dataclass(frozen=True)
class Monotone(Step):
    """``s(x)``, elementwise, in feature maps only, so it has no minorant.

    Attributes:
        value: computes ``s``.
        steepest: at least its Lipschitz constant.
        relative, absolute: with unit roundoff ``u``, ``value(x)`` errs by ``u (relative |x| + absolute)``.
    """

    value: Callable[[Tensor], Tensor]
    steepest: float
    relative: float
    absolute: float

    @property
    def coordinatewise(self) -> bool:
        """Always."""
        return True

    def constant(self, p: float, s: float) -> float:
        """The largest slope."""
        return self.steepest if s >= p else math.inf

    def forward(self, x: Ball, mode: Mode, choice: Tensor | None) -> tuple[Ball, None]:
        """``|fl(s(x')) - s(x)| <= L |x' - x| + u (relative |x'| + absolute)``, ``|x'| <= |c| + 2 r``."""
        u = mode.arithmetic.unit
        error = u * (self.relative * (x.centre.abs() + 2 * x.radius) + self.absolute)
        return Ball(self.value(x.centre), upper(self.steepest * x.radius + error, 8)), None

    def backward(self, g: Ball, shape: torch.Size, choice: Tensor | None) -> Ball:
        """Not affine."""
        raise TypeError(f"{self.value!r} has no affine minorant that holds for both signs")

    def growth(self, g: Ball, shape: torch.Size, arithmetic: Rounding) -> Ball:
        """Changes grow by at most the largest slope, and the error with ``|x|``."""
        slack = 3 * arithmetic.unit * self.relative
        q, p = g.centre * (self.steepest + slack), g.radius * self.steepest + slack * g.centre
        return Ball(upper(q, 4, g.centre > 0), upper(p, 4, (g.radius > 0) | (g.centre > 0)))

    def directions(self, out: Directions, shape: torch.Size) -> Directions:
        """Nondecreasing: the same."""
        return out
