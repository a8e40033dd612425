"""Upper bounds on how far a sound line can fall inside a domain, for one budget.

On each side of x the fall of one coordinate, as a function of the budget ``t = cost |delta|`` it takes, is

    f(t) = first t  for t <= kink,    first kink + second (t - kink)  beyond,     0 <= t <= room,

with coefficients rounded so that the bound only grows. A linear piece is largest at one of its ends,
so ``max f`` over ``[0, T]`` needs two values.
"""

from dataclasses import dataclass

import torch
from torch import Tensor

from featureconvex.certificates.drops import Drops
from featureconvex.certificates.rounding.directed import FLOAT64, TINY, upper
from featureconvex.certificates.rounding.kinks import Kinked

U = FLOAT64.unit


@dataclass(frozen=True)
class Fall:
    """The curves of n rows and d coordinates, (2, n, d): index 0 for growing, 1 for shrinking.

    Attributes:
        first, second: slopes, rounded up.
        kink: where the second piece begins, inf for none; exact up to ``4 u`` relative.
        room: the end of the domain, rounded up; 0 for coordinates that cannot change.
        shape: of one input.
    """

    first: Tensor
    second: Tensor
    kink: Tensor
    room: Tensor
    shape: tuple[int, ...]

    def most(self, budget: Tensor | None = None) -> Tensor:
        """(n, d): at least ``h_i(budget)``, budget (n,); None for an unlimited one."""
        end = self.room if budget is None else torch.minimum(self.room, budget[:, None])
        near = _gain(self.first, torch.minimum(end, self.kink))
        far = torch.where(
            self._passed(end) & (self.second > 0), self._at_kink() + _gain(self.second, end), near
        )
        return upper(torch.maximum(near, far).amax(0), 4, (end > 0).any(0))

    def _passed(self, end: Tensor) -> Tensor:
        """Whether the second piece may have begun, for all the exact kink can be."""
        return end >= self.kink * (1 - 16 * U)

    def _at_kink(self) -> Tensor:
        """At least ``(first - second) kink``: with ``+ second t``, the second piece. 0 without kink."""
        kink = self.kink.where(torch.isfinite(self.kink), 0.0)
        change = (self.first - self.second) * kink
        return change + (self.first.abs() + self.second.abs()) * kink * (64 * U)

    def totals(self, reach: float) -> Drops:
        """Curves that rise at once to the most a coordinate can fall; inf where it moves beyond ``reach``.

        Sums of d of them, in any order, are upper bounds.
        """
        beyond = (self.room > reach).any(0)
        count = self.first.shape[2]
        most = self.most()
        most = upper(most, 2 * count, most > 0)
        endless = torch.isinf(most) | beyond | torch.isnan(most)
        zero = torch.zeros_like(most)
        return Drops(
            torch.stack((zero, most.masked_fill(endless, 0.0))),
            torch.stack((torch.ones_like(most), endless.double())),
            self.shape,
            concave=True,
        )

    def penalised(self, budget: Tensor, lam: Tensor, p: float) -> Tensor:
        """(n,): at least ``sum_i max over t in [0, budget] of h_i(t) - lam t^p``."""
        end = torch.minimum(self.room, budget[:, None])
        price = lam[:, None]
        turn = torch.minimum(self.kink, end)
        zero = torch.zeros_like(end)
        near = _piece(zero, self.first, zero, turn, price, p)
        far = _piece(self._at_kink(), self.second, turn, end, price, p)
        best = torch.maximum(near, far.where(self._passed(end), 0.0)).clamp_min(0).amax(0)
        return upper(best.sum(1), best.shape[1])


def _gain(slope: Tensor, t: Tensor) -> Tensor:
    """At least ``max(slope, 0) t``, with ``0 * inf = 0``."""
    rising = slope.clamp_min(0)
    return torch.where((rising > 0) & (t > 0), rising * t, 0.0) * (1 + 8 * U)


def _piece(base: Tensor, slope: Tensor, lo: Tensor, hi: Tensor, price: Tensor, p: float) -> Tensor:
    """At least the maximum of the concave ``base + slope t - price t^p`` over ``[lo, hi]``.

    A concave function lies below its tangent at any ``t``: its maximum is at most its value there plus
    the tangent's rise to one of the ends. At the stationary point the rise is rounding only.
    """
    rising = slope.clamp_min(0)
    if p == 1:
        t = hi
        power, pitch = t, torch.ones_like(t)
    else:
        t = (rising / (price * p)) ** (1 / (p - 1))
        t = torch.maximum(torch.minimum(t, hi), lo)
        power, pitch = t**p, p * t ** (p - 1)
    value = base + slope * t - price * power
    value = value + 64 * U * (base.abs() + slope.abs() * t + price * power)
    steep = slope - price * pitch
    error = 64 * U * (slope.abs() + price * pitch)
    rise = torch.maximum((steep + error) * (hi - t), (error - steep) * (t - lo)).clamp_min(0)
    return value + rise * (1 + 8 * U)


def fall_of(form: Kinked, x: Tensor, lo: Tensor, hi: Tensor, cost: Tensor | None) -> Fall:
    """The curves for attackers at ``x`` (n, ...) in ``[lo, hi]``; ``cost`` as in a threat.

    All tensors float64 and taken as exact numbers.
    """
    shape = tuple(x.shape[1:])
    room = torch.stack([_room(hi, x), _room(x, lo)]).flatten(2)
    size = form.w.abs() + form.slack
    if form.b is None or form.z is None:
        first = torch.stack([form.slack - form.w, form.slack + form.w])
        second, kink = first, torch.full_like(room, torch.inf)
    else:
        b, size = form.b, size + form.b.abs()
        right = x >= form.z
        outward = torch.where(right, b, -b)  # |x + delta - z| grows by this sign as x grows
        up, down = form.slack - form.w - outward, form.slack + form.w + outward
        first = torch.stack([up, down])
        second = torch.stack([form.slack - form.w - b, form.slack + form.w - b])
        # No kink where x moves away from it.
        far = (x - form.z).abs()
        never = torch.full_like(far, torch.inf)
        kink = torch.stack([never.where(right, far), far.where(right, never)]).flatten(2)
    margin = 16 * U * size.flatten(1)
    first, second = first.flatten(2) + margin, second.flatten(2) + margin
    if cost is not None:
        fixed = torch.isinf(cost).to(x.device).expand(x.shape).flatten(1)
        price = cost.to(x.device).expand(x.shape).flatten(1).masked_fill(fixed, 1.0)
        first, second = (_dearer(part, price) for part in (first, second))
        room = upper(room * price, 2, room > 0).masked_fill(fixed, 0.0)
        kink = kink * price
    return Fall(first, second, kink, room, shape)


def _dearer(slope: Tensor, price: Tensor) -> Tensor:
    """At least ``slope / price``; positive where the slope is."""
    quotient = slope / price
    return quotient + quotient.abs() * (4 * U) + (slope > 0).double() * TINY


def _room(hi: Tensor, lo: Tensor) -> Tensor:
    """At least ``hi - lo``; 0 where they are equal."""
    gap = (hi - lo).clamp_min(0)
    return torch.where(gap > 0, torch.nextafter(gap, torch.full_like(gap, torch.inf)), gap)
