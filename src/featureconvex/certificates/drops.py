"""Drop curves: how far an affine minorant can fall as one coordinate moves further and further.

For a minorant ``l(u) = value + <v, u - phi(x)>`` and a coordinatewise ``phi``, the fall
``l(phi(x)) - l(phi(x + delta)) = sum_i m_i(delta_i)`` is a sum over coordinates. Its curves are
``h_i(t) = max m_i(delta_i)`` over ``cost_i |delta_i| <= t`` inside the domain: nondecreasing, continuous,
``h_i(0) = 0``, piecewise linear with at most five pieces for the maps of :func:`kinked_form`.
"""

from dataclasses import dataclass
from functools import cached_property

import torch
from torch import Tensor

from featureconvex.features import AbsConcat, Center, Compose, FeatureMap, Identity, Scale

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

    def __len__(self) -> int:
        return self.start.shape[1]

    def at(self, t: Tensor) -> Tensor:
        """``h_i(t)`` with one finite ``t`` per row, (n,) -> (n, d)."""
        step = t[:, None]
        total = self.slope[-1] * (step - self.start[-1]).clamp_min(0)
        for k in range(len(self.start) - 1):
            inside = torch.minimum(self.start[k + 1], step) - torch.minimum(self.start[k], step)
            total = torch.addcmul(total, self.slope[k], inside)
        return total

    def slope_at(self, t: Tensor) -> Tensor:
        """The right derivative of ``h_i`` at ``t``, (n,) -> (n, d)."""
        step = t[:, None]
        total = self.slope[0]
        for k in range(1, len(self.start)):
            change = self.slope[k] - self.slope[k - 1]
            total = torch.addcmul(total, change, (self.start[k] <= step).double())
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


@dataclass(frozen=True)
class KinkedForm:
    """``<v, phi(x + delta) - phi(x)> = sum_i w_i delta_i + b_i (|x_i + delta_i - z_i| - |x_i - z_i|)``.

    Attributes:
        w: (n, ...) float64 in the shape of x, differentiable in ``v``.
        b: likewise; None for an affine map.
        z: the kinks, broadcastable to one input; None for an affine map.
    """

    w: Tensor
    b: Tensor | None = None
    z: Tensor | None = None


def kinked_form(feature_map: FeatureMap, v: Tensor) -> KinkedForm | None:
    """The map's separable form under the slope ``v``, or None for a map this file does not know.

    Known: every affine map (under one slope even a rotation is separable), and an
    :class:`AbsConcat` with diagonal maps in front of it and affine ones behind. In front,
    ``|s x + t| = |s| |x + t / s|`` moves the scale into the coefficients. Exactly these classes: a
    subclass may override ``forward``, and has its Lipschitz constant.
    """
    parts = feature_map.parts() if type(feature_map) is Compose else [feature_map]
    v = v.double()
    while parts and parts[-1].affine:
        v = parts.pop().pullback(v)
    if not parts:
        return KinkedForm(v)
    if type(parts.pop()) is not AbsConcat or not all(type(part) in _DIAGONAL for part in parts):
        return None
    w, b = v.chunk(2, dim=1)
    scale, shift = v.new_ones(()), v.new_zeros(())
    for part in parts:
        if isinstance(part, Scale):
            scale, shift = part.scale * scale, part.scale * shift + part.shift
    # A coordinate of scale 0 never moves, wherever its kink is put.
    kink = -shift / torch.where(scale == 0, 1.0, scale)
    return KinkedForm(w * scale, b * scale.abs(), kink)


_DIAGONAL = (Identity, Scale, Center)


def movement_room(x: Tensor, lo: Tensor, hi: Tensor, cost: Tensor | None) -> tuple[Tensor, Tensor]:
    """How far each coordinate can fall and rise inside ``[lo, hi]``: two (n, ...) float64, >= 0.

    In input units, not budget units. 0 for coordinates of infinite cost; an input outside its domain counts as on the border (its
    status says that nothing is claimed).
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


def _one_way(w: Tensor, down: Tensor, up: Tensor) -> tuple[Tensor, Tensor]:
    """``m(delta) = -w delta``: only the direction against the sign of ``w`` pays."""
    falls = (w > 0).double()
    end = torch.nan_to_num(down, posinf=-1.0) * falls + torch.nan_to_num(up, posinf=-1.0) * (
        1 - falls
    )
    steep = w.abs()
    unbounded = end < 0
    tail = steep * unbounded
    return torch.stack((torch.zeros_like(end), end.clamp_min(0))), torch.stack((steep, tail))


def _two_ways(
    w: Tensor, b: Tensor, kink: Tensor, down: Tensor, up: Tensor
) -> tuple[Tensor, Tensor]:
    """``m(delta) = -w delta - b (|delta - kink| - |kink|)``: the larger of two running maxima.

    Away from the kink ``m`` has slope ``away``; towards it ``-away``, and ``beyond`` behind it.
    """
    side = torch.where(kink < 0, -1.0, 1.0)
    distance = kink.abs()
    room_away = torch.where(kink < 0, up, down)
    room_toward = torch.where(kink < 0, down, up)
    away, beyond = side * w - b, -side * w - b
    reached = torch.minimum(distance, room_toward)
    rise = beyond.clamp_min(0)
    # away <= 0: towards the kink it pays first, and the other direction never does.
    first = torch.where(away > 0, room_away, reached)
    plain_start = (first, torch.where(away > 0, room_away, room_toward))
    plain_slope = (torch.where(away > 0, 0.0, rise), torch.zeros_like(rise))
    # away > 0: the line behind the kink pays from `zero` on, and may overtake the first one.
    steep = away.clamp_min(torch.finfo(away.dtype).tiny)
    lift = rise.clamp_min(torch.finfo(away.dtype).tiny)
    zero = distance * (1 + away / lift)
    top = rise * (room_toward - zero)
    shorter = torch.minimum(room_toward, room_away)
    overtakes = (away > 0) & (rise > 0) & (room_toward > zero)
    endless = torch.isinf(shorter)
    overtakes &= torch.where(endless, rise > away, top > away * torch.where(endless, 0.0, shorter))
    gain = (rise - away).clamp_min(torch.finfo(away.dtype).tiny)
    sloped = rise * zero / gain
    early = (rise > away) & (sloped <= room_away)
    flat_cross = zero + away * torch.where(torch.isinf(room_away), 0.0, room_away) / lift
    cross = torch.where(early, sloped, flat_cross)
    again = torch.maximum(room_toward, torch.minimum(top / steep, room_away))
    longest = torch.maximum(room_toward, room_away)
    null = torch.zeros_like(away)
    starts = (
        torch.where(overtakes, torch.where(early, cross, room_away), plain_start[0]),
        torch.where(overtakes, torch.where(early, room_toward, cross), plain_start[1]),
        torch.where(overtakes, torch.where(early, again, room_toward), plain_start[1]),
        torch.where(overtakes, torch.where(early, longest, room_toward), plain_start[1]),
    )
    slopes = (
        torch.where(overtakes, torch.where(early, rise, null), plain_slope[0]),
        torch.where(overtakes, torch.where(early, null, rise), null),
        torch.where(overtakes & early, away, null),
        null,
    )
    return _finite(null, away.abs(), starts, slopes)


def _finite(
    zero: Tensor, first: Tensor, starts: tuple[Tensor, ...], slopes: tuple[Tensor, ...]
) -> tuple[Tensor, Tensor]:
    """Stack the pieces; one that would start at infinity continues the piece before it instead."""
    start, slope = [zero], [first]
    for begin, pitch in zip(starts, slopes, strict=True):
        never = torch.isinf(begin)
        start.append(torch.where(never, start[-1], begin))
        slope.append(torch.where(never, slope[-1], pitch))
    return torch.stack(start), torch.stack(slope)
