"""The cascade of a scattering transform, enclosed: images with a bound on their error in the l2 norm.

The exact cascade is the real function of the stored filters, with exact Fourier transforms, products,
sums and moduli. One level takes an image ``x`` with exact norm at most ``norm``, off by at most
``error``, to ``|s-th pixels of f * x|``. With ``accuracy`` the relative error of a transform:

* its spectrum, divided by ``sqrt(N)``, errs by ``arriving = error + accuracy (norm + error)``;
* ``f`` and the sum over aliases have norm ``gain = max over coarse w of sqrt(sum of f^2 over aliases)``,
  by the Cauchy-Schwarz inequality, and round by ``gamma_(s^2 + 8)`` relative to ``gain (norm + arriving)``;
* the way back has norm 1 and again errs by ``accuracy``; the modulus is nonexpansive and right to 8
  units of roundoff.
"""

import math
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor

from featureconvex.rounding import fourier
from featureconvex.rounding.directed import Rounding, euclidean_up, upper

# Covers products of two relative errors, each far below 1 %.
CROSS = 1.02


@dataclass(frozen=True)
class Maps:
    """Images, each known up to an error.

    Attributes:
        centre: (n, c, m, h, w) float64.
        error: (n, c, m): at least the l2 distance from the exact image, of the centre and of every
            evaluation with the roundoff in question.
    """

    centre: Tensor
    error: Tensor

    def norm(self) -> Tensor:
        """(n, c, m): at least the exact norms."""
        return upper(euclidean_up(self.centre.flatten(-2)) + self.error, 1)


@dataclass(frozen=True)
class Filters:
    """Real Fourier multipliers that share a stride.

    Attributes:
        values: (m, w, 1, h) float64, transposed as in :mod:`.fourier`.
        stride: pixels kept, every one in ``stride``.
        gain: (m,): at least the norm of filter and subsampling, normalised to keep energy.
    """

    values: Tensor
    stride: int
    gain: Tensor

    @staticmethod
    def of(multipliers: Tensor, stride: int) -> "Filters":
        """From (m, h, w)."""
        values = multipliers.mT.unsqueeze(-2).contiguous()
        aliases = fourier.folded(values.square(), stride).flatten(1).amax(1)
        gain = upper(aliases, stride * stride + 1, aliases > 0).sqrt()
        return Filters(values, stride, upper(gain, 1, gain > 0))

    def through(self, norm: Any, error: Any, limits: "Limits") -> Any:
        """The error after the filters, (..., m), from norm and error (...) in front."""
        norm, error = norm[..., None], error[..., None]
        arriving = error + limits.forward * (norm + error)
        after = self.gain * (arriving + limits.back(self.stride) * (norm + arriving))
        return upper(after, 12, after > 0)

    def shape(self) -> tuple[int, int]:
        """Of the images in front, (h, w)."""
        return self.values.shape[-1], self.values.shape[-3]


@dataclass(frozen=True)
class Limits:
    """How an arithmetic rounds one level on images of one shape.

    Attributes:
        shape: (h, w).
        arithmetic: of the evaluations to cover.
        lost: whether to add what underflows: not for the growth of an error.
    """

    shape: tuple[int, int]
    arithmetic: Rounding
    lost: bool = True

    @property
    def forward(self) -> float:
        """Relative error of the transform."""
        return CROSS * fourier.accuracy(self.shape, self.arithmetic)

    def back(self, stride: int) -> float:
        """Relative error of product, sum over aliases and transform back."""
        h, w = self.shape
        there = fourier.accuracy((h // stride, w // stride), self.arithmetic)
        return CROSS * (there + self.arithmetic.gamma(stride * stride + 8))

    @property
    def underflow(self) -> float:
        """At least the l2 norm of all that underflows on one level, in sums or under a root."""
        size = self.shape[0] * self.shape[1]
        eta = self.arithmetic.underflow
        return (64 * size**2 * eta + 4 * size * math.sqrt(eta)) if self.lost else 0.0


def after_modulus(norm: Any, error: Any, gain: Tensor, limits: Limits) -> Any:
    """(..., m): the error of ``|z|``, where ``z`` errs by ``error`` and ``x`` had ``norm`` (...)."""
    size = gain * norm[..., None] + error
    out = error + 8 * limits.arithmetic.unit * size + limits.underflow
    return upper(out, 6, out > 0)


@dataclass(frozen=True)
class Cascade:
    """One level, and the next one after each of its scales.

    Attributes:
        low: the average.
        bands: one set of wavelets for each scale.
        deeper: one cascade for each of them.
    """

    low: Filters
    bands: tuple[Filters, ...]
    deeper: tuple["Cascade", ...]

    @staticmethod
    def of(cascade: Any, dtype: torch.dtype, device: torch.device | None = None) -> "Cascade":
        """From the layers of a ``Scattering``, with filters as a pass in ``dtype`` uses them."""
        stage = cascade.stage
        low, bands = (f.detach().to(device, dtype).double() for f in (stage.low, stage.bands))
        return Cascade(
            Filters.of(low[None], 2**stage.scales),
            tuple(Filters.of(f, 2**j) for j, f in enumerate(bands, stage.first)),
            tuple(Cascade.of(deep, dtype, device) for deep in cascade.deeper),
        )

    def forward(self, x: Maps, arithmetic: Rounding) -> list[Maps]:
        """All output maps, in the order of the transform: each (n, c, m, h', w')."""
        limits, norm = Limits(self.low.shape(), arithmetic), x.norm()
        spectrum = fourier.spectrum(x.centre)
        error = self.low.through(norm, x.error, limits)[..., 0]
        low = _filtered(spectrum * self.low.values[0], self.low.stride, real=True)
        out = [Maps(low, upper(error + limits.underflow, 1))]
        for filters, deep in zip(self.bands, self.deeper, strict=True):
            z = _filtered(spectrum.unsqueeze(3) * filters.values, filters.stride)
            modulus = torch.linalg.vector_norm(z, dim=-2)
            error = filters.through(norm, x.error, limits)
            error = after_modulus(norm, error, filters.gain, limits)
            out += deep.forward(Maps(modulus.flatten(2, 3), error.flatten(2)), arithmetic)
        return out

    def growth(self, norm: Tensor, error: Tensor, arithmetic: Rounding) -> Tensor:
        """(paths,): the error bound of every output map for inputs of this norm and error, each (m,).

        The bound is linear in norm and error, and the exact norm of every image on the way grows by at
        most its gain times the change of the input. So with the norm of a change for ``norm`` and 0
        for ``error`` this is how much the bound can grow.
        """
        limits = Limits(self.low.shape(), arithmetic, lost=False)
        out = [self.low.through(norm, error, limits)[..., 0]]
        for filters, deep in zip(self.bands, self.deeper, strict=True):
            after = filters.through(norm, error, limits)
            after = after_modulus(norm, after, filters.gain, limits)
            size = filters.gain * norm[..., None]
            size = upper(size, 1, size > 0)
            out.append(deep.growth(size.flatten(), after.flatten(), arithmetic))
        return torch.cat(out)


def _filtered(spectrum: Tensor, stride: int, real: bool = False) -> Tensor:
    """Back from (..., w, 2, h) to every ``stride``-th pixel, times ``stride``."""
    z = fourier.folded(spectrum, stride)
    return fourier.image(z, real) / (z.shape[-1] * z.shape[-3] * stride)
