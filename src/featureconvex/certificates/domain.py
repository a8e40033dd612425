"""The points an attacker may move to."""

from abc import ABC, abstractmethod
from typing import Any

import torch
from torch import Tensor

from featureconvex.errors import UserError
from featureconvex.features.base import check_fits


class Domain(ABC):
    """A product of intervals that may depend on the starting point."""

    @abstractmethod
    def bounds(self, x: Tensor) -> tuple[Tensor, Tensor]:
        """The interval ``[lo, hi]`` of every coordinate for an attacker at ``x``.

        Two (n, ...) in float64, so that the ends are the ones the user gave; each row's interval
        contains ``x`` where the row lies in the domain.
        """

    def contains(self, x: Tensor) -> Tensor:
        """(n, ...) -> (n,) bool: whether each input is a point of its own domain."""
        lo, hi = self.bounds(x)
        return ((lo <= x) & (x <= hi)).flatten(1).all(dim=1)


class Unbounded(Domain):
    """Every point of R^d."""

    def bounds(self, x: Tensor) -> tuple[Tensor, Tensor]:
        """``(-inf, inf)`` everywhere."""
        top = torch.full_like(x, torch.inf, dtype=torch.float64)
        return -top, top

    def contains(self, x: Tensor) -> Tensor:
        """All true, NaN included: a non-finite input has a status of its own."""
        return torch.ones(len(x), dtype=torch.bool, device=x.device)

    def __repr__(self) -> str:
        return "Unbounded()"


class Box(Domain):
    """Coordinates in ``[lo, hi]``; some may be fixed or may move one way only.

    Args:
        lo: lower ends, a number or broadcastable to one input; ``-inf`` for none.
        hi: upper ends, likewise.
        immutable: bool mask, broadcastable to one input: coordinates that cannot change.
        direction: integers, broadcastable to one input: +1 may only grow, -1 may only shrink, 0 both.

    Raises:
        UserError: an empty interval, a NaN bound, or a direction other than -1, 0, 1.

    >>> Box(0, 1).contains(torch.tensor([[0.5, 1.0], [0.5, 1.1]]))
    tensor([ True, False])
    """

    def __init__(self, lo: Any, hi: Any, immutable: Any = None, direction: Any = None) -> None:
        self.lo = torch.as_tensor(lo, dtype=torch.float64)
        self.hi = torch.as_tensor(hi, dtype=torch.float64)
        if not ((self.lo <= self.hi) & (self.lo < torch.inf) & (self.hi > -torch.inf)).all():
            raise UserError(f"a box needs lo <= hi in every coordinate, got {lo} and {hi}")
        self.immutable = None if immutable is None else torch.as_tensor(immutable, dtype=torch.bool)
        self.direction = None if direction is None else torch.as_tensor(direction)
        ways = self.direction
        if ways is not None and not ((ways == -1) | (ways == 0) | (ways == 1)).all():
            raise UserError(
                "direction takes -1 (may only shrink), 0 (both ways) and +1 (may only grow)"
            )

    def bounds(self, x: Tensor) -> tuple[Tensor, Tensor]:
        """Two (n, ...) in float64.

        Raises:
            UserError: an array that does not broadcast to one input.
        """
        lo, hi = self._ends(x)
        x = x.double()
        if self.immutable is not None:
            fixed = self.immutable.to(x.device) & (lo <= x) & (x <= hi)
            lo, hi = torch.where(fixed, x, lo), torch.where(fixed, x, hi)
        if self.direction is not None:
            way = self.direction.to(x.device)
            lo = torch.where(way > 0, torch.maximum(lo, x), lo)
            hi = torch.where(way < 0, torch.minimum(hi, x), hi)
        return lo, hi

    def contains(self, x: Tensor) -> Tensor:
        """Whether ``lo <= x <= hi``, compared in float64 against the ends as given."""
        lo, hi = self._ends(x)
        wide = x.double()
        return ((lo <= wide) & (wide <= hi)).flatten(1).all(dim=1)

    def _ends(self, x: Tensor) -> tuple[Tensor, Tensor]:
        parts = {"lo": self.lo, "hi": self.hi, "immutable": self.immutable}
        parts["direction"] = self.direction
        check_fits(x, **{name: part for name, part in parts.items() if part is not None})
        return self.lo.to(x.device).expand_as(x), self.hi.to(x.device).expand_as(x)

    def __repr__(self) -> str:
        def text(end: Tensor) -> str:
            return f"{float(end):g}" if end.numel() == 1 else f"[{tuple(end.shape)}]"

        extra = "".join(
            f", {name}" for name in ("immutable", "direction") if getattr(self, name) is not None
        )
        return f"Box({text(self.lo)}, {text(self.hi)}{extra})"
