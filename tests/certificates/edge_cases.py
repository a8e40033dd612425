"""Models at the edges of arithmetic, and the worst point of a ball, found without a certificate's help."""

import math
from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from featureconvex import Box, FeatureConvexModel, Lp, Unbounded, certify
from featureconvex.certificates import Certificate, Domain
from featureconvex.features import AbsConcat, Center, Compose, FeatureMap, Identity, Scale
from featureconvex.nn import MaxAffine

Floats = NDArray[np.float64]
EXPONENTS = (1, 1.001, 1.02, 1.1, 1.3, 2, 3, 6, 10, 100, 500, 1000, math.inf)
# A map and how many numbers it makes of one.
MAPS: dict[str, tuple[Callable[[], FeatureMap], int]] = {
    "identity": (Identity, 1),
    "scale": (lambda: Compose(Center([0.125, -0.25]), Scale([3.0, 0.01])), 1),
    "abs": (lambda: Compose(Center(0.0625), AbsConcat()), 2),
    "abs of abs": (lambda: Compose(AbsConcat(), AbsConcat()), 4),
}
KINKS = (0.0, 0.0625)


def max_affine(
    weight: Floats, bias: Floats, phi: FeatureMap, dtype: torch.dtype = torch.float64
) -> FeatureConvexModel:
    """``max_k <weight_k, phi(x)> + bias_k``."""
    net = MaxAffine(weight.shape[1], pieces=len(weight)).to(dtype)
    with torch.no_grad():
        net.affine.weight.copy_(torch.as_tensor(weight))
        net.affine.bias.copy_(torch.as_tensor(bias))
    return FeatureConvexModel(phi, net)


@dataclass(frozen=True)
class EdgeCase:
    """One input of two coordinates, its attacker, and a scale for the margin.

    Attributes:
        model: max-affine after one of :data:`MAPS`, in units of ``size``.
        x: (2,).
        p: exponent.
        cost: (2,), positive; inf for a fixed coordinate.
        lo, hi: (2,), the box; infinite for none.
        size: of the margin.
    """

    model: FeatureConvexModel
    x: Tensor
    p: float
    cost: Floats
    lo: Floats
    hi: Floats
    size: float

    @property
    def domain(self) -> Domain:
        """The box, or everywhere."""
        return Box(self.lo, self.hi) if np.isfinite(self.lo).all() else Unbounded()

    def certify(
        self, level: str, cost: Floats | None = None, domain: Domain | None = None
    ) -> Certificate:
        """One row."""
        threat = Lp(self.p, cost=(self.cost if cost is None else cost).tolist())
        where = None if level == "closed-form" else domain or self.domain
        return certify(self.model, self.x[None], threat, where, level)

    def margins(self, points: Floats) -> Floats:
        """The model at (m, 2), in units of ``size``."""
        with torch.no_grad():
            out = self.model(torch.as_tensor(points, dtype=self.x.dtype))
        return np.asarray(out.numpy() / self.size)

    def worst(self, budget: float) -> float:
        """The least margin over points of the ball inside the box that spend the whole budget.

        One coordinate takes a share, the other what is left, both ways each: with one-dimensional curves
        nothing else can be worse.
        """
        x, lo, hi = self.x.double().numpy(), self.lo, self.hi
        points = []
        for first, second in ((0, 1), (1, 0)):
            for a in (-1, 1):
                for b in (-1, 1):
                    most = self._way(first, a, lo, hi, budget)
                    share = np.concatenate((np.linspace(0, 1, 41), 10.0 ** np.linspace(-12, 0, 41)))
                    kinks = [abs(x[first] - kink) for kink in KINKS]
                    t = np.concatenate((most * share, [k for k in kinks if k <= most]))
                    left = budget * self._left(t, first, budget)
                    other = np.array([self._way(second, b, lo, hi, rest) for rest in left])
                    moved = np.tile(x, (len(t), 1))
                    moved[:, first] += a * t
                    moved[:, second] += b * other
                    points.append(np.clip(moved, lo, hi))
        return float(self.margins(np.concatenate(points)).min())

    def _way(self, k: int, sign: int, lo: Floats, hi: Floats, budget: float) -> float:
        room = hi[k] - float(self.x[k]) if sign > 0 else float(self.x[k]) - lo[k]
        return float(min(room, 0.0 if math.isinf(self.cost[k]) else budget / self.cost[k]))

    def _left(self, t: Floats, k: int, budget: float) -> Floats:
        """The share of the budget left, ``(1 - (cost t / budget)^p)^(1/p)``."""
        spent = (
            np.zeros_like(t)
            if math.isinf(self.cost[k])
            else np.minimum(t * self.cost[k] / budget, 1)
        )
        if math.isinf(self.p):
            return np.ones_like(t)
        with np.errstate(divide="ignore", under="ignore"):
            return np.asarray(np.exp(np.log1p(-(spent**self.p)) / self.p))


def random_case(seed: int, dtype: torch.dtype = torch.float64) -> EdgeCase | None:
    """Any map, exponent, costs over 20 orders of magnitude, boxes from tiny to infinite, any margin.

    None where the input is not sensitive.
    """
    rng = np.random.default_rng(seed)
    phi, copies = MAPS[str(rng.choice(list(MAPS)))]
    pieces, p = int(rng.integers(1, 4)), float(rng.choice(EXPONENTS))
    size = 10.0 ** rng.uniform(-240, 240) if dtype == torch.float64 and rng.random() < 0.4 else 1.0
    weight, bias = rng.normal(size=(pieces, 2 * copies)), rng.normal(size=pieces) + 1
    model = max_affine(weight * size, bias * size, phi(), dtype)
    x = torch.as_tensor(rng.uniform(-0.3, 0.3, size=2)).to(dtype)
    span = rng.choice([0, 2, 10])
    cost = 10.0 ** rng.uniform(-span, span, size=2) * 10.0 ** rng.choice([-10, 0, 0, 10])
    if rng.random() < 0.15:
        cost[rng.integers(2)] = math.inf
    side = 10.0 ** rng.uniform(-2, 1.5) if rng.random() < 0.8 else math.inf
    with np.errstate(invalid="ignore"):
        lo, hi = (
            x.double().numpy() - side * rng.random(2),
            x.double().numpy() + side * rng.random(2),
        )
    with torch.no_grad():
        margin = float(model(x[None]))
    return EdgeCase(model, x, p, cost, lo, hi, size) if margin > 1e-3 * size else None
