"""The attacker's side of an affine problem: coordinates in budget units, rooms, and worst responses.

Everything is about ``e = cost * (x' - x)``, flattened: the budget is ``||e||_p``, the domain is
``-down <= e <= up``, and an affine minorant of the margin is ``value + <w, e>``.
"""

from dataclasses import dataclass, replace

import torch
from torch import Tensor

from featureconvex.certificates.levels.problem import Problem
from featureconvex.certificates.separable import is_plain
from featureconvex.errors import UserError
from featureconvex.norms import dual_exponent, vector_norm

# Of prices, so that float32 holds their powers.
LEAST_SCALE = 2.0**-60


@dataclass(frozen=True)
class Geometry:
    """Attackers at ``n`` inputs with ``d`` coordinates each.

    Attributes:
        p: exponent of the budget's norm.
        x: (n, d), the inputs.
        lo: (n, d), lower ends of the domain, rounded inwards to the dtype of ``x``.
        hi: (n, d), upper ends.
        scale: (d,), the cost of each coordinate, 1 where it is infinite; in the dtype of ``x``, so
            rounded, and extreme ones held back: it steers the search, and proves nothing.
        cost: (d,) float64, the same as given.
        unit: budgets are in units of it.
        down: (n, d), how far ``e`` can fall, >= 0.
        up: (n, d), how far it can rise.
        shape: of one input.
        unbounded: no coordinate of any row has a border.
        enclosed: every coordinate of every row has one on both sides.
    """

    p: float
    x: Tensor
    lo: Tensor
    hi: Tensor
    scale: Tensor
    cost: Tensor
    unit: float
    down: Tensor
    up: Tensor
    shape: tuple[int, ...]
    unbounded: bool
    enclosed: bool

    @staticmethod
    def of(problem: Problem, rows: Tensor) -> "Geometry":
        """The attackers at some rows of a problem whose budget is a norm."""
        threat, p = problem.threat, problem.threat.exponent
        if p is None:
            raise UserError(f"a bracket needs a threat whose budget is a norm, got {threat!r}")
        x = problem.x[rows]
        lo, hi = (end.flatten(1) for end in problem.domain.rows(rows).bounds(x))
        shape = tuple(x.shape[1:])
        x = x.flatten(1)
        lo, hi = _rounded_up(lo, x.dtype), -_rounded_up(-hi, x.dtype)
        scale, unit = torch.ones_like(x[:1]), 1.0
        exact = scale.double()
        if threat.cost is not None:
            cost = threat.cost.to(x.device).expand(shape).reshape(1, -1)
            fixed = torch.isinf(cost)
            if not is_plain(threat.cost):
                logs = cost[~fixed].log2()
                unit = float(torch.exp2((0.5 * (logs.min() + logs.max())).round()))
            exact = (cost / unit).masked_fill(fixed, 1.0)
            scale = exact.clamp(LEAST_SCALE, 1 / LEAST_SCALE).to(x)
            lo, hi = torch.where(fixed, x, lo), torch.where(fixed, x, hi)
        # An input outside its domain has a status of its own; here it must only not disturb.
        down, up = (((gap).clamp_min(0) * scale) for gap in (x - lo, hi - x))
        unbounded = bool(torch.isinf(down).all() and torch.isinf(up).all())
        enclosed = bool(torch.isfinite(down).all() and torch.isfinite(up).all())
        return Geometry(
            p, x, lo, hi, scale[0], exact[0], unit, down, up, shape, unbounded, enclosed
        )

    def rows(self, index: Tensor) -> "Geometry":
        """Some of the attackers."""
        names = ("x", "lo", "hi", "down", "up")
        return replace(self, **{name: getattr(self, name)[index] for name in names})

    @property
    def side(self) -> float:
        """Half side of the cube whose corners have budget 1."""
        return float(self.x.shape[1] ** (-1 / self.p))

    def point(self, e: Tensor) -> Tensor:
        """The input at ``e``, held to the domain: (n, d)."""
        return torch.clamp(self.x + e / self.scale, self.lo, self.hi)

    def budget(self, point: Tensor) -> Tensor:
        """What the attacker pays for being at ``point``, in units: (n,) float64."""
        return vector_norm((point.double() - self.x.double()) * self.cost, self.p)

    def room(self, w: Tensor) -> Tensor:
        """How far each coordinate can move against ``w``: (n, d)."""
        return self.up if self.unbounded else torch.where(w > 0, self.down, self.up)

    def steep(self, w: Tensor) -> Tensor:
        """``|w|``, 0 for coordinates that cannot move against it: (n, d)."""
        return w.abs() if self.unbounded else w.abs() * (self.room(w) > 0)

    def steepness(self, w: Tensor) -> Tensor:
        """How fast ``<w, e>`` can fall per unit of budget: (n,) float64."""
        return vector_norm(self.steep(w), dual_exponent(self.p))


def _rounded_up(end: Tensor, dtype: torch.dtype) -> Tensor:
    """The smallest number of ``dtype`` that is not below ``end``."""
    near = end.to(dtype)
    return torch.where(near.double() < end, torch.nextafter(near, near.new_tensor(torch.inf)), near)
