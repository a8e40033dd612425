"""Minorants as sums over coordinates: what a feature map tells so that its drops separate."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import NamedTuple

import torch
from torch import Tensor


@dataclass(frozen=True)
class KinkedForm:
    """``sum_i w_i delta_i + b_i (|x_i + delta_i - z_i| - |x_i - z_i|)``: how ``<v, phi>`` changes.

    ``<v, phi(x + delta) - phi(x)>`` equals it (``exact``), or is at least the sum of its negative terms:
    every coordinate falls by no more than its term does, or not at all.

    Attributes:
        w: (n, ...) float64 in the shape of x, differentiable in ``v``.
        b: likewise; None for an affine map.
        z: the kinks, broadcastable to one input, or one for every row (n, ...); None for an affine map.
        rounding: ``w`` and ``b`` are off by at most this share of ``|w| + |b|``.
        exact: it is equal, so that what one coordinate rises makes up for what another falls.
    """

    w: Tensor
    b: Tensor | None = None
    z: Tensor | None = None
    rounding: float = 0.0
    exact: bool = False

    def rows(self, index: slice) -> "KinkedForm":
        """Some of the rows."""
        b = None if self.b is None else self.b[index]
        return KinkedForm(
            self.w[index], b, rows_of(self.z, self.w.ndim, index), self.rounding, self.exact
        )


def rows_of(z: Tensor | None, ndim: int, index: slice) -> Tensor | None:
    """The kinks of some rows of ``ndim`` dimensions; those of one input are the same for all."""
    return z if z is None or z.ndim < ndim else z[index]


class Ends(NamedTuple):
    """How far the input of a map can get: it lies in [below, above] and stays in [lo, hi], all (n, ...)."""

    lo: Tensor
    below: Tensor
    above: Tensor
    hi: Tensor


@dataclass(frozen=True)
class Around:
    """Where an attacker may move the input of a feature map.

    Attributes:
        dtype: of the forward pass: constants of the map are meant as rounded to it.
        ends: computes the range; not for free, so only called by maps that need it.
    """

    dtype: torch.dtype
    ends: Callable[[], Ends]
