"""The fall of a sound line in its separable form, as exact numbers plus slack.

For feature maps made of diagonal ones and at most one with a :class:`~featureconvex.features.KinkedForm`
the fall is at most a sum over coordinates (see :mod:`featureconvex.certificates.drops`):

    fall(delta) <= lost + sum_i [ -w_i delta_i - b_i (|x_i + delta_i - z_i| - |x_i - z_i|)
                                  + slack_i |delta_i| ]

for the floats ``w, b, z`` returned, terms below 0 counted as 0 unless the form is ``exact``.
Proof: with exact coefficients in balls around them, ``||x + delta - z| - |x - z|| <= |delta|`` puts the
radii of w and b into the slack, and moving the kink by ``e`` changes the bracket by at most ``2 e``, which
``lost = sum_i 2 |b_i| e_i`` covers.
"""

from dataclasses import dataclass

import torch
from torch import Tensor

from featureconvex.certificates.levels.sound.line import SoundLine, split_affine
from featureconvex.certificates.stretched import Stretched
from featureconvex.features import FeatureMap
from featureconvex.features.kinked_form import Around, Ends, KinkedForm, rows_of
from featureconvex.rounding.ball import Ball, plus, times
from featureconvex.rounding.directed import FLOAT64, upper
from featureconvex.rounding.graph import Graph
from featureconvex.rounding.steps import Mode

# Of the slopes of a row: rounding's slack is far less, that between two classes as large.
WIDE = 2.0**-8


@dataclass(frozen=True)
class Kinked:
    """Coefficients of the fall, all exact numbers; ``b`` and ``z`` are None for affine maps.

    Attributes:
        w, b, slack: (n, ...) in the shape of x.
        z: broadcastable to one input, or one for every row.
        lost: (n,).
        exact: terms below 0 count as they are.
        stretched: what the map knows of moves one way, stretch by stretch; ``slack`` counts there, too.
    """

    w: Tensor
    b: Tensor | None
    z: Tensor | None
    slack: Tensor
    lost: Tensor
    exact: bool = False
    stretched: Stretched | None = None

    def rows(self, index: slice) -> "Kinked":
        """Some of the rows."""
        b = None if self.b is None else self.b[index]
        z = rows_of(self.z, self.w.ndim, index)
        known = None if self.stretched is None else self.stretched.rows(index)
        return Kinked(self.w[index], b, z, self.slack[index], self.lost[index], self.exact, known)


def kinked(
    feature_map: FeatureMap, line: SoundLine, x: Tensor, lo: Tensor, hi: Tensor
) -> Kinked | None:
    """The separable form for attackers at ``x`` in ``[lo, hi]``, or None for other feature maps."""
    dtype, (parts, _) = line.features.dtype, split_affine(feature_map)
    constants = [part.diagonal(dtype) for part in parts]
    bent = [k for k, known in enumerate(constants) if known is None]
    if len(bent) > 1:
        return None
    at = bent[0] if bent else len(parts)
    v = Ball.exact(line.slope)
    for known in constants[at + 1 :]:
        if known is not None:
            v = _scaled(v, Ball.exact(known[0]))
    scale, shift = _diagonal([known for known in constants[:at] if known is not None])
    if not bent:
        w = _scaled(v, scale)
        slack = upper(line.slack + w.radius, 1, line.slack + w.radius > 0)
        none_lost = torch.zeros_like(line.value)
        wide = _largest(slack) > WIDE * _largest(w.centre)
        if bool(wide.any()):
            # ``slack |delta|`` is a kink at x, which knows the two ways of a coordinate apart; by row, as a
            # row's radius should not depend on the others.
            rest = slack.masked_fill(wide.view(-1, *[1] * (slack.ndim - 1)), 0.0)
            return Kinked(w.centre, rest - slack, x.double(), rest, none_lost, exact=True)
        return Kinked(w.centre, None, None, slack, none_lost, exact=True)
    around = Around(dtype, lambda: _ends(scale, shift, x.double(), lo.double(), hi.double()))
    form = parts[at].kinked_form(v.centre, around)
    if form is None or form.b is None or form.z is None:
        return None
    size = Ball(scale.centre.abs(), scale.radius)
    w, b = _scaled(Ball.exact(form.w), scale), _scaled(Ball.exact(form.b), size)
    slack = line.slack + w.radius + b.radius
    for rate in (_felt(parts[at], v, x, dtype), _lost_in_rounding(form, v)):
        if rate is not None:
            more = _scaled(Ball.exact(rate), size)
            slack = upper(slack + more.centre + more.radius, 2, slack + more.centre > 0)
    if form.z.ndim or bool(form.z):
        shift = plus(shift, Ball.exact(-form.z), FLOAT64)
    z = _kink(scale, shift)
    moved = upper(2 * (b.centre.abs() + b.radius) * z.radius, 3, (z.radius > 0).expand_as(slack))
    lost = upper(moved.flatten(1).sum(1), moved[:1].numel(), (moved > 0).flatten(1).any(1))
    slack = upper(slack, 2, slack > 0)
    # A map in front would round the way.
    knows = at == 0 and parts[0].stretches(x[:1], 1) is not None
    own = Stretched(parts[0], v.centre) if knows else None
    return Kinked(w.centre, b.centre, z.centre, slack, lost, form.exact, own)


def _largest(numbers: Tensor) -> Tensor:
    """(n,): the largest of each row in absolute value."""
    return numbers.abs().flatten(1).amax(1)


def _felt(part: FeatureMap, v: Ball, x: Tensor, dtype: torch.dtype) -> Tensor | None:
    """At most how fast the fall can be off for each coordinate, as ``v`` is known up to its radius."""
    if not bool((v.radius > 0).any()):
        return None
    graph = Graph(dtype)
    part.rounding_steps(graph, 0)
    _, steps = graph.forward(Ball.exact(torch.zeros_like(x[:1])), Mode(FLOAT64, relaxed=False))
    return graph.pull(v.radius, steps.shapes)


def _lost_in_rounding(form: KinkedForm, v: Ball) -> Tensor | None:
    """At most how far the slopes of the computed form are off."""
    if not form.rounding or form.b is None:
        return None
    alive = (v.centre != 0).flatten(1).any(1).view(-1, *[1] * (form.w.ndim - 1))
    return upper(form.rounding * (form.w.abs() + form.b.abs()), 4, alive)


def _ends(scale: Ball, shift: Ball, x: Tensor, lo: Tensor, hi: Tensor) -> Ends:
    """Where ``S x + t`` may be for every S and t in the balls."""
    low, high = zip(*(_image(scale, shift, point) for point in (x, lo, hi)), strict=True)
    ends = torch.stack(low[1:]).amin(0), torch.stack(high[1:]).amax(0)
    return Ends(ends[0], low[0], high[0], ends[1])


def _image(scale: Ball, shift: Ball, point: Tensor) -> tuple[Tensor, Tensor]:
    finite = torch.isfinite(point)
    ball = plus(_scaled(Ball.exact(point.where(finite, 0.0)), scale), shift, FLOAT64)
    low, high = ball.lower(), -Ball(-ball.centre, ball.radius).lower()
    # A coordinate without an end has none after the map; of what sign, only a scale away from 0 tells.
    sign = torch.where(scale.centre.abs() > scale.radius, scale.centre.sign(), 0.0)
    far = torch.where(sign == 0, torch.inf, point * sign)
    return low.where(finite, torch.where(sign == 0, -torch.inf, far)), high.where(finite, far)


def _scaled(v: Ball, factor: Ball) -> Ball:
    """``v factor``, without any work for a factor of exactly 1."""
    return v if _is(factor, 1) else times(v, factor)


def _is(ball: Ball, number: float) -> bool:
    """Whether a ball is one exact number for all coordinates."""
    return ball.centre.ndim == 0 and bool((ball.centre == number) & (ball.radius == 0))


def _diagonal(parts: list[tuple[Tensor, Tensor]]) -> tuple[Ball, Ball]:
    """``S x + t`` of maps applied left to right; a single map rounds nothing."""
    made = [(Ball.exact(scale), Ball.exact(shift)) for scale, shift in parts]
    made = [(scale, shift) for scale, shift in made if not (_is(scale, 1) and _is(shift, 0))]
    if not made:
        one = torch.ones((), dtype=torch.float64)
        return Ball.exact(one), Ball.exact(one - one)
    scale, shift = made[0]
    for factor, addend in made[1:]:
        scale, shift = times(scale, factor), plus(times(shift, factor), addend, FLOAT64)
    return scale, shift


def _kink(scale: Ball, shift: Ball) -> Ball:
    """``-t / S``; anywhere for coordinates of scale 0, which never move."""
    still = (scale.centre == 0) & (scale.radius == 0)
    divisor = torch.where(still, torch.ones_like(scale.centre), scale.centre)
    centre = torch.where(still, torch.zeros_like(shift.centre), -shift.centre / divisor)
    exact = (scale.radius == 0) & (scale.centre == 1)
    smallest = divisor.abs() - scale.radius
    error = (shift.radius + centre.abs() * scale.radius) / smallest
    error = upper(error + 2 * FLOAT64.unit * centre.abs(), 6)
    # A scale that may be zero puts the kink anywhere: the error is infinite and proves nothing.
    error = error.where(smallest > 0, torch.inf)
    return Ball(centre, shift.radius.expand_as(centre).where(exact, error).where(~still, 0.0))
