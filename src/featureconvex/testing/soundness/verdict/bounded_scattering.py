"""The scattering transform as a running error analysis, one product of sums after the other.

Complex numbers err by at most ``((1 + u)^k - 1) a`` in modulus, ``a >= |z|``. A complex sum of n products
rounds by at most ``(1 + u)^(8 n) - 1`` relative to the sum of moduli, however its four real products
are combined, and the roots of unity are right to 32 units of roundoff.
"""

from typing import Any

import numpy as np
import torch

from featureconvex.features import Scattering
from featureconvex.testing.soundness.verdict.sized import Array, Sized, numbers


def scattering(phi: Scattering, z: Sized, dtype: torch.dtype) -> Sized:
    """(n, c, h, w) -> (n, c * paths, h', w'), with filters and colours as a model of ``dtype`` has them."""
    real = z.value.dtype
    if phi.opponent:
        colour = numbers(phi.colour.to(dtype), real)
        z = z.moved(lambda a: np.moveaxis(a, 1, -1)).times(colour.T)
        z = z.moved(lambda a: np.moveaxis(a, -1, 1))
    height, width = phi.cascade.stage.low.shape
    rows, _, h, w = z.value.shape
    pad = ((0, 0), (0, 0), (0, int(height) - h), (0, int(width) - w))
    z = z.moved(lambda a: np.pad(a, pad).reshape(-1, 1, int(height), int(width)))
    out = _paths(phi.cascade, z, dtype)
    return out.moved(lambda a: a.reshape(rows, -1, *a.shape[2:]))


def _paths(cascade: Any, z: Sized, dtype: torch.dtype) -> Sized:
    """(n, m, h, w) -> (n, m * paths, h', w')."""
    stage, real = cascade.stage, z.value.dtype
    spectrum = _transformed(z, -1)
    low = _kept(spectrum.scaled(numbers(stage.low.to(dtype), real), 4), 2**stage.scales)
    parts = [Sized(low.value.real, low.size, low.count)]
    for j, (bands, deep) in enumerate(zip(stage.bands, cascade.deeper, strict=True), stage.first):
        wide = spectrum.moved(lambda a: a[:, :, None])
        band = _kept(wide.scaled(numbers(bands.to(dtype), real), 4), 2**j)
        moduli = Sized(np.abs(band.value), band.size, band.count + 8)
        flat = moduli.moved(lambda a: a.reshape(len(a), -1, *a.shape[3:]))
        parts.append(_paths(deep, flat, dtype))
    return Sized(
        np.concatenate([part.value for part in parts], 1),
        np.concatenate([part.size for part in parts], 1),
        max(part.count for part in parts),
    )


def _waves(size: int, sign: int, dtype: Any) -> Array:
    """``exp(sign 2 pi i j k / size)``."""
    turn = np.arange(size)[:, None] * np.arange(size) % size
    angle = 2 * np.arccos(np.asarray(-1, dtype=dtype)) * turn.astype(dtype) / size
    out: Array = np.cos(angle) + sign * 1j * np.sin(angle)
    return out


def _transformed(z: Sized, sign: int, stride: int = 1) -> Sized:
    """Sums over both last axes with ``exp(sign 2 pi i ...)``, at every ``stride``-th place."""
    for _ in range(2):
        size = z.value.shape[-1]
        waves = _waves(size, sign, z.size.dtype)[:, ::stride]
        z = z.times(waves).moved(lambda a: a.swapaxes(-1, -2))
        z = Sized(z.value, z.size, z.count + 7 * size + 32)
    return z


def _kept(spectrum: Sized, stride: int) -> Sized:
    """``stride / N sum over w of ... exp(2 pi i <w, t>)`` at every ``stride``-th t."""
    height, width = spectrum.value.shape[-2:]
    factor = np.asarray(stride, spectrum.size.dtype) / (height * width)
    return _transformed(spectrum, 1, stride).scaled(factor, 3)
