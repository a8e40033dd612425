"""What an attacker may buy: numeric curves, and per block one level of several, each at a price.

Theorem. Let a budget ``B`` buy numeric moves worth ``h_i(t_i)`` at prices ``t_i``, and in every block at
most one option of gain ``g`` and price ``c``. Then it takes off at most the value of the fractional
knapsack over the concave envelopes: of ``h_i`` over [0, B], and of the points ``(0, 0), (c, g)`` of each
block's options with ``c <= B``. Proof: each envelope lies above what a single purchase gives, and a
knapsack of concave curves is filled by decreasing slope. All options of a block count: the one of best
ratio alone is no bound, as (price 1, gain 5) and (3, 9) show at a budget of 3.
"""

from dataclasses import dataclass

import torch
from torch import Tensor

from featureconvex.certificates.drops import Curves, Drops, Rise, RoundedUp
from featureconvex.rounding.directed import FLOAT64, TINY, upper

U = FLOAT64.unit


@dataclass(frozen=True)
class Offers(Curves):
    """Numeric curves of d coordinates, and the options of b blocks.

    Attributes:
        numeric: one curve per coordinate, flat at 0 for those of blocks.
        gain: (n, b, l), what each option takes off.
        price: (n, b, l) > 0, inf for what cannot be bought.
        shape: of one input.
        near: the same in ordinary arithmetic, where these are rounded up.
    """

    numeric: Curves
    gain: Tensor
    price: Tensor
    shape: tuple[int, ...]
    near: "Offers | None" = None

    def at(self, t: Tensor) -> Tensor:
        """The most that a budget (n,) spent on one coordinate or block alone takes off: (n, d + b)."""
        return torch.cat((self.numeric.at(t), self._most(self.price <= t[:, None, None])), dim=1)

    def total(self) -> Tensor:
        """The same for any budget."""
        return torch.cat((self.numeric.total(), self._most(torch.isfinite(self.price))), dim=1)

    def taxed(self, budget: Tensor, price: Tensor) -> Tensor:
        """Numeric curves and blocks alike, rounded up: options dearer than the budget are not to be had."""
        assert isinstance(self.numeric, RoundedUp)
        toll = price[:, None, None] * self.price.where(torch.isfinite(self.price), 0.0)
        left = self.gain - toll
        left = left + (8 * U) * (self.gain.abs() + toll) + TINY
        best = left.masked_fill(self.price > budget[:, None, None], 0.0).clamp_min(0)
        blocks = best.amax(2).sum(1) if best.numel() else best.new_zeros(len(best))
        found = self.numeric.taxed(budget, price) + upper(blocks, best.shape[1] + 2, blocks > 0)
        return upper(found, 2, found > 0)

    def rows(self, index: Tensor) -> "Offers":
        """Some of the rows, of curves in ordinary arithmetic."""
        assert isinstance(self.numeric, Drops)
        numeric = self.numeric.rows(index)
        return Offers(numeric, self.gain[index], self.price[index], self.shape)

    def _most(self, bought: Tensor) -> Tensor:
        if not self.gain.numel():
            return self.gain.new_zeros(self.gain.shape[:2])
        return self.gain.clamp_min(0).masked_fill(~bought, 0.0).amax(2)

    def curves(self, dearest: Tensor) -> Drops:
        """Curves whose filling bounds the drop, with options up to the price ``dearest`` (n,).

        One per coordinate, then one per piece of each block's envelope: pieces of falling slope are
        filled in their order.
        """
        assert isinstance(self.numeric, Drops)
        numeric = self.numeric.dense
        width, slope = _envelope(
            self.gain, self.price.masked_fill(self.price > dearest[:, None, None], torch.inf)
        )
        still = torch.zeros_like(width)
        first, *later = numeric.rises
        rises = [
            Rise(
                torch.cat((first.start, still), dim=1),
                torch.cat((first.end, width), dim=1),
                torch.cat((first.slope, slope), dim=1),
            )
        ]
        for rise in later:
            parts = ((rise.start, width), (rise.end, width), (rise.slope, still))
            rises.append(Rise(*(torch.cat(pair, dim=1) for pair in parts)))
        whole = torch.cat((numeric.total(), width * slope), dim=1)
        return Drops(tuple(rises), (whole.shape[1],), whole)


def _envelope(gain: Tensor, price: Tensor) -> tuple[Tensor, Tensor]:
    """Widths and slopes, falling, of the pieces of each block's upper concave envelope: (n, pieces) each.

    From each corner to the option of steepest way ahead, until none rises.
    """
    count, blocks, options = gain.shape
    widths, slopes = [gain.new_zeros(count, 0)], [gain.new_zeros(count, 0)]
    at = gain.new_zeros(count, blocks, 1)
    height = at
    for _ in range(options if blocks else 0):
        ahead = torch.isfinite(price) & (price > at)
        way = (price - at).where(ahead, 1.0)
        rate = ((gain - height) / way).masked_fill(~ahead, -torch.inf)
        steepest, chosen = rate.max(dim=2, keepdim=True)
        rises = steepest > 0
        if not bool(rises.any()):
            break
        next_at, next_height = price.gather(2, chosen), gain.gather(2, chosen)
        widths.append((next_at - at).where(rises, 0.0).flatten(1))
        slopes.append(steepest.where(rises, 0.0).flatten(1))
        at, height = next_at.where(rises, at), next_height.where(rises, height)
    return torch.cat(widths, dim=1), torch.cat(slopes, dim=1)
