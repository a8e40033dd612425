"""The fall of a sound line in its separable form, as exact numbers plus slack.

For feature maps made of :class:`Identity`, :class:`Center`, :class:`Scale` and at most one
:class:`AbsConcat` the fall is a sum over coordinates (see :mod:`featureconvex.certificates.drops`):

    fall(delta) <= lost + sum_i [ -w_i delta_i - b_i (|x_i + delta_i - z_i| - |x_i - z_i|)
                                  + slack_i |delta_i| ]

for the floats ``w, b, z`` returned. Proof: with exact coefficients in balls around them,
``||x + delta - z| - |x - z|| <= |delta|`` puts the radii of w and b into the slack, and moving the kink by
``e`` changes the bracket by at most ``2 e``, which ``lost = sum_i 2 |b_i| e_i`` covers.
"""

from dataclasses import dataclass

import torch
from torch import Tensor

from featureconvex.certificates.levels.sound.line import SoundLine
from featureconvex.features import AbsConcat, Center, Compose, FeatureMap, Identity, Scale
from featureconvex.rounding.ball import Ball, plus, times
from featureconvex.rounding.directed import FLOAT64, upper


@dataclass(frozen=True)
class Kinked:
    """Coefficients of the fall, all exact numbers; ``b`` and ``z`` are None for affine maps.

    Attributes:
        w, b, slack: (n, ...) in the shape of x.
        z: broadcastable to one input.
        lost: (n,).
    """

    w: Tensor
    b: Tensor | None
    z: Tensor | None
    slack: Tensor
    lost: Tensor

    def rows(self, index: slice) -> "Kinked":
        """Some of the rows."""
        b = None if self.b is None else self.b[index]
        return Kinked(self.w[index], b, self.z, self.slack[index], self.lost[index])


def kinked(feature_map: FeatureMap, line: SoundLine) -> Kinked | None:
    """The separable form, or None for other feature maps."""
    parts = feature_map.parts() if type(feature_map) is Compose else [feature_map]
    folds = [k for k, part in enumerate(parts) if type(part) is AbsConcat]
    others = [part for part in parts if type(part) is not AbsConcat]
    if len(folds) > 1 or any(type(part) not in (Identity, Center, Scale) for part in others):
        return None
    front, behind = (parts, []) if not folds else (parts[: folds[0]], parts[folds[0] + 1 :])
    v = Ball.exact(line.slope)
    for part in behind:
        v = _scaled(v, _constants(part, line)[0])
    scale, shift = _diagonal(front, line)
    if not folds:
        w = _scaled(v, scale)
        slack = upper(line.slack + w.radius, 1, line.slack + w.radius > 0)
        return Kinked(w.centre, None, None, slack, torch.zeros_like(line.value))
    first, second = (
        Ball(c, r) for c, r in zip(v.centre.chunk(2, 1), v.radius.chunk(2, 1), strict=True)
    )
    w, b = _scaled(first, scale), _scaled(second, Ball(scale.centre.abs(), scale.radius))
    z = _kink(scale, shift)
    slack = line.slack + w.radius + b.radius
    moved = upper(2 * (b.centre.abs() + b.radius) * z.radius, 3, (z.radius > 0).expand_as(slack))
    lost = upper(moved.flatten(1).sum(1), moved[:1].numel(), (moved > 0).flatten(1).any(1))
    return Kinked(w.centre, b.centre, z.centre, upper(slack, 2, slack > 0), lost)


def _scaled(v: Ball, factor: Ball) -> Ball:
    """``v factor``, without any work for a factor of exactly 1."""
    one = factor.centre.ndim == 0 and bool((factor.centre == 1) & (factor.radius == 0))
    return v if one else times(v, factor)


def _constants(part: FeatureMap, line: SoundLine) -> tuple[Ball, Ball]:
    """Scale and shift as the forward pass uses them."""
    one = torch.ones((), dtype=torch.float64, device=line.value.device)
    if not isinstance(part, Scale):
        return Ball.exact(one), Ball.exact(one - one)
    dtype = line.features.dtype
    scale = one if isinstance(part, Center) else part.scale.to(dtype).double()
    return Ball.exact(scale), Ball.exact(part.shift.to(dtype).double())


def _diagonal(parts: list[FeatureMap], line: SoundLine) -> tuple[Ball, Ball]:
    """``S x + t`` of maps applied left to right; a single map rounds nothing."""
    made = [_constants(part, line) for part in parts if not isinstance(part, Identity)]
    if not made:
        return _constants(Identity(), line)
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
