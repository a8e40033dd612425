"""The points an attacker may move to."""

from abc import ABC, abstractmethod
from collections.abc import Mapping, Sequence
from copy import copy
from typing import Any, Self

import torch
from torch import Tensor

from featureconvex.certificates.by_column import Ranges
from featureconvex.certificates.coordinates import NO_BLOCKS, Blocks, Direction, Immutable
from featureconvex.certificates.value import Value
from featureconvex.errors import UserError
from featureconvex.features.base import check_fits
from featureconvex.given import check_shared_shape, real_tensor, whole_number


class Domain(Value, ABC):
    """A product of intervals that may depend on the starting point."""

    @abstractmethod
    def bounds(self, x: Tensor) -> tuple[Tensor, Tensor]:
        """The interval ``[lo, hi]`` of every coordinate for an attacker at ``x``.

        Two (n, ...) in float64, so that the ends are the ones the user gave; each row's interval
        contains ``x`` where the row lies in the domain.
        """

    def rows(self, index: Tensor | slice) -> "Domain":
        """The domain of some of the inputs; the same, unless every input has one of its own."""
        return self

    def check_count(self, count: int) -> None:
        """Refuse so many inputs.

        Raises:
            UserError: each input has a domain of its own, and there are not so many.
        """

    def contains(self, x: Tensor) -> Tensor:
        """(n, ...) -> (n,) bool: whether each input is a point of its own domain."""
        lo, hi = self.bounds(x)
        return ((lo <= x) & (x <= hi)).flatten(1).all(dim=1)

    def named(self, names: Sequence[str] | None, blocks: Blocks = NO_BLOCKS) -> Self:
        """The same domain for a model whose columns have ``names``; None where they have none.

        Args:
            names: one per coordinate.
            blocks: further names, each for several coordinates.

        Raises:
            UserError: a column that is not among them.
        """
        return self


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
        lo: lower ends, a number or broadcastable to one input; ``-inf`` for none. Or both ends of single
            columns, ``{column: (lo, hi)}`` by index or name; all others may then go anywhere.
        hi: upper ends, likewise; left out where ``lo`` says both.
        immutable: coordinates that cannot change: bools of the shape of one input (images: also
            broadcastable, as (c, 1, 1); one bool: all), indices, or names of the model's columns.
        direction: +1 may only grow, -1 may only shrink, 0 both: numbers of the shape of one input
            (images: also broadcastable; one number: all), or ``{column: +1 or -1}`` by index or name.

    Everything is copied. Indices and names are resolved when the domain meets an input.

    Raises:
        UserError: an empty interval, a NaN bound, or anything that does not say which coordinates.

    >>> Box(0, 1).contains(torch.tensor([[0.5, 1.0], [0.5, 1.1]]))
    tensor([ True, False])
    >>> Box(0, 1, immutable=[0], direction={2: 1}).bounds(torch.tensor([[0.5, 0.5, 0.25]]))[0]
    tensor([[0.5000, 0.0000, 0.2500]], dtype=torch.float64)
    """

    def __init__(
        self, lo: Any, hi: Any = None, immutable: Any = None, direction: Any = None
    ) -> None:
        self._ranges = Ranges(lo) if isinstance(lo, Mapping) else None
        if (self._ranges is None) == (hi is None):
            raise UserError(
                "a box takes both ends, fc.Box(0, 1), or those of single columns, "
                f"fc.Box({{'links': (0, 50)}}), got lo={lo!r} and hi={hi!r}"
            )
        if self._ranges is not None:
            lo, hi = -torch.inf, torch.inf
        self._lo, self._hi = real_tensor("lo", lo), real_tensor("hi", hi)
        check_shared_shape(lo=self._lo, hi=self._hi)
        low, high = self._lo, self._hi.to(self._lo.device)
        if not ((low <= high) & (low < torch.inf) & (high > -torch.inf)).all():
            raise UserError(f"a box needs lo <= hi in every coordinate, got {lo} and {hi}")
        self._immutable = None if immutable is None else Immutable(immutable)
        self._direction = None if direction is None else Direction(direction)

    @property
    def lo(self) -> Tensor:
        """Lower ends, float64: a copy; ``-inf`` where :attr:`ranges` have them."""
        return self._lo.clone()

    @property
    def hi(self) -> Tensor:
        """Upper ends, float64: a copy; ``inf`` where :attr:`ranges` have them."""
        return self._hi.clone()

    @property
    def ranges(self) -> dict[int | str, tuple[float, float]] | None:
        """Those of single columns, as given: a copy; None where there are none."""
        return None if self._ranges is None else dict(self._ranges.columns)

    @property
    def immutable(self) -> Any:
        """What was given, as this class takes it: a copy; None for no such coordinates."""
        return None if self._immutable is None else self._immutable.given

    @property
    def direction(self) -> Any:
        """What was given, as this class takes it: a copy; None for both ways everywhere."""
        return None if self._direction is None else self._direction.given

    @staticmethod
    def per_row(lo: Any, hi: Any) -> "RowBoxes":
        """A box of its own for each of n inputs, in their order: (n, ...) each."""
        return RowBoxes(lo, hi)

    def named(self, names: Sequence[str] | None, blocks: Blocks = NO_BLOCKS) -> Self:
        """With names of columns turned into indices."""
        if names is None:
            return self
        fixed, ways = self._immutable, self._direction
        known = copy(self)
        if self._ranges is not None:
            ends = self._ranges.named(names, blocks).resolve((len(names),))
            vars(known).update(_ranges=None, _lo=ends[0], _hi=ends[1])
        vars(known)["_immutable"] = None if fixed is None else fixed.named(names, blocks)
        vars(known)["_direction"] = None if ways is None else ways.named(names, blocks)
        return known

    def bounds(self, x: Tensor) -> tuple[Tensor, Tensor]:
        """Two (n, ...) in float64.

        Raises:
            UserError: an array, index or name that does not fit one input.
        """
        lo, hi = self._ends(x)
        shape = tuple(x.shape[1:])
        x = x.double()
        if self._immutable is not None:
            mask = self._immutable.resolve(shape).to(x.device)
            fixed = mask & (lo <= x) & (x <= hi)
            lo, hi = torch.where(fixed, x, lo), torch.where(fixed, x, hi)
        if self._direction is not None:
            way = self._direction.resolve(shape).to(x.device)
            lo = torch.where(way > 0, torch.maximum(lo, x), lo)
            hi = torch.where(way < 0, torch.minimum(hi, x), hi)
        return lo, hi

    def contains(self, x: Tensor) -> Tensor:
        """Whether ``lo <= x <= hi``, compared in float64 against the ends as given.

        Raises:
            UserError: as :meth:`bounds`, so that a level that only asks for this refuses, too.
        """
        lo, hi = self._ends(x)
        for coordinates in (self._immutable, self._direction):
            if coordinates is not None:
                coordinates.resolve(tuple(x.shape[1:]))
        wide = x.double()
        return ((lo <= wide) & (wide <= hi)).flatten(1).all(dim=1)

    def _ends(self, x: Tensor) -> tuple[Tensor, Tensor]:
        lo, hi = self._lo, self._hi
        if self._ranges is not None:
            lo, hi = self._ranges.resolve(tuple(x.shape[1:]))
        check_fits(x, lo=lo, hi=hi)
        return lo.to(x.device).expand_as(x), hi.to(x.device).expand_as(x)

    def __repr__(self) -> str:
        def text(end: Tensor) -> str:
            return f"{float(end):g}" if end.numel() == 1 else f"[{tuple(end.shape)}]"

        extra = "".join(
            f", {name}"
            for name in ("ranges", "immutable", "direction")
            if getattr(self, name) is not None
        )
        return f"Box({text(self._lo)}, {text(self._hi)}{extra})"


class RowBoxes(Domain):
    """A box of its own for each of n inputs: what an attacker can reach differs from file to file, say.

    Args:
        lo: (n, ...) lower ends, ``-inf`` for none.
        hi: (n, ...) upper ends.

    Both are copied. Certificates and attacks take as many inputs as there are boxes, in the same order.

    Raises:
        UserError: other shapes, an empty interval, or a NaN bound.

    >>> held = Box.per_row([[0.0, 0.0], [0.5, 0.0]], [[1.0, 1.0], [0.5, 1.0]])
    >>> held.contains(torch.tensor([[0.2, 1.0], [0.2, 1.0]]))
    tensor([ True, False])
    """

    def __init__(self, lo: Any, hi: Any) -> None:
        low, high = real_tensor("lo", lo), real_tensor("hi", hi)
        if low.shape != high.shape or low.ndim < 2:
            raise UserError(
                "boxes per row take lo and hi of the shape of all inputs, (n, ...), got "
                f"{tuple(low.shape)} and {tuple(high.shape)}"
            )
        high = high.to(low.device)
        if not ((low <= high) & (low < torch.inf) & (high > -torch.inf)).all():
            raise UserError("a box needs lo <= hi in every coordinate of every row")
        self._lo, self._hi = low, high

    def check_count(self, count: int) -> None:
        """As many as there are boxes."""
        if count != len(self._lo):
            raise UserError(
                f"there are boxes for {len(self._lo)} rows, one for each, and {count} rows"
            )

    def bounds(self, x: Tensor) -> tuple[Tensor, Tensor]:
        """Two (n, ...) in float64.

        Raises:
            UserError: another number or shape of inputs.
        """
        if x.shape != self._lo.shape:
            raise UserError(
                f"there are boxes for inputs of shape {tuple(self._lo.shape)}, one for each row, and the "
                f"inputs have shape {tuple(x.shape)}"
            )
        return self._lo.to(x.device), self._hi.to(x.device)

    def rows(self, index: Tensor | slice) -> "RowBoxes":
        """The boxes of some inputs."""
        some = copy(self)
        place = index if isinstance(index, slice) else index.to(self._lo.device)
        vars(some).update(_lo=self._lo[place], _hi=self._hi[place])
        return some

    def __repr__(self) -> str:
        return f"Box.per_row of {len(self._lo)} rows"


class Gaps(Domain):
    """A domain in which a missing number stays missing, and none becomes it.

    Args:
        inside: the other limits.
        gaps: pairs of coordinates: a number, and the indicator that is 1 where it is missing.

    >>> Gaps(Box(0, 9), [(0, 1)]).bounds(torch.tensor([[3.0, 1.0], [3.0, 0.0]]))[1]
    tensor([[3., 1.],
            [9., 0.]], dtype=torch.float64)
    """

    def __init__(self, inside: Domain, gaps: Sequence[tuple[int, int]]) -> None:
        self.inside = inside
        self.gaps = tuple((whole_number("gaps", a, 0), whole_number("gaps", b, 0)) for a, b in gaps)

    def bounds(self, x: Tensor) -> tuple[Tensor, Tensor]:
        """Those of ``inside``, without room for indicators and for numbers that are missing."""
        lo, hi = (end.clone() for end in self.inside.bounds(x))
        if max(max(pair) for pair in self.gaps) >= x.shape[-1]:
            raise UserError(f"a gap's coordinate is beyond the {x.shape[-1]} of an input")
        wide = x.double()
        for value, indicator in self.gaps:
            gone = wide[:, indicator] == 1
            for place, held in ((value, gone), (indicator, torch.ones_like(gone))):
                held = held & (lo[:, place] <= wide[:, place]) & (wide[:, place] <= hi[:, place])
                lo[:, place] = torch.where(held, wide[:, place], lo[:, place])
                hi[:, place] = torch.where(held, wide[:, place], hi[:, place])
        return lo, hi

    def contains(self, x: Tensor) -> Tensor:
        """As ``inside``."""
        return self.inside.contains(x)

    def check_count(self, count: int) -> None:
        """As ``inside``."""
        self.inside.check_count(count)

    def rows(self, index: Tensor | slice) -> "Gaps":
        """Those of ``inside``."""
        some = copy(self)
        vars(some)["inside"] = self.inside.rows(index)
        return some

    def named(self, names: Sequence[str] | None, blocks: Blocks = NO_BLOCKS) -> Self:
        """With the names of ``inside`` turned into indices."""
        known = copy(self)
        vars(known)["inside"] = self.inside.named(names, blocks)
        return known

    def __repr__(self) -> str:
        return f"Gaps({self.inside!r}, {len(self.gaps)} gaps)"
