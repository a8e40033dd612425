"""A threat model: at most k coordinates rise, each by at most c, as when counts can only be padded."""

import math
from typing import ClassVar

import torch
from torch import Tensor

from featureconvex.certificates import Threat
from featureconvex.certificates.drops import Curves


class Rises(Threat):
    """The number of coordinates that rise, each by at most ``most``; none may fall.

    A curve ``h_i`` is the most that moves of a coordinate, of either sign, take off the minorant. In a
    domain that lets coordinates rise only, ``Box(lo, hi, direction=1)``, the worst drop is exact; elsewhere
    it is an upper bound.

    Args:
        most: how far one coordinate can rise, > 0.

    >>> Rises(2.0).measure(torch.tensor([[0.0, 1.5, 2.0], [3.0, 0.0, 0.0], [-1.0, 0.0, 0.0]]))
    tensor([2., inf, inf], dtype=torch.float64)
    """

    counts: ClassVar[bool] = True

    def __init__(self, most: float) -> None:
        self.most = most

    @property
    def name(self) -> str:
        """``rises-2``, say."""
        return f"rises-{self.most:g}"

    def measure(self, delta: Tensor) -> Tensor:
        """How many coordinates change; inf where one falls, or rises too far."""
        flat = delta.flatten(1)
        allowed = ((flat >= 0) & (flat <= self.most)).all(1)
        return (flat != 0).double().sum(1).where(allowed, math.inf)

    def worst_drop(self, drops: Curves, budget: Tensor) -> Tensor:
        """The sum of the ``budget`` largest ``h_i(most)``."""
        each = drops.at(torch.full_like(budget, self.most)).sort(dim=1, descending=True).values
        chosen = torch.arange(each.shape[1], device=each.device) < budget.floor()[:, None]
        return torch.where(chosen, each, 0.0).sum(1)

    def sound_budget(self, drops: Curves, margin: Tensor) -> Tensor:
        """:meth:`worst_drop` only adds and compares values of the curves."""
        return self.largest_budget(drops, margin)

    def project(self, delta: Tensor, budget: Tensor, lo: Tensor, hi: Tensor) -> Tensor:
        """The largest rises, clipped."""
        inside = delta.clamp(min=torch.zeros_like(hi), max=hi.clamp(max=self.most))
        flat = inside.flatten(1)
        rank = flat.argsort(dim=1, descending=True).argsort(dim=1)
        return torch.where(rank < budget.floor()[:, None], flat, 0.0).reshape(delta.shape)
