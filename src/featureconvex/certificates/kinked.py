"""The separable form of a minorant after a whole feature map."""

import torch
from torch import Tensor

from featureconvex.certificates.stretched import Stretched
from featureconvex.features import FeatureMap
from featureconvex.features.kinked_form import Around, Ends, KinkedForm


def kinked_form(
    feature_map: FeatureMap, v: Tensor, x: Tensor, lo: Tensor, hi: Tensor
) -> KinkedForm | None:
    """The map's separable form under the slope ``v``, or None for a map without one.

    Known: every affine map (under one slope even a rotation is separable), and a map with a form of its own
    with diagonal maps before it and affine ones after it. Before it,
    ``|s x + t - z| = |s| |x - (z - t) / s|`` moves the scale into the coefficients.

    Args:
        feature_map: the map.
        v: (n, ...) in the shape of ``phi(x)``.
        x: (n, ...).
        lo: lower ends of the attacker's domain, (n, ...), ``-inf`` for none.
        hi: upper ends.
    """
    parts = feature_map.parts()
    v = v.double()
    while parts and parts[-1].affine:
        v = parts.pop().pullback(v)
    if not parts:
        return KinkedForm(v, exact=True)
    bent = parts.pop()
    scale, shift = v.new_ones(()), v.new_zeros(())
    for part in parts:
        constants = part.diagonal(torch.float64)
        if constants is None:
            return None
        scale, shift = constants[0] * scale, constants[0] * shift + constants[1]
    form = bent.kinked_form(v, Around(torch.float64, lambda: _ends(scale, shift, x, lo, hi)))
    if form is None:
        return None
    if form.b is None or form.z is None:
        return KinkedForm(form.w * scale, exact=form.exact)
    # A coordinate of scale 0 never moves, wherever its kink is put.
    kink = (form.z.to(shift) - shift) / torch.where(scale == 0, 1.0, scale)
    return KinkedForm(form.w * scale, form.b * scale.abs(), kink, form.rounding, form.exact)


def stretched(feature_map: FeatureMap, v: Tensor, x: Tensor) -> Stretched | None:
    """What a map knows stretch by stretch, under the slope ``v`` after it; affine maps may follow it.

    None for other maps, and for those with a map in front.
    """
    first, *after = feature_map.parts()
    if not all(part.affine for part in after) or first.stretches(x[:1], 1) is None:
        return None
    v = v.double()
    for part in reversed(after):
        v = part.pullback(v)
    return Stretched(first, v)


def _ends(scale: Tensor, shift: Tensor, x: Tensor, lo: Tensor, hi: Tensor) -> Ends:
    """The range of ``scale x + shift``."""
    u, a, b = (
        torch.where(scale == 0, shift, scale * point.double() + shift) for point in (x, lo, hi)
    )
    return Ends(torch.minimum(a, b), u, u, torch.maximum(a, b))
