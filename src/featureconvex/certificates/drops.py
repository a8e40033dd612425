"""Drop curves: how far an affine minorant can fall as one coordinate moves further and further.

For a minorant ``l(u) = value + <v, u - phi(x)>`` and a coordinatewise ``phi``, the fall
``l(phi(x)) - l(phi(x + delta)) = sum_i m_i(delta_i)`` is a sum over coordinates. Its curves are
``h_i(t) = max m_i(delta_i)`` over ``cost_i |delta_i| <= t`` inside the domain: nondecreasing, continuous,
``h_i(0) = 0``, piecewise linear. :mod:`featureconvex.certificates.separable` builds them.
"""

from abc import ABC, abstractmethod
from dataclasses import dataclass, replace
from functools import cached_property

import torch
from torch import Tensor

# Covers the rounding of sums, products and quotients of drops in float64. The network's own rounding
# is the business of level "sound".
ROUND_DOWN = 1 - 2**-40

# Stands for infinity as the end of a stretch, so that sums and products cannot make a NaN. No budget
# beyond it is ever certified.
FAR = 1e120
TINY = torch.finfo(torch.float64).tiny
# What a cost can make of a slope; less would be lost in products, and nothing sees the difference.
LEAST_SLOPE = 1e-240


class Curves(ABC):
    """What a threat may ask of drop curves ``h_i``, one per row and coordinate.

    Attributes:
        shape: of one input, with d numbers.
    """

    shape: tuple[int, ...]

    @abstractmethod
    def at(self, t: Tensor) -> Tensor:
        """``h_i(t)`` with one finite ``t`` per row, (n,) -> (n, d)."""

    @abstractmethod
    def total(self) -> Tensor:
        """``h_i(inf)``, (n, d); inf where a curve never ends."""


class RoundedUp(Curves):
    """Curves whose answers are upper bounds in exact arithmetic, too."""

    @abstractmethod
    def taxed(self, budget: Tensor, price: Tensor) -> Tensor:
        """(n,): at least ``sum_i max over t in [0, budget] of h_i(t) - price t``, both (n,)."""


@dataclass(frozen=True)
class Rise:
    """One stretch on which each curve rises: ``slope`` per unit of budget from ``start`` to ``end``.

    All (n, d) float64, finite; ``0 <= start <= end``, an end beyond ``FAR / 2`` means that it never ends;
    ``slope >= 0``. With ``columns`` (k,), all (n, k): only these of the d curves have the stretch.
    """

    start: Tensor
    end: Tensor
    slope: Tensor
    columns: Tensor | None = None

    def of(self, whole: Tensor) -> Tensor:
        """The part of an (n, d) tensor that belongs to the curves of this stretch."""
        return whole if self.columns is None else whole.index_select(1, self.columns)

    def into(self, whole: Tensor, part: Tensor) -> Tensor:
        """An (n, d) tensor with ``part`` in the place of the curves of this stretch."""
        return part if self.columns is None else whole.index_copy(1, self.columns, part)

    def add(self, whole: Tensor, factor: Tensor) -> Tensor:
        """``whole + factor * slope``; the (n, d) tensor may be overwritten."""
        if self.columns is None:
            return torch.addcmul(whole, factor, self.slope)
        return whole.index_add_(1, self.columns, factor * self.slope)

    @property
    def height(self) -> Tensor:
        """How much the curve gains on the stretch, (n, d)."""
        return self.slope * (self.end - self.start)

    @property
    def endless(self) -> Tensor:
        """Where the stretch rises for ever: (n, d) bool."""
        return (self.end >= FAR / 2) & (self.slope > 0)


@dataclass(frozen=True)
class Drops(Curves):
    """Curves ``h_i``, one per row and coordinate: flat but for a few stretches.

    Attributes:
        rises: one after the other, the first from 0 on. One alone, as affine feature maps have, makes
            concave curves ``slope min(t, end)``. Only the last of several may be one of some columns.
        shape: shape of one input, with d numbers.
        whole: (n, d), what each curve gains in all, where it is known better than the stretches tell.
    """

    rises: tuple[Rise, ...]
    shape: tuple[int, ...]
    whole: Tensor | None = None

    def __post_init__(self) -> None:
        assert self.rises
        assert all(rise.columns is None for rise in self.rises[:-1])

    @property
    def concave(self) -> bool:
        """Whether every curve is known to be concave."""
        return len(self.rises) == 1

    @property
    def count(self) -> int:
        """d, the curves of a row."""
        return self.rises[0].slope.shape[1]

    def __len__(self) -> int:
        return len(self.rises[0].slope)

    @cached_property
    def dense(self) -> "Drops":
        """The same curves, every stretch in all columns."""
        *others, last = self.rises
        if last.columns is None:
            return self
        before = others[-1].end
        whole = Rise(
            last.into(before, last.start),
            last.into(before, last.end),
            last.into(torch.zeros_like(before), last.slope),
        )
        return Drops((*others, whole), self.shape, self.whole)

    @cached_property
    def tops(self) -> tuple[Tensor, ...]:
        """The curves of each stretch at its end, shaped like the stretch."""
        tops = [self.rises[0].height]
        for rise in self.rises[1:]:
            tops.append(rise.of(tops[-1]) + rise.height)
        return tuple(tops)

    @cached_property
    def top(self) -> Tensor:
        """The curves at the end of their last stretch, (n, d)."""
        last = self.rises[-1]
        return self.tops[-1] if last.columns is None else last.into(self.tops[-2], self.tops[-1])

    @cached_property
    def intercepts(self) -> tuple[Tensor, ...]:
        """The line of each stretch but the first, at 0, shaped like the stretch."""
        later = zip(self.tops[:-1], self.rises[1:], strict=True)
        return tuple(rise.of(below) - rise.slope * rise.start for below, rise in later)

    @cached_property
    def chord(self) -> Tensor:
        """``sup over t of h_i(t) / t``, (n, d): the first slope of each curve's concave envelope."""
        chord = self.tops[0] / self.rises[0].end.clamp_min(TINY)
        for top, rise in zip(self.tops[1:], self.rises[1:], strict=True):
            larger = torch.maximum(rise.of(chord), top / rise.end.clamp_min(TINY))
            chord = rise.into(chord, larger)
        return chord

    @cached_property
    def steepest(self) -> Tensor:
        """The largest slope of each curve, (n, d)."""
        steepest = self.rises[0].slope
        for rise in self.rises[1:]:
            steepest = rise.into(steepest, torch.maximum(rise.of(steepest), rise.slope))
        return steepest

    @cached_property
    def last(self) -> Tensor:
        """(n, d): where each curve ends to rise; more than ``FAR / 2`` where it never does."""
        last = torch.zeros_like(self.rises[0].end)
        for rise in self.rises:
            end = rise.end * (rise.slope > 0).to(last.dtype)
            last = rise.into(last, torch.maximum(rise.of(last), end))
        return last

    @cached_property
    def reach(self) -> Tensor:
        """(n,): where the last curve of each row ends to rise."""
        return self.last.amax(1)

    @cached_property
    def endless(self) -> bool:
        """Whether some curve never ends."""
        return bool((self.reach >= FAR / 2).any())

    @cached_property
    def tail(self) -> Tensor:
        """(n,): the largest slope that never ends."""
        if not self.endless:
            return torch.zeros_like(self.reach)
        return torch.stack([(rise.slope * rise.endless).amax(1) for rise in self.rises]).amax(0)

    def at(self, t: Tensor) -> Tensor:
        """``h_i(t)`` with one finite ``t`` per row, (n,) -> (n, d)."""
        step = t[:, None]
        total = self.rises[0].slope * torch.minimum(self.rises[0].end, step)
        for rise in self.rises[1:]:
            total = rise.add(total, torch.minimum(rise.end, step) - torch.minimum(rise.start, step))
        return total

    def slope_at(self, t: Tensor) -> Tensor:
        """The right derivative of ``h_i`` at ``t``, (n,) -> (n, d)."""
        step, total = t[:, None], torch.zeros_like(self.rises[0].slope)
        for rise in self.rises:
            within = (rise.start <= step) & (step < rise.end)
            total = rise.add(total, within.to(total.dtype))
        return total

    def total(self) -> Tensor:
        """``h_i(inf)``, (n, d); inf where the curve never ends."""
        if self.whole is not None:
            return self.whole
        if not self.endless:
            return self.top
        total = self.top
        for rise in self.rises:
            total = rise.into(total, rise.of(total).masked_fill(rise.endless, torch.inf))
        return total

    def within(self, limit: Tensor) -> "Drops":
        """The curves cut off, flat, after ``limit`` (n,) >= 0."""
        end = limit[:, None]
        cut = [
            replace(
                rise,
                start=torch.minimum(rise.start, end) if k else rise.start,
                end=torch.minimum(rise.end, end),
            )
            for k, rise in enumerate(self.rises)
        ]
        return Drops(tuple(cut), self.shape)

    def rows(self, index: Tensor | slice) -> "Drops":
        """Some of the rows."""
        rises = (Rise(r.start[index], r.end[index], r.slope[index], r.columns) for r in self.rises)
        return Drops(tuple(rises), self.shape, None if self.whole is None else self.whole[index])

    def columns(self, index: Tensor) -> "Drops":
        """Some of the curves of each row, (n, k) of indices; the shape is that of k loose numbers."""
        rises = (
            Rise(*(part.gather(1, index) for part in (r.start, r.end, r.slope)))
            for r in self.dense.rises
        )
        whole = None if self.whole is None else self.whole.gather(1, index)
        return Drops(tuple(rises), (index.shape[1],), whole)

    def steeper(self, power: Tensor) -> "Drops":
        """The curves times ``2^power``, integers (n,)."""
        rises = (replace(rise, slope=times_power(rise.slope, power)) for rise in self.rises)
        whole = None if self.whole is None else times_power(self.whole, power)
        return Drops(tuple(rises), self.shape, whole)

    def longer(self, power: Tensor) -> "Drops":
        """The curves with budgets times ``2^power``, integers (n,): ends grow, slopes fall."""
        rises = []
        for rise in self.rises:
            far = (rise.end >= FAR / 2, rise.start >= FAR / 2)
            end, start = (
                times_power(at, power).clamp_max(FAR).masked_fill(out, FAR)
                for at, out in zip((rise.end, rise.start), far, strict=True)
            )
            slope = times_power(rise.slope, -power)
            rises.append(Rise(start, end, slope, rise.columns))
        return Drops(tuple(rises), self.shape, self.whole)

    def stretched(self, cost: Tensor) -> "Drops":
        """The curves ``h_i(t / price_i)``, (d,) positive and finite: those of costs, from those without.

        What a curve gains in all does not depend on its cost, and a slope that underflows is not zero.
        """
        rises: list[Rise] = []
        for k, rise in enumerate(self.dense.rises):
            end = _further(rise.end, cost)
            start = torch.minimum(_further(rise.start, cost), end) if k else rise.start
            slope = (rise.slope / cost).clamp_min(LEAST_SLOPE)
            # Where nothing moves, no cost matters, however small.
            rises.append(Rise(start, end, slope.where((rise.slope > 0) & (end > start), 0.0)))
        return Drops(tuple(rises), self.shape, self.total())


def times_power(values: Tensor, power: Tensor) -> Tensor:
    """Rows times ``2^power``, integers (n,): exact, in two steps, as one factor might be no number."""
    half = torch.div(power, 2, rounding_mode="trunc")
    for part in (half, power - half):
        values = values * torch.exp2(part.double()).reshape(-1, *[1] * (values.ndim - 1))
    return values


def _further(at: Tensor, cost: Tensor) -> Tensor:
    """``at * cost``, ``FAR`` where that is far out, positive where ``at`` is."""
    far = torch.where(at > 0, (at * cost).clamp_min(TINY), 0.0)
    return far.masked_fill((far >= FAR / 2) | (at >= FAR / 2), FAR)
