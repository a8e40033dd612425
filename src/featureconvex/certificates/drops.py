"""Drop curves: how far an affine minorant can fall as one coordinate moves further and further.

For a minorant ``l(u) = value + <v, u - phi(x)>`` and a coordinatewise ``phi``, the fall
``l(phi(x)) - l(phi(x + delta)) = sum_i m_i(delta_i)`` is a sum over coordinates. Its curves are
``h_i(t) = max m_i(delta_i)`` over ``cost_i |delta_i| <= t`` inside the domain: nondecreasing, continuous,
``h_i(0) = 0``, piecewise linear with at most five pieces for the maps of
:mod:`featureconvex.certificates.kinked`.
"""

from dataclasses import dataclass
from functools import cached_property

import torch
from torch import Tensor

from featureconvex.certificates.kinked import KinkedForm

# Covers the rounding of sums, products and quotients of drops in float64. The network's own rounding
# is the business of level "sound".
ROUND_DOWN = 1 - 2**-40


@dataclass(frozen=True)
class Drops:
    """Curves ``h_i``, one per row and coordinate; piece k starts at ``start[k]`` with ``slope[k]``.

    All numbers are finite, so sums and products cannot make a NaN: on an unbounded domain the last
    piece simply has a positive slope, and pieces not needed have no width.

    Attributes:
        start: (pieces, n, d) float64, nondecreasing along the pieces, first 0, in budget units.
        slope: (pieces, n, d) float64, >= 0; the last one holds from its start to infinity.
        shape: shape of one input, with d numbers.
        concave: every curve is concave (known for affine maps: one slope, then flat).
    """

    start: Tensor
    slope: Tensor
    shape: tuple[int, ...]
    concave: bool = False

    @cached_property
    def value(self) -> Tensor:
        """(pieces, n, d): the curve at each start."""
        rise = self.slope[:-1] * (self.start[1:] - self.start[:-1])
        return torch.cat((torch.zeros_like(self.start[:1]), rise.cumsum(0)))

    @cached_property
    def intercept(self) -> Tensor:
        """(pieces, n, d): each piece's line at 0."""
        return self.value - self.slope * self.start

    @cached_property
    def chord(self) -> Tensor:
        """``sup over t of h_i(t) / t``, (n, d): the first slope of each curve's concave envelope."""
        ends = self.value[1:] / self.start[1:].clamp_min(torch.finfo(self.start.dtype).tiny)
        return torch.maximum(ends.amax(0), self.slope[-1])

    @cached_property
    def endless(self) -> bool:
        """Whether some curve never ends."""
        return bool((self.slope[-1] > 0).any())

    @cached_property
    def far(self) -> bool:
        """Whether powers of a start may overflow."""
        return self.endless or bool((self.start[-1] > 1e10).any())

    @cached_property
    def live(self) -> list[int]:
        """The pieces on which some curve rises."""
        width = torch.cat((self.start[1:] - self.start[:-1], torch.ones_like(self.start[:1])))
        rises = ((self.slope > 0) & (width > 0)).flatten(1).any(1)
        return [k for k, alive in enumerate(rises.tolist()) if alive]

    def __len__(self) -> int:
        return self.start.shape[1]

    def at(self, t: Tensor) -> Tensor:
        """``h_i(t)`` with one finite ``t`` per row, (n,) -> (n, d)."""
        step, total = t[:, None], torch.zeros_like(self.start[0])
        for k in self.live:
            last = k + 1 == len(self.start)
            end = step if last else torch.minimum(self.start[k + 1], step)
            total = torch.addcmul(total, self.slope[k], end - torch.minimum(self.start[k], step))
        return total

    def slope_at(self, t: Tensor) -> Tensor:
        """The right derivative of ``h_i`` at ``t``, (n,) -> (n, d)."""
        step = t[:, None]
        total = self.slope[0]
        for k in range(1, len(self.start)):
            total = torch.lerp(total, self.slope[k], (self.start[k] <= step).to(total.dtype))
        return total

    def total(self) -> Tensor:
        """``h_i(inf)``, (n, d); inf where the curve never ends."""
        return self.value[-1].where(self.slope[-1] == 0, torch.inf)

    def within(self, limit: Tensor) -> "Drops":
        """The curves cut off, flat, behind ``limit`` (n,) >= 0."""
        if self.concave:
            unbounded = self.slope[-1] > 0
            end = torch.where(
                unbounded, limit[:, None], torch.minimum(self.start[1], limit[:, None])
            )
            first = self.slope[0]
            return Drops(
                torch.stack((self.start[0], end)),
                torch.stack((first, torch.zeros_like(first))),
                self.shape,
                concave=True,
            )
        end = limit[:, None].expand(self.start.shape[1:])
        start = torch.cat((torch.minimum(self.start, end), end[None]))
        slope = torch.cat((self.slope, torch.zeros_like(self.slope[:1])))
        return Drops(start, slope, self.shape)

    def rows(self, index: Tensor | slice) -> "Drops":
        """Some of the rows."""
        return Drops(self.start[:, index], self.slope[:, index], self.shape, self.concave)

    def columns(self, index: Tensor) -> "Drops":
        """Some of the curves of each row, (n, k) of indices; the shape is that of k loose numbers."""
        wide = index.expand(len(self.start), *index.shape)
        start, slope = self.start.gather(2, wide), self.slope.gather(2, wide)
        return Drops(start, slope, (index.shape[1],), self.concave)


def movement_room(x: Tensor, lo: Tensor, hi: Tensor, cost: Tensor | None) -> tuple[Tensor, Tensor]:
    """How far each coordinate can fall and rise inside ``[lo, hi]``: two (n, ...) float64, >= 0.

    In input units, not budget units. 0 for coordinates of infinite cost; an input outside its domain
    counts as on the border (its status says that nothing is claimed).
    """
    x = x.double()
    down, up = (x - lo.double()).clamp_min(0), (hi.double() - x).clamp_min(0)
    if cost is not None:
        fixed = torch.isinf(cost).to(x.device)
        down, up = (room.masked_fill(fixed, 0.0) for room in (down, up))
    return down, up


def separable_drops(
    form: KinkedForm, x: Tensor, lo: Tensor, hi: Tensor, cost: Tensor | None = None
) -> Drops:
    """The curves of a minorant with the given form, for an attacker at ``x`` inside ``[lo, hi]``.

    Args:
        form: coefficients, (n, ...).
        x: (n, ...), any float dtype.
        lo: lower ends, (n, ...), ``-inf`` for none.
        hi: upper ends.
        cost: positive, broadcastable to one input, ``inf`` for coordinates that cannot change.
    """
    down, up = (room.flatten(1) for room in movement_room(x, lo, hi, cost))
    if form.b is None or form.z is None:
        start, slope = _one_way(form.w.flatten(1), down, up)
    else:
        kink = (form.z.to(x.device) - x.double()).flatten(1)
        start, slope = _two_ways(form.w.flatten(1), form.b.flatten(1), kink, down, up)
    if cost is not None:
        price = torch.where(torch.isinf(cost), 1.0, cost).to(x.device)
        price = price.expand(x.shape).flatten(1)
        start, slope = start * price, slope / price
    return Drops(start, slope, tuple(x.shape[1:]), concave=form.b is None)


# Stands for an infinite room while curves are built: finite, so that 0 * room and room - room are numbers.
FAR = 1e120


def _one_way(w: Tensor, down: Tensor, up: Tensor) -> tuple[Tensor, Tensor]:
    """``m(delta) = -w delta``: only the direction against the sign of ``w`` pays."""
    steep, zero = w.abs(), torch.zeros_like(w)
    end = _pick(w > 0, down.clamp_max(FAR), up.clamp_max(FAR))
    return _finite(zero, steep, (end,), (zero,))


def _two_ways(
    w: Tensor, b: Tensor, kink: Tensor, down: Tensor, up: Tensor
) -> tuple[Tensor, Tensor]:
    """``m(delta) = -w delta - b (|delta - kink| - |kink|)``: the larger of two running maxima.

    Away from the kink ``m`` has slope ``away``; towards it ``-away``, and ``beyond`` behind it.
    """
    down, up = down.clamp_max(FAR), up.clamp_max(FAR)
    left = kink < 0
    room_away, room_toward = _pick(left, up, down), _pick(left, down, up)
    tilt = _pick(left, -w, w)
    away, beyond = tilt - b, -tilt - b
    distance, rise = kink.abs(), beyond.clamp_min(0)
    zero = torch.zeros_like(w)
    # away <= 0: towards the kink it pays first, and the other direction never does.
    outward = away > 0
    first = _pick(outward, room_away, torch.minimum(distance, room_toward))
    second = _pick(outward, zero, rise)
    # away > 0: the line behind the kink pays from `root` on, and may overtake the first one.
    steep, lift = away.clamp_min(LEAST), rise.clamp_min(LEAST)
    root = distance * (1 + steep / lift)
    top = rise * (room_toward - root)
    overtakes = outward & (top > away * torch.minimum(room_toward, room_away))
    if not bool(overtakes.any()):
        end = _pick(outward, room_away, room_toward)
        return _finite(zero, away.abs(), (first, end), (second, zero))
    sloped = rise * root / (rise - away).clamp_min(LEAST)
    early = overtakes & (rise > away) & (sloped <= room_away)
    late = overtakes & ~early
    # early: away, rise, 0, away again, 0.  late: away, 0, rise, 0.  else: |away|, second, 0.
    waits = _pick(late, root + away * room_away / lift, room_toward)
    if not bool(early.any()):
        starts = _ordered(first, waits, room_toward)
        return _finite(zero, away.abs(), starts, (second, _pick(late, rise, zero), zero))
    again = torch.maximum(room_toward, torch.minimum(top / steep, room_away))
    longest = torch.maximum(room_toward, room_away)
    starts = _ordered(
        _pick(early, sloped.clamp_max(FAR), first),
        waits,
        _pick(early, again, room_toward),
        _pick(early, longest, room_toward),
    )
    slopes = (_pick(early, rise, second), _pick(late, rise, zero), _pick(early, away, zero), zero)
    return _finite(zero, away.abs(), starts, slopes)


# Slopes below this count as 0, far below anything a float32 network computes.
LEAST = 1e-60


def _pick(mask: Tensor, yes: Tensor, no: Tensor) -> Tensor:
    """``torch.where`` on finite numbers, several times faster on masks that look random.

    A blend by exactly 0 or 1 returns exactly one of the two.
    """
    return torch.lerp(no, yes, mask.to(no.dtype))


def _ordered(*starts: Tensor) -> tuple[Tensor, ...]:
    """Rounding cannot put a piece before the one in front of it."""
    out = [starts[0]]
    for start in starts[1:]:
        out.append(torch.maximum(start, out[-1]))
    return tuple(out)


def _finite(
    zero: Tensor, first: Tensor, starts: tuple[Tensor, ...], slopes: tuple[Tensor, ...]
) -> tuple[Tensor, Tensor]:
    """Stack the pieces; one that would start far out continues the piece before it instead."""
    start, slope = [zero, *starts], [first, *slopes]
    if bool((starts[-1] >= FAR / 2).any()):
        for k in range(1, len(start)):
            never = start[k] >= FAR / 2
            start[k] = torch.where(never, start[k - 1], start[k])
            slope[k] = torch.where(never, slope[k - 1], slope[k])
    return torch.stack(start), torch.stack(slope)
