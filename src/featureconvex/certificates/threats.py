"""Threat models: what the attacker's budget measures."""

from abc import ABC, abstractmethod
from typing import Any

import torch
from torch import Tensor

from featureconvex.errors import UserError
from featureconvex.norms import check_exponent, norm_name


class Threat(ABC):
    """A budget for perturbations."""

    @property
    @abstractmethod
    def name(self) -> str:
        """The name in tables and columns, such as ``l2``."""


class Lp(Threat):
    """Perturbations ``delta`` of budget ``||cost * delta||_p``.

    Args:
        p: the norm's exponent, in [1, inf].
        cost: positive numbers broadcastable to one input: a larger cost is dearer for the attacker,
            ``inf`` means immutable. None: 1 everywhere.

    >>> Lp(2)
    Lp(2)
    """

    def __init__(self, p: float, cost: Any = None) -> None:
        self.p = check_exponent(p)
        self.cost: Tensor | None = None
        if cost is not None:
            self.cost = torch.as_tensor(cost, dtype=torch.float64)
            if not (self.cost > 0).all():
                raise UserError("every cost must be > 0 (inf: the coordinate cannot change)")
            if torch.isinf(self.cost).all():
                raise UserError("every cost is inf, so no coordinate can change; leave one finite")

    @property
    def name(self) -> str:
        """``l1``, ``l2``, ``linf``, ``l1.5`` ..."""
        return norm_name(self.p)

    def __repr__(self) -> str:
        return f"Lp({self.p:g}{', cost' if self.cost is not None else ''})"
