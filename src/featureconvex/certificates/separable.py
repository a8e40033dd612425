"""The drop curves of minorants that are sums over coordinates, in budget units: at most three stretches.

A coordinate of cost c that may fall by ``down`` and rise by ``up`` inside the domain has a room of
``c down`` and ``c up`` in budget units, and slopes divided by c.
"""

import torch
from torch import Tensor

from featureconvex.certificates.drops import FAR, Drops, Rise, times_power
from featureconvex.features import KinkedForm

# Numbers built at a time: temporary tensors of this size stay in a core's cache and are reused.
BLOCK = 2**15
# Slopes below this count as 0, far below anything a float32 network computes.
LEAST = 1e-60
# Costs between 2^-PLAIN and 2^PLAIN are part of the curves from the start; others stretch them.
PLAIN = 40.0
# Likewise of the largest slope of a row.
STEEPEST = 100.0


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
    largest = _size(form)
    # An infinite slope has no unit near it, and proves nothing as it is.
    odd = torch.isfinite(largest) & ~((largest == 0) | (largest.log2().abs() <= STEEPEST))
    if bool(odd.any()):
        # Rows of extreme slopes in units of a power of two near them.
        power = torch.frexp(largest)[1].masked_fill(~odd, 0)
        b = None if form.b is None else times_power(form.b, -power)
        near = KinkedForm(times_power(form.w, -power), b, form.z, form.rounding, form.exact)
        return separable_drops(near, x, lo, hi, cost).steeper(power)
    if cost is not None and not is_plain(cost):
        fixed = torch.isinf(cost).to(x.device)
        ends = (torch.where(fixed, x.double(), end) for end in (lo, hi))
        costs = torch.where(torch.isinf(cost), 1.0, cost).to(x.device)
        costs = costs.expand(x.shape[1:]).reshape(-1)
        return separable_drops(form, x, *ends).stretched(costs)
    size, shape = max(1, BLOCK // max(1, x[:1].numel())), tuple(x.shape[1:])
    parts = []
    for at in range(0, max(1, len(x)), size):
        rows = slice(at, at + size)
        parts.append(_rises(form.rows(rows), x[rows], lo[rows], hi[rows], cost))
    return Drops(_stacked(parts), shape)


def _size(form: KinkedForm) -> Tensor:
    """(n,): the largest coefficient of each row."""
    parts = [part.flatten(1) for part in (form.w, form.b) if part is not None]
    return torch.stack([torch.maximum(p.amax(1), -p.amin(1)) for p in parts]).amax(0)


def is_plain(cost: Tensor | None) -> bool:
    """Whether no product or quotient with a cost can over- or underflow."""
    if cost is None:
        return True
    finite = cost[torch.isfinite(cost)]
    return bool((finite.log2().abs() <= PLAIN).all())


def _rises(
    form: KinkedForm, x: Tensor, lo: Tensor, hi: Tensor, cost: Tensor | None
) -> tuple[Rise, ...]:
    down, up = (room.flatten(1) for room in movement_room(x, lo, hi, cost))
    w = form.w.flatten(1)
    costs = None
    if cost is not None:
        costs = torch.where(torch.isinf(cost), 1.0, cost).to(x.device)
        costs = costs.expand(x.shape).flatten(1)
        w, down, up = w / costs, down * costs, up * costs
    down, up = down.clamp_max(FAR), up.clamp_max(FAR)
    if form.b is None or form.z is None:
        return _one_way(w, down, up)
    b, kink = form.b.flatten(1), (form.z.to(x.device) - x.double()).flatten(1)
    if costs is not None:
        b, kink = b / costs, kink * costs
    return _two_ways(w, b, kink, down, up)


def _stacked(parts: list[tuple[Rise, ...]]) -> tuple[Rise, ...]:
    """The blocks of rows below each other; those with fewer stretches end in empty ones."""
    longest = max(map(len, parts))
    parts = [(*part, *[_empty(part[-1])] * (longest - len(part))) for part in parts]
    columns = _few_columns([part[-1] for part in parts]) if longest > 1 else None
    first, *later = zip(*parts, strict=True)
    end, slope = _below(first, "end"), _below(first, "slope")
    rises = [Rise(_nothing(end), end, slope)]
    for k, pieces in enumerate(later, 2):
        own = columns if k == longest else None
        start, end, slope = (_below(pieces, name, own) for name in ("start", "end", "slope"))
        rises.append(Rise(start, end, slope, own))
    return tuple(rises)


def _below(pieces: tuple[Rise, ...], name: str, columns: Tensor | None = None) -> Tensor:
    """One part of a stretch, of all blocks, in some of the columns."""
    blocks: list[Tensor] = [getattr(piece, name) for piece in pieces]
    if columns is not None:
        blocks = [block.index_select(1, columns) for block in blocks]
    return blocks[0] if len(blocks) == 1 else torch.cat(blocks)


def _few_columns(pieces: list[Rise]) -> Tensor | None:
    """The columns in which a stretch rises in any row, where they are few, and at least one."""
    rising = torch.stack([(piece.slope > 0).any(0) for piece in pieces]).any(0)
    rising[0] |= ~rising.any()
    columns = rising.nonzero().squeeze(1)
    return columns if 2 * len(columns) <= len(rising) else None


def _empty(before: Rise) -> Rise:
    return Rise(before.end, before.end, torch.zeros_like(before.end))


def _one_way(w: Tensor, down: Tensor, up: Tensor) -> tuple[Rise, ...]:
    """``m(delta) = -w delta``: only the direction against the sign of ``w`` pays."""
    return (Rise(_nothing(w), _pick(w > 0, down, up), w.abs()),)


def _two_ways(w: Tensor, b: Tensor, kink: Tensor, down: Tensor, up: Tensor) -> tuple[Rise, ...]:
    """``m(delta) = -w delta - b (|delta - kink| - |kink|)``: the larger of two running maxima.

    Away from the kink ``m`` has slope ``away``; towards it ``-away``, and ``beyond`` after it.
    """
    left = (kink < 0).to(w.dtype)
    room_away, room_toward = torch.lerp(down, up, left), torch.lerp(up, down, left)
    tilt = w * (1 - 2 * left)
    away, beyond = tilt - b, -tilt - b
    distance, rise = kink.abs(), beyond.clamp_min(0)
    # away <= 0: towards the kink it pays first, and the other direction never does.
    outward = away > 0
    end = _pick(outward, room_away, torch.minimum(distance, room_toward))
    # away > 0: the line after the kink pays from `root` on, and may overtake the first one.
    steep, lift = away.clamp_min(LEAST), rise.clamp_min(LEAST)
    root = distance * (1 + steep / lift)
    top = rise * (room_toward - root)
    overtakes = outward & (top > away * torch.minimum(room_toward, room_away))
    second = rise * (overtakes | ~outward).to(rise.dtype)
    first = Rise(_nothing(w), end, away.abs())
    if not bool(overtakes.any()):
        return first, Rise(end, torch.maximum(room_toward, end), second)
    # Late: the first line has ended when the one after the kink reaches its height.
    waits = _pick(overtakes, root + away * room_away / lift, end)
    sloped = rise * root / (rise - away).clamp_min(LEAST)
    early = overtakes & (rise > away) & (sloped <= room_away)
    if not bool(early.any()):
        return first, _after(first, waits, room_toward, second)
    # Early: it crosses the first line, which comes back when it goes further than the other side does.
    first = Rise(_nothing(w), _pick(early, sloped.clamp_max(FAR), end), away.abs())
    then = _after(first, _pick(early, first.end, waits), room_toward, second)
    again = torch.minimum(top / steep, room_away)
    back = early & (again < room_away)
    if not bool(back.any()):
        return first, then
    return first, then, _after(then, again, room_away, away * back.to(away.dtype))


def _after(before: Rise, start: Tensor, end: Tensor, slope: Tensor) -> Rise:
    """The stretch that follows, never before the other one's end; what would begin far out never does."""
    start = torch.maximum(start, before.end)
    if bool((start >= FAR / 2).any()):
        slope = slope.masked_fill(start >= FAR / 2, 0.0)
    start = start.clamp_max(FAR)
    return Rise(start, torch.maximum(start, end), slope)


def _nothing(like: Tensor) -> Tensor:
    """Zeros that take no memory."""
    return like.new_zeros(()).expand(like.shape)


def _pick(mask: Tensor, yes: Tensor, no: Tensor) -> Tensor:
    """``torch.where`` on finite numbers, several times faster on masks that look random.

    A blend by exactly 0 or 1 returns exactly one of the two.
    """
    return torch.lerp(no, yes, mask.to(no.dtype))
