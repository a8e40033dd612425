"""Minorants as sums over coordinates: what a feature map must tell so that its drops separate.

A map whose outputs are affine in ``x_i`` and in ``|x_i - z_i|`` for one kink ``z_i`` per coordinate turns
every minorant into a :class:`KinkedForm`, whose drop curves :mod:`featureconvex.certificates.drops`
builds. :func:`curves` registers such a map; any other one has its Lipschitz constant.
"""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, TypeVar

import torch
from torch import Tensor

from featureconvex.features import AbsConcat, Center, Compose, FeatureMap, Identity, Scale


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


_M = TypeVar("_M", bound=FeatureMap)
_FORMS: dict[type[FeatureMap], Callable[[Any, Tensor], KinkedForm]] = {}


def curves(
    *kinds: type[_M],
) -> Callable[[Callable[[_M, Tensor], KinkedForm]], Callable[[_M, Tensor], KinkedForm]]:
    """Register the form of feature maps of exactly these classes; an affine map needs none.

    The function is given the map and a slope ``v`` (n, ...) float64 in the shape of ``phi(x)``, and must
    be differentiable in ``v``. Compositions with diagonal maps in front and affine ones behind follow by
    themselves.
    """

    def register(
        function: Callable[[_M, Tensor], KinkedForm],
    ) -> Callable[[_M, Tensor], KinkedForm]:
        _FORMS.update(dict.fromkeys(kinds, function))
        return function

    return register


@curves(AbsConcat)
def _absolute(_: AbsConcat, v: Tensor) -> KinkedForm:
    """``<v, (x, |x|)>`` is ``<w, x> + <b, |x|>``."""
    w, b = v.chunk(2, dim=1)
    return KinkedForm(w, b, v.new_zeros(()))


def kinked_form(feature_map: FeatureMap, v: Tensor) -> KinkedForm | None:
    """The map's separable form under the slope ``v``, or None for a map without one.

    Known: every affine map (under one slope even a rotation is separable), and a registered map with
    diagonal maps in front of it and affine ones behind. In front, ``|s x + t - z| = |s| |x - (z - t) / s|``
    moves the scale into the coefficients. Exactly these classes: a subclass may override ``forward``,
    and has its Lipschitz constant.
    """
    parts = feature_map.parts() if type(feature_map) is Compose else [feature_map]
    v = v.double()
    while parts and parts[-1].affine:
        v = parts.pop().pullback(v)
    if not parts:
        return KinkedForm(v)
    bent = parts.pop()
    if type(bent) not in _FORMS or not all(type(part) in _DIAGONAL for part in parts):
        return None
    form = _FORMS[type(bent)](bent, v)
    scale, shift = v.new_ones(()), v.new_zeros(())
    for part in parts:
        if isinstance(part, Scale):
            scale, shift = part.scale * scale, part.scale * shift + part.shift
    if form.b is None or form.z is None:
        return KinkedForm(form.w * scale)
    # A coordinate of scale 0 never moves, wherever its kink is put.
    kink = (form.z.to(shift) - shift) / torch.where(scale == 0, 1.0, scale)
    return KinkedForm(form.w * scale, form.b * scale.abs(), kink)


_DIAGONAL = (Identity, Scale, Center)
