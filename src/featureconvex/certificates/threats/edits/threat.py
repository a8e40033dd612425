"""``Edits``: the total price of numeric moves and of edits of categories and booleans."""

import math
from collections.abc import Mapping, Sequence
from copy import copy
from typing import Any, ClassVar

import numpy as np
import torch
from torch import Tensor

from featureconvex.certificates.by_column import Costs
from featureconvex.certificates.coordinates import NO_BLOCKS, indices_of
from featureconvex.certificates.coordinates import Blocks as Columns
from featureconvex.certificates.drops import Curves, Drops
from featureconvex.certificates.moves import Moves
from featureconvex.certificates.threats.ball.dual import best_multiplier
from featureconvex.certificates.threats.ball.l1 import LEAST, spending_slope
from featureconvex.certificates.threats.ball.projection import project_lp
from featureconvex.certificates.threats.ball.worst_case import certified_lp_budget, worst_lp_drop
from featureconvex.certificates.threats.base import Certified, Threat
from featureconvex.certificates.threats.edits.blocks import Blocks, blocks_of
from featureconvex.certificates.threats.edits.options import Offers
from featureconvex.errors import UserError
from featureconvex.given import real_tensor, whole_numbers
from featureconvex.rounding.directed import difference_down, quotient_down, upper

# So many limits on the price of one option are tried; any choice of them is sound.
LIMITS = 8
# A candidate loses this share before it is checked with rounding.
LESS = 1 - 2.0**-38


class Edits(Threat):
    """``sum_i cost_i |delta_i|`` over numbers, plus a price for every edit of a category or boolean.

    Inputs are rows (d,) of a table: each block holds a one-hot code that moves from one level to
    another, or a single 0 or 1 that flips. The price of an edit is that of the cheapest chain of edits.
    Other rows (a code with two 1s) have status ``outside_domain``.

    Args:
        cost: of one unit of each numeric coordinate, positive, ``inf``: it cannot change; entries of blocks
            are not looked at. Or of single columns, ``{column: cost}`` by name, for a model that has names;
            all others cost 1. None: 1 everywhere.
        blocks: the coordinates of each block: ``[[2, 3, 4], [5]]`` are a category of three levels and a
            boolean.
        price: of an edit: a number, or one per block; for a block also a matrix, from level to level.
        whole: numeric coordinates that move by whole numbers only.

    Raises:
        UserError: a cost or price that is not positive, overlapping blocks, or a ``whole``
            coordinate in a block.

    >>> threat = Edits(cost=[2.0, 1, 1, 1, 1], blocks=[[1, 2, 3], [4]], price=[5.0, 3.0])
    >>> threat.measure(torch.tensor([[0.5, -1, 0, 1, 0], [0, 0, 0, 0, 1], [0, -0.5, 0, 0.5, 0]]))
    tensor([6., 3., inf], dtype=torch.float64)
    """

    NAME: ClassVar[str] = "edits"
    divisible: ClassVar[bool] = False

    def __init__(
        self, cost: Any = None, blocks: Any = (), price: Any = 1.0, whole: Any = ()
    ) -> None:
        self._blocks = blocks_of(blocks, price)
        self._by_column = Costs(cost) if isinstance(cost, Mapping) else None
        if self._by_column is not None:
            cost = None
        given = None if cost is None else real_tensor("cost", cost).cpu()
        if given is not None and given.numel() == 1:
            given = given.reshape(())
        self._cost = given
        if given is not None and not bool((given > 0).all()):
            raise UserError("every cost must be > 0 (inf: the coordinate cannot change)")
        self._whole = whole_numbers("whole", whole, "[0, 3]", 0)
        edited = sorted(
            {place for block in self._blocks.coordinates for place in block} & {*self._whole}
        )
        if edited:
            raise UserError(
                f"whole names coordinates of blocks, {edited}; they change by edits, "
                "and whole is about numbers"
            )
        finite = np.array(self._blocks.prices.distinct)
        if len(finite) > LIMITS:
            finite = finite[np.linspace(0, len(finite) - 1, LIMITS).round().astype(int)]
        self._limits = (*finite.tolist(), math.inf)

    @property
    def blocks(self) -> Blocks:
        """The blocks and their prices; not to be changed."""
        return self._blocks

    @property
    def whole(self) -> tuple[int, ...]:
        """Numeric coordinates that move by whole numbers."""
        return self._whole

    def named(self, names: Sequence[str] | None, columns: Columns = NO_BLOCKS) -> "Edits":
        """With costs of columns as costs of all coordinates.

        Raises:
            UserError: an unknown name, or that of a category, which has a price.
        """
        if self._by_column is None or names is None:
            return self
        cost = self._by_column.named(names, columns)
        for key in self._by_column.columns:
            places = indices_of("cost", key, names, columns)
            if len(places) > 1 or self._blocks.mask(len(names))[places[0]]:
                raise UserError(
                    f"cost names {key!r}, which changes by edits; price says what an edit costs"
                )
        known = copy(self)
        vars(known).update(_by_column=None, _cost=cost)
        return known

    @property
    def cost(self) -> Tensor | None:
        """Of one unit of each numeric coordinate, 1 for those of blocks: a copy."""
        if self._cost is None or not self._cost.ndim:
            return None  # one price for all numbers, if only those outside of blocks
        return self._cost.masked_fill(self._blocks.mask(len(self._cost)), 1.0)

    def numeric_cost(self, count: int) -> Tensor:
        """(count,): of one unit of each numeric coordinate, ``inf`` for those of blocks."""
        if self._by_column is not None:
            raise self._by_column.unknown()
        cost = torch.ones((), dtype=torch.float64) if self._cost is None else self._cost
        return cost.expand(count).masked_fill(self._blocks.mask(count), torch.inf)

    @property
    def name(self) -> str:
        """``edits``."""
        return self.NAME

    def __repr__(self) -> str:
        costly = self._cost is not None or self._by_column is not None
        return f"Edits({len(self._blocks)} blocks{', cost' if costly else ''})"

    def check(self, shape: tuple[int, ...]) -> None:
        """Refuse what is no row of a table, or too short a one."""
        if len(shape) != 1:
            raise UserError(f"Edits is about rows (d,) of a table, got inputs of shape {shape}")
        if self._by_column is not None:
            raise self._by_column.unknown()
        most = max([self._blocks.last, *self._whole])
        wrong = self._cost is not None and tuple(self._cost.shape) not in ((), shape)
        if most >= shape[0] or wrong:
            told = f"costs of shape {tuple(self._cost.shape)}" if self._cost is not None else ""
            raise UserError(
                f"Edits with coordinates up to {most} {told} does not fit rows of {shape[0]} numbers"
            )

    def admits(self, x: Tensor) -> Tensor:
        """Rows whose blocks hold a one-hot code, or a 0 or 1."""
        return self._blocks.valid(x)

    def within(self, lo: Tensor, hi: Tensor) -> tuple[Tensor, Tensor]:
        """Coordinates of blocks stay in [0, 1]."""
        inside = self._blocks.mask(lo.shape[-1]).to(lo.device)
        return lo.where(~inside, lo.clamp_min(0)), hi.where(~inside, hi.clamp_max(1))

    def curves(self, moves: Moves) -> Offers:
        """Numeric curves, and the gain and price of every level that a block can go to."""
        x, blocks = moves.x, self._blocks
        count = x.shape[1]
        cost = self.numeric_cost(count).to(x.device)
        members = blocks.members.to(x.device).clamp_min(0)
        rises, sinks = moves.falls(1.0)[:, members], moves.falls(-1.0)[:, members]
        wide = x.double()
        can_rise, can_sink = (wide + 1 <= moves.hi)[:, members], (wide - 1 >= moves.lo)[:, members]
        level = blocks.level(x)[:, :, None]
        price = blocks.prices.leaving(level.squeeze(2))
        boolean = blocks.boolean.to(x.device)[None, :, None]
        # Of a boolean, whose members are one coordinate twice: to 0 it sinks, to 1 it rises.
        to_zero = torch.arange(members.shape[1], device=x.device) == 0
        flip = torch.where(to_zero, sinks, rises)
        may_flip = torch.where(to_zero, can_sink, can_rise)
        gain = torch.where(boolean, flip, rises + sinks.gather(2, level))
        possible = torch.where(boolean, may_flip, can_rise & can_sink.gather(2, level))
        price = price.masked_fill(~possible | (price == 0), torch.inf)
        gain = gain.masked_fill(torch.isinf(price), 0.0)
        near = None if moves.near is None else self.curves(moves.near)
        return Offers(moves.curves(cost), gain, price, tuple(x.shape[1:]), near)

    def norm_costs(self, s: float, shape: tuple[int, ...]) -> Tensor:
        """``cost_i`` of numbers, ``price_b / 2^(1/s)`` of both coordinates that an edit moves.

        A perturbation is a sum of moves and edits, a norm of a sum is at most the sum of the norms, and
        each of these is at most its price.
        """
        costs = self.numeric_cost(shape[0])
        cheapest = self._blocks.prices.cheapest
        for block, places in enumerate(self._blocks.coordinates):
            both = 1.0 if len(places) == 1 or math.isinf(s) else 2 ** (1 / s)
            # Rounded down.
            costs[list(places)] = cheapest[block] / both * (1 - 2**-50)
        return costs

    def measure(self, delta: Tensor) -> Tensor:
        """The price of each perturbation (n, d), inf for one that leads to no row of a table."""
        delta = delta.double()
        cost = self.numeric_cost(delta.shape[1]).to(delta.device)
        moved = torch.where((delta == 0) | torch.isinf(cost), 0.0, delta.abs() * cost)
        fixed = self.numeric_cost(delta.shape[1]).isinf() & ~self._blocks.mask(delta.shape[1])
        odd = (delta[:, fixed.to(delta.device)] != 0).any(1)
        if self._whole:
            steps = delta[:, list(self._whole)]
            odd |= (steps != steps.round()).any(1)
        return (moved.sum(1) + self._blocks.spent(delta)).masked_fill(odd, torch.inf)

    def worst_drop(self, drops: Curves, budget: Tensor) -> Tensor:
        """The fractional knapsack over the envelopes, with options that the budget pays for."""
        return worst_lp_drop(_offers(drops).curves(budget), budget, 1.0)

    def largest_budget(self, drops: Curves, margin: Tensor) -> Tensor:
        """The largest budget found: see :meth:`certified`."""
        return self.certified(drops, margin).budget

    @torch.no_grad()
    def certified(self, drops: Curves, margin: Tensor) -> Certified:
        """The best over limits ``c``: below ``c``, options that cost as much cannot be bought."""
        offers = _offers(drops)
        best, multiplier = torch.zeros_like(margin), torch.full_like(margin, torch.nan)
        for limit in reversed(self._limits):
            # A limit proves no more than itself.
            rows = ((best < limit) & (margin > 0)).nonzero().squeeze(1)
            dearest = margin.new_full((len(rows),), math.nextafter(limit, 0.0))
            curves = offers.rows(rows).curves(dearest)
            found, lam = certified_lp_budget(curves, margin[rows], 1.0)
            radius = found.clamp_max(limit)
            if curves.concave:
                lam = spending_slope(curves, radius)
            better = radius > best[rows]
            multiplier[rows] = torch.where(better, lam, multiplier[rows])
            best[rows] = torch.where(better, radius, best[rows])
        return Certified(best, multiplier)

    @torch.no_grad()
    def sound_budget(self, drops: Curves, margin: Tensor) -> Tensor:
        """The budget that ordinary arithmetic finds, checked by duality with everything rounded up.

        For every multiplier ``lam > 0``: ``drop(B) <= lam B + sum of max(curve - lam price)`` over what
        ``B`` can buy, so ``min(R, (margin - sum_R) / lam)`` is certified.
        """
        if not isinstance(drops, Offers) or drops.near is None:
            return self.largest_budget(drops, margin)
        total = drops.total()
        endless = upper(total.sum(1), 2 * total.shape[1]) < margin
        found = self.certified(drops.near, margin)
        budget = found.budget.where(torch.isfinite(found.budget), 0.0) * LESS
        lam = found.multiplier
        unknown = (lam.isnan() & (budget > 0)).nonzero().squeeze(1)
        if len(unknown):
            most = budget[unknown]
            curves = drops.near.rows(unknown).curves(most).within(most)
            lam[unknown] = best_multiplier(curves, most, 1.0)
        lam = lam.nan_to_num(0.0, posinf=0.0).clamp_min(LEAST)
        left = difference_down(margin, drops.taxed(budget, lam))
        radius = torch.minimum(quotient_down(left.clamp_min(0), lam), budget)
        radius = torch.where(left > 0, radius, 0.0)
        return torch.where(margin > 0, torch.where(endless, torch.inf, radius), 0.0)

    def project(self, delta: Tensor, budget: Tensor, lo: Tensor, hi: Tensor) -> Tensor:
        """Edits that are whole and can be paid, block by block; then the nearest numeric move."""
        delta, left = delta.double(), budget.double()
        inside = self._blocks.mask(delta.shape[1]).to(delta.device)
        kept = torch.zeros_like(delta)
        for block in self._blocks.coordinates:
            part = torch.zeros_like(delta)
            part[:, list(block)] = delta[:, list(block)].round().clamp(-1, 1)
            price = self._blocks.spent(part)
            fits = (price <= left) & ((part >= lo) & (part <= hi)).all(1)
            kept = torch.where(fits[:, None], kept + part, kept)
            left = torch.where(fits, left - price, left)
        cost = self.numeric_cost(delta.shape[1]).to(delta.device)
        fixed = torch.isinf(cost)
        low, high = (end.masked_fill(fixed, 0.0) for end in (lo, hi))
        if bool(fixed.all()):
            return kept
        moved = project_lp(delta.masked_fill(inside, 0.0), left, low, high, 1, cost)
        if self._whole:
            whole = list(self._whole)
            moved[:, whole] = moved[:, whole].trunc()
        return kept + moved


def _offers(curves: Curves) -> Offers:
    if not isinstance(curves, Offers) or not isinstance(curves.numeric, Drops):
        raise UserError("Edits takes the curves that Edits.curves makes")
    return curves
