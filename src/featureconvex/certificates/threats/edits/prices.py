"""The price of every edit of every block: that of the cheapest chain of edits."""

from collections.abc import Sequence
from typing import Any

import numpy as np
import torch
from torch import Tensor

from featureconvex.errors import UserError
from featureconvex.given import real_tensor

_PRICE = "a number, or the prices from each level (rows) to each level (columns)"


class Prices:
    """From level to level of each block; one number where all edits of a block cost the same.

    Args:
        levels: how many each block has.
        given: of each: a number > 0, or a square matrix of them; ``inf``: no such edit.

    Attributes:
        cheapest: (b,) float64, of an edit of each block; ``inf`` where there is none.
        distinct: sorted, the finite prices of all edits.

    Raises:
        UserError: a price that is not positive, or a matrix of another size.
    """

    def __init__(self, levels: Sequence[int], given: Sequence[Any]) -> None:
        found = [_chains(price, count) for price, count in zip(given, levels, strict=True)]
        self.levels = tuple(levels)
        self.most = max([2, *levels])
        self._single = torch.tensor(
            [float("nan") if price.ndim else float(price) for price in found], dtype=torch.float64
        )
        self._tabled = [block for block, price in enumerate(found) if price.ndim]
        widest = max((levels[block] for block in self._tabled), default=0)
        self._tables = torch.full(
            (len(self._tabled), widest, widest), torch.inf, dtype=torch.float64
        )
        for place, block in enumerate(self._tabled):
            self._tables[place, : levels[block], : levels[block]] = found[block]
        edits = [price[price > 0] for price in found]
        least = [float(some.min()) if some.numel() else torch.inf for some in edits]
        self.cheapest = torch.tensor(least, dtype=torch.float64)
        every = torch.cat([torch.empty(0, dtype=torch.float64), *edits])
        self.distinct: tuple[float, ...] = tuple(
            np.unique(every[torch.isfinite(every)].numpy()).tolist()
        )

    def leaving(self, level: Tensor) -> Tensor:
        """(n, b, l): from ``level``, (n, b) int64, to each level; 0 to itself, ``inf`` where none is."""
        device, most = level.device, self.most
        single = self._single.to(device)[None, :, None]
        price = single.expand(*level.shape, most).scatter(2, level[:, :, None], 0.0)
        there = torch.arange(most, device=device) < torch.tensor(
            self.levels, device=device, dtype=torch.int64
        ).reshape(-1, 1)
        if self._tabled:
            which = torch.arange(len(self._tabled), device=device)
            rows = self._tables.to(device)[which, level[:, self._tabled]]
            price[:, self._tabled, : rows.shape[2]] = rows
        return price.masked_fill(~there, torch.inf)


def _chains(price: Any, levels: int) -> Tensor:
    """The cheapest way from each level to each, (levels, levels); or the price of every edit, ()."""
    given = real_tensor("price", price, _PRICE).cpu().double()
    if given.shape not in ((), (levels, levels)):
        raise UserError(
            f"price takes {_PRICE}, here ({levels}, {levels}), got shape {tuple(given.shape)}"
        )
    away = ~torch.eye(levels, dtype=torch.bool)
    edits = given[away] if given.ndim else given
    if not bool((edits > 0).all()):
        raise UserError("every price must be > 0 (inf: no such edit)")
    if not given.ndim:
        return given
    ways = given.masked_fill(~away, 0.0)
    # What no edit leads to or leaves is on no chain.
    edited = (ways.isfinite() & away).any(0) | (ways.isfinite() & away).any(1)
    between = ways[edited][:, edited]
    apart = between[~torch.eye(len(between), dtype=torch.bool)]
    if not apart.numel() or bool(apart.max() <= 2 * apart.min()):
        return ways  # two edits cost at least as much as any one
    for over in edited.nonzero().squeeze(1).tolist():
        # Floyd and Warshall.
        ways = torch.minimum(ways, ways[:, over, None] + ways[None, over])
    return ways
