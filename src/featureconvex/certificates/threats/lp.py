"""Perturbations of bounded, possibly weighted, l_p norm."""

from collections.abc import Mapping, Sequence
from typing import Any, ClassVar

import torch
from torch import Tensor

from featureconvex.certificates.by_column import Costs
from featureconvex.certificates.coordinates import NO_BLOCKS, Blocks
from featureconvex.certificates.drops import Curves, Drops
from featureconvex.certificates.threats.ball.best_move import best_move
from featureconvex.certificates.threats.ball.projection import project_lp
from featureconvex.certificates.threats.ball.worst_case import certified_lp_budget, worst_lp_drop
from featureconvex.certificates.threats.base import Certified, Threat
from featureconvex.errors import UserError
from featureconvex.features.base import check_fits
from featureconvex.given import real_tensor
from featureconvex.norms import check_exponent, norm_name, vector_norm


class Lp(Threat):
    """Perturbations ``delta`` of budget ``||cost * delta||_p``.

    Args:
        p: the norm's exponent, in [1, inf].
        cost: positive numbers broadcastable to one input: a larger cost is dearer for the attacker,
            ``inf`` means immutable. Or of single columns, ``{column: cost}`` by name, for a model that has
            names; all others cost 1. None: 1 everywhere.

    Raises:
        UserError: p below 1; a cost that is not positive; no coordinate that can change.

    >>> Lp(2)
    Lp(2)
    >>> Lp(1, cost=[2.0, 1.0]).measure(torch.tensor([[1.0, -3.0]]))
    tensor([5.], dtype=torch.float64)
    """

    convex: ClassVar[bool] = True

    def __init__(self, p: float, cost: Any = None) -> None:
        self.p = check_exponent(p)
        self._by_column = Costs(cost) if isinstance(cost, Mapping) else None
        if self._by_column is not None:
            cost = None
        self._cost = None if cost is None else real_tensor("cost", cost)
        if self._cost is not None:
            if not self._cost.numel():
                raise UserError("cost is empty; give a number, or one per coordinate")
            if not (self._cost > 0).all():
                raise UserError("every cost must be > 0 (inf: the coordinate cannot change)")
            if torch.isinf(self._cost).all():
                raise UserError("every cost is inf, so no coordinate can change; leave one finite")

    @property
    def cost(self) -> Tensor | None:
        """The costs, float64: a copy.

        Raises:
            UserError: they are those of columns by name, and no model has told which these are.
        """
        if self._by_column is not None:
            raise self._by_column.unknown()
        return None if self._cost is None else self._cost.clone()

    @property
    def name(self) -> str:
        """``l1``, ``l2``, ``linf``, ``l1.5`` ..."""
        return norm_name(self.p)

    def __repr__(self) -> str:
        costly = self._cost is not None or self._by_column is not None
        return f"Lp({self.name.removeprefix('l')}{', cost' if costly else ''})"

    def named(self, names: Sequence[str] | None, blocks: Blocks = NO_BLOCKS) -> "Lp":
        """With costs of columns as costs of all coordinates."""
        if self._by_column is None or names is None:
            return self
        return Lp(self.p, self._by_column.named(names, blocks))

    def check(self, shape: tuple[int, ...]) -> None:
        """Refuse costs that do not broadcast to one input."""
        if self.cost is not None:
            check_fits(torch.empty(0, *shape), cost=self.cost)

    def measure(self, delta: Tensor) -> Tensor:
        """``||cost * delta||_p``, where an immutable coordinate that stays costs nothing."""
        weighted = delta.double()
        if self.cost is not None:
            # inf * 0 is NaN, and means 0 here.
            weighted = torch.where(weighted == 0, 0.0, weighted * self.cost.to(delta.device))
        return vector_norm(weighted, self.p)

    @property
    def exponent(self) -> float:
        """``p``."""
        return self.p

    def worst_drop(self, drops: Curves, budget: Tensor) -> Tensor:
        """linf: exact. Finite p: an upper bound by duality, exact for concave curves."""
        return worst_lp_drop(_whole(drops), budget, self.p)

    def largest_budget(self, drops: Curves, margin: Tensor) -> Tensor:
        """linf: exact. Finite p: a lower bound by duality, exact for concave curves."""
        return self.certified(drops, margin).budget

    def certified(self, drops: Curves, margin: Tensor) -> Certified:
        """The largest budget, and the multiplier of the dual that proves it, nan where none is needed."""
        return certified_lp_budget(_whole(drops), margin, self.p)

    def smoothed(self) -> "Lp":
        """For p near 1 a slightly larger p: a single coordinate decides the worst case of p = 1."""
        return self if self.p >= LEAST_SMOOTH else Lp(LEAST_SMOOTH, self.cost)

    def best_move(self, gradient: Tensor, budget: Tensor, lo: Tensor, hi: Tensor) -> Tensor:
        """Exact, for a finite budget; see :mod:`featureconvex.certificates.threats.ball.best_move`."""
        return best_move(gradient, self.p, self.cost, budget, lo, hi)

    def project(self, delta: Tensor, budget: Tensor, lo: Tensor, hi: Tensor) -> Tensor:
        """The nearest point for p in {1, 2, inf}; for other p a point scaled towards 0."""
        if self.cost is not None:
            fixed = torch.isinf(self.cost).to(delta.device)
            lo, hi = (end.masked_fill(fixed, 0.0) for end in (lo, hi))
        return project_lp(delta, budget, lo, hi, self.p, self.cost)


# The least p whose worst case tells of more than one coordinate.
LEAST_SMOOTH = 1.05


def _whole(curves: Curves) -> Drops:
    if not isinstance(curves, Drops):
        raise UserError(
            "the worst case of an l_p ball needs all stretches of the curves, not only their values; level "
            "'sound' has its own for Lp: a threat built on it has no sound_budget"
        )
    return curves
