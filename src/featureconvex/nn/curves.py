"""Activations and their affine minorants: ``s(z) >= a z + c`` for every slope ``a`` they can take.

``c`` is minus the convex conjugate, ``c(a) = inf_z s(z) - a z``. The slope is a given number: a
rounded slope is a valid slope, and only the intercept has an error. Library functions (exp, log,
expm1, log1p, logaddexp, sigmoid) are taken to be right to 8 units of roundoff; torch's are to about 2.

Each is a :class:`featureconvex.rounding.activation.Curve`.
"""

from dataclasses import dataclass

import torch
from torch import Tensor

from featureconvex.rounding.ball import Ball
from featureconvex.rounding.directed import FLOAT64


@dataclass(frozen=True)
class Kink:
    """``max(low z, z)``, ``0 <= low <= 1``: ReLU and leaky ReLU."""

    low: float
    kinks_at_zero = True
    absolute = 0.0

    @property
    def relative(self) -> float:
        """ReLU rounds nothing; leaky ReLU rounds its slope and one product."""
        return 0.0 if self.low == 0 else 4.0

    def value(self, z: Tensor) -> Tensor:
        """Elementwise."""
        return z.clamp_min(0.0) if self.low == 0 else torch.maximum(z, self.low * z)

    def slope(self, z: Tensor) -> Tensor:
        """Bool for ReLU."""
        return z > 0 if self.low == 0 else torch.ones_like(z).where(z > 0, self.low)

    def clamp(self, a: Tensor) -> Tensor:
        """Into [low, 1]."""
        return a if a.dtype == torch.bool else a.clamp(self.low, 1.0)

    def intercept(self, a: Tensor) -> Ball:
        """0."""
        return Ball.exact(torch.zeros(a.shape, dtype=torch.float64, device=a.device))


@dataclass(frozen=True)
class Exponential:
    """``z`` for ``z > 0``, else ``height (exp(z / length) - 1)``, ``0 < height <= length``: ELU, CELU.

    For ``a <= height / length`` the tangent of slope ``a`` touches at ``t = length ln(a length / height)``,
    so ``c(a) = a length - height - a t``; above, the line through 0 has ``c(a) = 0``.
    """

    height: float
    length: float
    kinks_at_zero = False
    relative = 2.0

    @property
    def absolute(self) -> float:
        """Exponential, difference, two products, and a rounded argument."""
        return 32 * self.height

    def value(self, z: Tensor) -> Tensor:
        """Elementwise."""
        return torch.where(z > 0, z, self.height * torch.expm1(z.clamp(max=0.0) / self.length))

    def slope(self, z: Tensor) -> Tensor:
        """Derivative; 1 above 0."""
        low = (self.height / self.length) * torch.exp(z.clamp(max=0.0) / self.length)
        return torch.where(z > 0, torch.ones_like(z), low)

    def clamp(self, a: Tensor) -> Tensor:
        """Into [0, 1]."""
        return a.to(torch.float64).clamp(0.0, 1.0)

    def intercept(self, a: Tensor) -> Ball:
        """Within 64 roundoffs of its terms; where the two branches meet both are 0."""
        ratio = a * (self.length / self.height)
        fall = torch.xlogy(a, ratio) * self.length
        touching = a * self.length - self.height - fall
        size = a * self.length + self.height + fall.abs() + a * self.length
        low = ratio < 1 + 2**-40
        zero = torch.zeros_like(a)
        return Ball(
            torch.where(low, touching, zero), torch.where(low, size * 64 * FLOAT64.unit, zero)
        )


def smooth_ramp(x: Tensor, beta: float) -> Tensor:
    """``logaddexp(0, beta x) / beta``, and ``max(0, x)``, its limit, where the product overflows."""
    if beta > torch.finfo(x.dtype).max:
        return x.clamp_min(0)
    product = beta * x
    far = ~torch.isfinite(product) & torch.isfinite(x)
    zero = torch.zeros((), dtype=x.dtype, device=x.device)
    if not bool(far.any()):
        return torch.logaddexp(zero, product) / beta
    # Masked before the product, so that no gradient meets an infinity.
    near = torch.logaddexp(zero, beta * x.masked_fill(far, 0.0)) / beta
    return torch.where(far, x.clamp_min(0), near)


@dataclass(frozen=True)
class SmoothRamp:
    """Softplus ``log(1 + exp(beta z)) / beta``: ``c(a) = -(a ln a + (1 - a) ln(1 - a)) / beta``."""

    beta: float
    kinks_at_zero = False
    relative = 32.0

    @property
    def absolute(self) -> float:
        """``log 2`` is the largest value where ``beta z <= 0``."""
        return 32 / self.beta

    def value(self, z: Tensor) -> Tensor:
        """Elementwise."""
        return smooth_ramp(z, self.beta)

    def slope(self, z: Tensor) -> Tensor:
        """The logistic function."""
        product = self.beta * z
        return torch.sigmoid(torch.where(z == 0, 0.0, product))

    def clamp(self, a: Tensor) -> Tensor:
        """Into [0, 1]."""
        return a.to(torch.float64).clamp(0.0, 1.0)

    def intercept(self, a: Tensor) -> Ball:
        """Both terms are nonnegative, so the entropy has a small relative error."""
        entropy = -(torch.xlogy(a, a) + torch.special.xlog1py(1 - a, -a)) / self.beta
        return Ball(entropy, entropy.abs() * 64 * FLOAT64.unit)
