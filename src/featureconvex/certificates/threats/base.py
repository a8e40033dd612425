"""What a threat model must tell the certificates and the attacks."""

from abc import ABC, abstractmethod

import torch
from torch import Tensor

from featureconvex.certificates.drops import Drops
from featureconvex.certificates.threats.bisection import bisected_budget
from featureconvex.certificates.value import Value


class Threat(Value, ABC):
    """A budget for perturbations ``delta = x' - x``.

    A subclass names itself, measures a perturbation, bounds what a budget can take off a margin (from
    one drop curve per coordinate), and projects for attacks.
    Certificates refer to it, so it keeps copies and does not change.
    """

    @property
    def cost(self) -> Tensor | None:
        """Positive numbers broadcastable to one input, or None for 1 everywhere: a copy.

        The budget is measured on ``cost * delta``; only :class:`Lp` has one.
        """
        return None

    @property
    @abstractmethod
    def name(self) -> str:
        """The name in tables and columns, such as ``l2``."""

    def check(self, shape: tuple[int, ...]) -> None:
        """Refuse inputs of ``shape`` that the threat does not fit.

        Raises:
            UserError: naming both shapes.
        """

    @abstractmethod
    def measure(self, delta: Tensor) -> Tensor:
        """The budget that each perturbation needs: (n, ...) -> (n,) float64, inf where forbidden."""

    @abstractmethod
    def worst_drop(self, drops: Drops, budget: Tensor) -> Tensor:
        """At least the most that ``budget`` (n,) can take off an affine minorant: (n,) float64.

        Nondecreasing in the budget, differentiable in the drops almost everywhere.
        """

    @torch.no_grad()
    def largest_budget(self, drops: Drops, margin: Tensor) -> Tensor:
        """The largest budget found below which the worst drop stays under ``margin``: (n,) float64.

        Every perturbation inside the domain of budget strictly less keeps ``margin`` positive; for
        integer budgets (:class:`L0`, :class:`Patch`): of that budget or less. 0 where ``margin <= 0``,
        inf where the whole domain cannot pay.

        Here: bisection on :meth:`worst_drop`, between powers of two first; every budget it keeps
        has been checked. A subclass that knows better overrides it.
        """
        return bisected_budget(self.worst_drop, drops, margin)

    def under(self, flip: Tensor) -> Tensor:
        """The largest radius (n,) that a flip of budget ``flip`` (n,) does not contradict: itself.

        Less where a radius covers its own budget: a count, a window.
        """
        return flip

    @abstractmethod
    def project(self, delta: Tensor, budget: Tensor, lo: Tensor, hi: Tensor) -> Tensor:
        """Move ``delta`` into ``{measure <= budget} and [lo, hi]``, (n, ...); budget (n,).

        ``lo <= 0 <= hi`` bound the perturbation itself. The nearest point in the Euclidean sense
        where that is cheap, else a near one; always a member of both sets up to rounding.
        """
