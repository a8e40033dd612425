"""Coordinates that change as one: the one-hot code of a category, or a single one that holds 0 or 1.

Levels of a category are its coordinates in their order; those of a boolean are 0 and 1.
"""

from collections.abc import Iterable, Sequence
from typing import Any

import torch
from torch import Tensor

from featureconvex.certificates.threats.edits.prices import Prices
from featureconvex.errors import UserError
from featureconvex.given import whole_number, whole_numbers


class Blocks:
    """The blocks of one input and the price of every edit, padded to one number of levels.

    Args:
        blocks: the coordinates of each: two or more of a category, one of a boolean.
        prices: of each: a number > 0, or a square matrix of them; ``inf``: no such edit.

    Attributes:
        sizes: the number of coordinates of each.
        members: (b, l) int64, the coordinate of each level, -1 where there is none; of a boolean its own
            coordinate twice.
        prices: of every edit.

    Raises:
        UserError: a coordinate in two blocks, or a price that is not positive.
    """

    def __init__(self, blocks: Sequence[Any], prices: Sequence[Any]) -> None:
        found = [whole_numbers("each block", block, "[2, 3, 4]", 0) for block in blocks]
        every = [place for block in found for place in block]
        if not all(found) or len(set(every)) < len(every):
            raise UserError(
                "a block lists the coordinates of a one-hot code, or the one of a boolean, and no "
                f"coordinate belongs to two; got {[list(block) for block in found]}"
            )
        self.sizes = tuple(map(len, found))
        self.coordinates = tuple(found)
        most = max([2, *self.sizes])
        self.members = torch.full((len(found), most), -1, dtype=torch.int64)
        for at, block in enumerate(found):
            levels = block if len(block) > 1 else block * 2
            self.members[at, : len(levels)] = torch.tensor(levels)
        self.prices = Prices([max(2, size) for size in self.sizes], prices)

    def __len__(self) -> int:
        return len(self.sizes)

    @property
    def last(self) -> int:
        """The largest coordinate, -1 for no blocks."""
        return int(self.members.max()) if len(self) else -1

    def mask(self, count: int) -> Tensor:
        """(count,) bool: the coordinates that belong to a block."""
        inside = torch.zeros(count, dtype=torch.bool)
        inside[self.members[self.members >= 0]] = True
        return inside

    @property
    def boolean(self) -> Tensor:
        """(b,) bool: the blocks of a single coordinate."""
        return torch.tensor([size == 1 for size in self.sizes], dtype=torch.bool)

    def held(self, x: Tensor) -> Tensor:
        """(n, b, l): the numbers of x at each level's coordinate; of a boolean ``(1 - x, x)``; 0 padded."""
        members = self.members.to(x.device)
        values = x.double()[:, members.clamp_min(0)].masked_fill(members < 0, 0.0)
        boolean = self.boolean.to(x.device)
        values[:, boolean, 0] = 1 - values[:, boolean, 1]
        return values

    def level(self, x: Tensor) -> Tensor:
        """(n, b) int64: the level that each row is at, where it is a row of such blocks."""
        return self.held(x).argmax(2)

    def valid(self, x: Tensor) -> Tensor:
        """(n,) bool: every block holds 0s and 1s, of a category a single 1."""
        held = self.held(x)
        bits = ((held == 0) | (held == 1)).all(2)
        return (bits & (held.sum(2) == 1)).all(1)

    def spent(self, delta: Tensor) -> Tensor:
        """(n,): the price of the edits of a perturbation (n, d), inf for what is no edit."""
        members = self.members.to(delta.device)
        moved = delta.double()[:, members.clamp_min(0)].masked_fill(members < 0, 0.0)
        boolean = self.boolean.to(delta.device)
        moved[:, boolean, 0] = -moved[:, boolean, 1]
        still = (moved == 0).all(2)
        away, onto = (moved == -1).sum(2) == 1, (moved == 1).sum(2) == 1
        edit = away & onto & ((moved != 0).sum(2) == 2)
        # What is no edit may rise or fall in every level that there is; padding is none.
        none = members < 0
        onto_level = moved.masked_fill(none, -torch.inf).argmax(2, keepdim=True)
        left = moved.masked_fill(none, torch.inf).argmin(2)
        price = self.prices.leaving(left).gather(2, onto_level).squeeze(2)
        return torch.where(still, 0.0, price.where(edit, torch.inf)).sum(1)

    def step(self, level: Tensor, block: int, to: Tensor, count: int) -> Tensor:
        """The perturbation (n, count) that edits one block from ``level`` (n,) to the level ``to`` (n,)."""
        members = self.members[block].to(level.device)
        delta = torch.zeros(len(level), count, dtype=torch.float64, device=level.device)
        rows = torch.arange(len(level), device=level.device)
        if self.sizes[block] == 1:
            delta[:, members[0]] = (to - level).double()
            return delta
        delta[rows, members[level]] -= 1
        delta[rows, members[to]] += 1
        return delta


def blocks_of(blocks: Any, price: Any) -> Blocks:
    """The blocks and their prices as a caller gives them.

    Raises:
        UserError: they are no lists of coordinates, or not as many prices as blocks.
    """
    if not isinstance(blocks, Iterable) or isinstance(blocks, str | bytes):
        raise UserError(
            f"blocks takes lists of coordinates such as [[2, 3, 4], [5]], got {blocks!r}"
        )
    listed = [[block] if _is_index(block) else block for block in blocks]
    several = isinstance(price, Sequence) and not isinstance(price, str)
    prices = list(price) if several else [price] * len(listed)
    if len(prices) != len(listed):
        raise UserError(
            f"price takes one price, or one per block: {len(listed)}, got {len(prices)}"
        )
    return Blocks(listed, prices)


def _is_index(value: Any) -> bool:
    try:
        whole_number("a coordinate", value, 0)
    except UserError:
        return False
    return True
