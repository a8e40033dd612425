"""The largest radius at which something still holds, for many points at once."""

from collections.abc import Callable

import torch
from torch import Tensor

HALVINGS = 50


def largest_kept(kept: Callable[[Tensor], Tensor], count: int, largest: float) -> Tensor:
    """A radius per point at which ``kept`` was seen to hold, within ``largest / 2^50`` of the last one.

    Args:
        kept: radii (count,) float64 -> (count,) bool; where it holds, it holds for all smaller radii.
        count: of points.
        largest: the end of the search.

    Returns:
        (count,) float64: 0 where not even ``kept(0)`` holds, ``largest`` where ``kept(largest)`` does.

    >>> largest_kept(lambda r: r <= torch.tensor([-1.0, 0.25, 9.0]), 3, 1.0)
    tensor([0.0000, 0.2500, 1.0000], dtype=torch.float64)
    """
    low = torch.zeros(count, dtype=torch.float64)
    high = torch.full_like(low, largest)
    holds, never = kept(high), ~kept(low)
    for _ in range(HALVINGS):
        middle = (low + high) / 2
        inside = kept(middle)
        low, high = torch.where(inside, middle, low), torch.where(inside, high, middle)
    return torch.where(never, 0.0, torch.where(holds, largest, low))
