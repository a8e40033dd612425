"""Upper bounds on how far a sound line can fall inside a domain, for one budget.

On a side of x the fall of one coordinate, as a function of the budget ``t = cost |delta|`` it takes, is

    f(t) = first t  for t <= kink,    first kink + second (t - kink)  beyond,     0 <= t <= room,

with coefficients rounded so that the bound only grows. A linear piece is largest at one of its ends,
so ``max f`` over ``[0, T]`` needs two values. An affine map has no kink and one side that pays.
"""

from dataclasses import dataclass

import torch
from torch import Tensor

from featureconvex.certificates.drops import FAR, RoundedUp
from featureconvex.certificates.levels.sound.kinks import Kinked
from featureconvex.rounding.directed import FLOAT64, TINY, upper

U = FLOAT64.unit


@dataclass(frozen=True)
class Turn:
    """The second pieces, (2, n, d).

    Attributes:
        kink: where they begin, inf for none; exact up to ``4 u`` relative.
        slope: rounded up.
        base: at least ``(first - slope) kink``, so that the piece is ``base + slope t``.
    """

    kink: Tensor
    slope: Tensor
    base: Tensor

    def passed(self, end: Tensor) -> Tensor:
        """Whether the piece may have begun at ``end``, for all the exact kink can be."""
        return end >= self.kink * (1 - 16 * U)


@dataclass(frozen=True)
class Fall:
    """The curves of n rows and d coordinates; the first dimension holds the sides that can pay.

    Attributes:
        slope: (sides, n, d), of the first pieces, rounded up.
        room: (sides, n, d), the end of the domain, rounded up; 0 for coordinates that cannot change.
        turn: the second pieces; None for affine maps.
        farthest: (n, d), at least how far ``|delta|`` can get, not in budget units.
        shape: of one input.
    """

    slope: Tensor
    room: Tensor
    turn: Turn | None
    farthest: Tensor
    shape: tuple[int, ...]

    def scaled(self, unit: Tensor) -> "Fall":
        """The same curves with budgets in units of powers of two, (n,)."""
        wide = unit[:, None]
        turn = self.turn
        if turn is not None:
            turn = Turn(turn.kink / wide, turn.slope * wide, turn.base)
        return Fall(self.slope * wide, self.room / wide, turn, self.farthest, self.shape)

    def most(self, budget: Tensor | None = None) -> Tensor:
        """(n, d): at least ``h_i(budget)``, budget (n,); None for an unlimited one."""
        end = self.room if budget is None else torch.minimum(self.room, budget[:, None])
        turn = self.turn
        if turn is None:
            return upper(_gain(self.slope, end)[0], 4, end[0] > 0)
        near = _gain(self.slope, torch.minimum(end, turn.kink))
        pays = turn.passed(end) & (turn.slope > 0)
        far = torch.where(pays, turn.base + _gain(turn.slope, end), near)
        return upper(torch.maximum(near, far).amax(0), 4, (end > 0).any(0))

    def totals(self, reach: float) -> Tensor:
        """(n, d): the most each coordinate can fall, inf where it moves beyond ``reach``.

        Sums of d of them, in any order, are upper bounds.
        """
        most = _for_sums(self.most())
        return most.masked_fill(~(most < FAR / 2) | (self.farthest > reach), torch.inf)

    def penalised(self, budget: Tensor, lam: Tensor, p: float) -> Tensor:
        """(n,): at least ``sum_i max over t in [0, budget] of h_i(t) - lam t^p``."""
        end, multiplier = torch.minimum(self.room, budget[:, None]), lam[:, None]
        zero, turn = torch.zeros((), dtype=torch.float64, device=end.device), self.turn
        if turn is None:
            best = _piece(zero, self.slope, zero, end, multiplier, p)
        else:
            middle = torch.minimum(turn.kink, end)
            near = _piece(zero, self.slope, zero, middle, multiplier, p)
            far = _piece(turn.base, turn.slope, middle, end, multiplier, p)
            best = torch.maximum(near, far.where(turn.passed(end), 0.0))
        return upper(best.clamp_min(0).amax(0).sum(1), best.shape[2])


@dataclass(frozen=True)
class RoundedCurves(RoundedUp):
    """The curves of a fall, as a threat asks for them: sums of d values, in any order, are upper bounds.

    Attributes:
        fall: the curves, in budget units.
        whole: (n, d), what they gain in all.
        reach: a coordinate may not move further than this.
        cheapest: the least cost of a coordinate, at most 1.
    """

    fall: Fall
    whole: Tensor
    reach: float
    cheapest: float = 1.0

    @property
    def shape(self) -> tuple[int, ...]:  # type: ignore[override]
        """Of one input."""
        return self.fall.shape

    def at(self, t: Tensor) -> Tensor:
        """At least ``h_i(t)``, inf where a coordinate may move beyond the reach."""
        far = (self.fall.farthest > self.reach) & (t > self.reach * self.cheapest)[:, None]
        return _for_sums(self.fall.most(t)).masked_fill(far, torch.inf)

    def total(self) -> Tensor:
        """At least ``h_i(inf)``."""
        return self.whole

    def taxed(self, budget: Tensor, price: Tensor) -> Tensor:
        """At least ``sum_i max h_i(t) - price t``, inf where a coordinate may move beyond the reach."""
        far = (self.fall.farthest > self.reach).any(1) & (budget > self.reach * self.cheapest)
        return self.fall.penalised(budget, price, 1.0).masked_fill(far, torch.inf)


def _for_sums(most: Tensor) -> Tensor:
    return upper(most, 2 * most.shape[1], most > 0)


def _gain(slope: Tensor, t: Tensor) -> Tensor:
    """At least ``max(slope, 0) t``, with ``0 * inf = 0``."""
    return torch.where((slope > 0) & (t > 0), slope * t, 0.0).mul_(1 + 8 * U)


def _piece(
    base: Tensor, slope: Tensor, lo: Tensor, hi: Tensor, multiplier: Tensor, p: float
) -> Tensor:
    """At least the maximum of the concave ``base + slope t - multiplier t^p`` over ``[lo, hi]``.

    A concave function lies below its tangent at any ``t``: its maximum is at most its value there plus
    the tangent's rise to one of the ends. At the stationary point the rise is rounding only.
    """
    if p == 1:
        t = hi
        toll, pitch = multiplier * t, multiplier
    else:
        rate = slope.clamp_min(0) / (multiplier * p)
        t = rate if p == 2 else rate ** (1 / (p - 1))
        t = torch.maximum(torch.minimum(t, hi), lo)
        pitch = multiplier * (2 * t if p == 2 else p * t ** (p - 1))
        toll = multiplier * (t * t if p == 2 else t**p)
    way = slope * t
    value = base + way - toll + (64 * U) * (base.abs() + way.abs() + toll)
    steep, error = slope - pitch, (64 * U) * (slope.abs() + pitch)
    rise = torch.maximum((steep + error) * (hi - t), (error - steep) * (t - lo)).clamp_min(0)
    return value.add_(rise, alpha=1 + 8 * U)


def fall_of(form: Kinked, x: Tensor, lo: Tensor, hi: Tensor, cost: Tensor | None) -> Fall:
    """The curves for attackers at ``x`` (n, ...) in ``[lo, hi]``; ``cost`` as in a threat.

    All tensors float64 and taken as exact numbers.
    """
    shape = tuple(x.shape[1:])
    costs = fixed = None
    if cost is not None:
        cost = cost.to(x.device).expand(x.shape).flatten(1)
        # Where the domain leaves no room no cost matters, however small.
        fixed = torch.isinf(cost) | ((lo >= x) & (x >= hi)).flatten(1)
        costs = cost.masked_fill(fixed, 1.0)

    def scaled(room: Tensor) -> Tensor:
        if costs is None or fixed is None:
            return room
        return upper(room * costs, 2, room > 0).masked_fill(fixed, 0.0)

    up, down = room_between(hi, x).flatten(1), room_between(x, lo).flatten(1)
    farthest = torch.maximum(up, down)
    farthest = farthest if fixed is None else farthest.masked_fill(fixed, 0.0)
    w, slack = form.w.flatten(1), form.slack.flatten(1)
    if form.b is None or form.z is None:
        size = w.abs()
        slope = size + slack
        slope = slope.mul_(1 + 4 * U)
        room = torch.where(w > 0, down, up)
        room = torch.where(slack > size, torch.maximum(up, down), room)
        return Fall(_dearer(slope, costs)[None], scaled(room)[None], None, farthest, shape)
    b, gap = form.b.flatten(1), (x - form.z).flatten(1)
    right = gap >= 0
    outward = torch.where(right, b, -b)  # |x + delta - z| grows by this sign as x grows
    margin = 16 * U * (w.abs() + b.abs() + slack)
    first = torch.stack([slack - w - outward, slack + w + outward]).add_(margin)
    second = torch.stack([slack - w - b, slack + w - b]).add_(margin)
    # No kink where x moves away from it.
    kink = torch.stack(
        [gap.abs().masked_fill(right, torch.inf), gap.masked_fill(~right, torch.inf)]
    )
    first, second = _dearer(first, costs), _dearer(second, costs)
    kink = kink if costs is None else kink * costs
    met = kink.masked_fill(torch.isinf(kink), 0.0)
    base = (first - second) * met + (first.abs() + second.abs()) * met * (64 * U)
    room = torch.stack([scaled(up), scaled(down)])
    return Fall(first, room, Turn(kink, second, base), farthest, shape)


def _dearer(slope: Tensor, costs: Tensor | None) -> Tensor:
    """At least ``slope / costs``; positive where the slope is."""
    if costs is None:
        return slope
    quotient = slope / costs
    raised = quotient + quotient.abs() * (4 * U) + (slope > 0).double() * TINY
    # So small a cost makes budgets that have lost their digits: nothing is proved.
    return raised.masked_fill(costs < CHEAPEST, torch.inf)


CHEAPEST = 2.0**-900


def room_between(hi: Tensor, lo: Tensor) -> Tensor:
    """At least ``hi - lo``; 0 where they are equal."""
    gap = (hi - lo).clamp_min(0)
    return torch.where(gap > 0, torch.nextafter(gap, torch.full_like(gap, torch.inf)), gap)
