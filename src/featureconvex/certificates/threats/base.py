"""What a threat model must tell the certificates and the attacks."""

from abc import ABC, abstractmethod
from collections.abc import Sequence
from typing import ClassVar, NamedTuple

import torch
from torch import Tensor

from featureconvex.certificates.coordinates import NO_BLOCKS, Blocks
from featureconvex.certificates.drops import Curves
from featureconvex.certificates.moves import Moves
from featureconvex.certificates.threats.bisection import bisected_budget, bisected_count
from featureconvex.certificates.value import Value
from featureconvex.errors import UserError
from featureconvex.features import FeatureMap


class Certified(NamedTuple):
    """A budget and the multiplier of the dual that proves it, nan where none is needed: (n,) float64."""

    budget: Tensor
    multiplier: Tensor


class Threat(Value, ABC):
    """A budget for perturbations ``delta = x' - x``.

    A subclass names itself, measures a perturbation, bounds what a budget can take off a margin (from
    one drop curve per coordinate), and projects for attacks. Levels ``domain`` and ``tight`` and
    :func:`featureconvex.attack` need no more; level ``sound`` needs :meth:`sound_budget`.
    Certificates refer to it, so it keeps copies and does not change.

    Attributes:
        counts: budgets are whole numbers, and a radius covers its own budget.
        convex: the perturbations of a budget are a convex set, and :meth:`best_move` is defined.
        divisible: of a perturbation that is allowed, every part of its way is allowed, too.
    """

    counts: ClassVar[bool] = False
    convex: ClassVar[bool] = False
    divisible: ClassVar[bool] = True

    @property
    def exponent(self) -> float | None:
        """``p`` where the budget is ``||cost * delta||_p`` for every perturbation, else None."""
        return None

    @property
    def cost(self) -> Tensor | None:
        """Positive numbers broadcastable to one input, or None for 1 everywhere: a copy.

        Curves are given in budget units: ``h_i(t)`` is for ``cost_i |delta_i| <= t``.
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

    def named(self, names: Sequence[str] | None, blocks: Blocks = NO_BLOCKS) -> "Threat":
        """The same threat for a model whose columns have ``names``; None where they have none.

        Args:
            names: one per coordinate.
            blocks: further names, each for several coordinates.

        Raises:
            UserError: a column that is not among them.
        """
        return self

    def admits(self, x: Tensor) -> Tensor:
        """(n,) bool: whether the threat is about inputs like ``x`` (n, ...) at all; all are, here."""
        return torch.ones(len(x), dtype=torch.bool, device=x.device)

    def within(self, lo: Tensor, hi: Tensor) -> tuple[Tensor, Tensor]:
        """The part of the intervals ``[lo, hi]``, (n, ...), that some perturbation can reach."""
        return lo, hi

    def curves(self, moves: Moves) -> Curves:
        """What :meth:`worst_drop` and its like are given: one curve per coordinate, here."""
        return moves.curves(self.cost)

    def norm_costs(self, s: float, shape: tuple[int, ...]) -> Tensor | None:
        """Costs of one input with ``||cost * delta||_s <= budget``, for feature maps without curves.

        ``inf`` for coordinates that cannot change. None where the curves of ``Moves.curves`` have
        to serve for these, too.
        """
        return None

    def asked(self, budget: Tensor) -> Tensor:
        """What a radius says of budgets (n,) below which all is certified: a count is one less."""
        return (budget.ceil() - 1).clamp_min(0) if self.counts else budget

    @abstractmethod
    def measure(self, delta: Tensor) -> Tensor:
        """The budget that each perturbation needs: (n, ...) -> (n,) float64, inf where forbidden."""

    @abstractmethod
    def worst_drop(self, drops: Curves, budget: Tensor) -> Tensor:
        """At least the most that ``budget`` (n,) can take off an affine minorant: (n,) float64.

        Nondecreasing in the budget, differentiable in the drops almost everywhere.
        """

    @torch.no_grad()
    def largest_budget(self, drops: Curves, margin: Tensor) -> Tensor:
        """The largest budget found below which the worst drop stays under ``margin``: (n,) float64.

        Every perturbation inside the domain of budget strictly less keeps ``margin`` positive; where
        budgets are counts: of that budget or less. 0 where ``margin <= 0``, inf where all curves together
        stay below the margin.

        Here: bisection on :meth:`worst_drop`; every budget it keeps has been checked. A subclass that
        knows better overrides it.
        """
        search = bisected_count if self.counts else bisected_budget
        return search(self.worst_drop, drops, margin)

    def certified(self, drops: Curves, margin: Tensor) -> Certified:
        """:meth:`largest_budget`, with its multiplier where a search for one found it."""
        found = self.largest_budget(drops, margin)
        return Certified(found, torch.full_like(found, torch.nan))

    def sound_budget(self, drops: Curves, margin: Tensor) -> Tensor:
        """As :meth:`largest_budget`, and right with every rounding error: (n,) float64.

        The curves are rounded up so far that sums of one value of each, in any order, are upper bounds.
        So a subclass whose :meth:`worst_drop` only adds and compares values of ``drops.at`` and
        ``drops.total`` returns ``self.largest_budget(drops, margin)``.

        Raises:
            UserError: the threat says nothing about rounding.
        """
        raise UserError(
            f"level 'sound' needs {type(self).__name__}.sound_budget, which is missing; where worst_drop "
            "only adds and compares values of the curves it returns self.largest_budget(drops, margin)"
        )

    def steepness(self, feature_map: FeatureMap, slope: Tensor) -> Tensor | None:
        """(n,): a bound on how fast ``<slope, feature_map(x)>`` falls per unit of budget.

        By the map's Lipschitz constants; None without an :attr:`exponent`.
        """
        if self.exponent is None:
            return None
        cost = None if self.cost is None else self.cost.to(slope.device)
        return feature_map.sensitivity(slope, self.exponent, cost)

    def limited(self, radius: Tensor, x: Tensor) -> Tensor:
        """Radii (n,) of inputs ``x``, cut where what the threat does would leave what a model takes."""
        return radius

    def next_budget(self, radius: Tensor) -> Tensor:
        """The least budget that ``radius`` (n,) leaves open; inf where it leaves none."""
        return radius + 1 if self.counts else radius

    def below(self, flip: Tensor) -> Tensor:
        """The largest radius (n,) that a flip of budget ``flip`` (n,) does not contradict."""
        return flip - 1 if self.counts else flip

    def smoothed(self) -> "Threat":
        """A threat nearby whose worst case is differentiable in more coordinates, to ascend on; itself."""
        return self

    @abstractmethod
    def project(self, delta: Tensor, budget: Tensor, lo: Tensor, hi: Tensor) -> Tensor:
        """Move ``delta`` into ``{measure <= budget} and [lo, hi]``, (n, ...); budget (n,).

        ``lo <= 0 <= hi`` bound the perturbation itself. The nearest point in the Euclidean sense
        where that is cheap, else a near one; always a member of both sets up to rounding.
        """

    def best_move(self, gradient: Tensor, budget: Tensor, lo: Tensor, hi: Tensor) -> Tensor:
        """The ``delta`` of least ``<gradient, delta>`` over ``{measure <= budget} and [lo, hi]``, (n, ...).

        Attacks of a convex threat take averages of such moves; those of others project only.
        """
        raise NotImplementedError(f"{type(self).__name__} is not convex, or has no best_move")
