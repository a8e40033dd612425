"""The scattering transform in ball arithmetic, straight from its definition: sums over all frequencies."""

from functools import lru_cache
from typing import TYPE_CHECKING, Any

import numpy as np

from featureconvex.errors import UserError
from featureconvex.features import Scattering

if TYPE_CHECKING:
    from featureconvex.testing.exact import ExactMargin

Numbers = np.ndarray


def scattering(judge: "ExactMargin", phi: Scattering, z: Numbers) -> Numbers:
    """(c, h, w) -> (c * paths, h', w'), with the stored filters and colours as exact numbers.

    Raises:
        UserError: numbers without square roots.
    """
    if not hasattr(judge.number(0), "cos_pi"):
        raise UserError("the modulus in Scattering needs balls: ExactMargin(model, flint.arb)")
    if phi.opponent:
        colour = judge.numbers(phi.colour.to(judge.model.dtype))
        z = colour.dot(z.reshape(len(z), -1)).reshape(z.shape)
    height, width = phi.cascade.stage.low.shape
    wide = np.full((len(z), int(height), int(width)), judge.number(0), dtype=object)
    wide[:, : z.shape[1], : z.shape[2]] = z
    return np.concatenate([np.stack(_paths(judge, phi.cascade, [image])) for image in wide])


def _paths(judge: "ExactMargin", cascade: Any, images: list[Numbers]) -> list[Numbers]:
    """The averages of all images, then those of the moduli after each scale of wavelets."""
    stage, dtype = cascade.stage, judge.model.dtype
    spectra = [_spectrum(image) for image in images]
    low = judge.numbers(stage.low.to(dtype))
    paths = [_kept(low * f, 2**stage.scales, _real) for f in spectra]
    for j, (band, deep) in enumerate(zip(stage.bands, cascade.deeper, strict=True), stage.first):
        filters = [judge.numbers(psi.to(dtype)) for psi in band]
        moduli = [_kept(psi * f, 2**j, abs) for f in spectra for psi in filters]
        paths += _paths(judge, deep, moduli)
    return paths


def _real(value: Any) -> Any:
    return value.real


def _spectrum(image: Numbers) -> Numbers:
    """``sum over t of x(t) exp(-2 pi i <w, t>)``."""
    height, width = image.shape
    out: Numbers = _waves(height, -1).dot(image).dot(_waves(width, -1))
    return out


def _kept(spectrum: Numbers, stride: int, part: Any) -> Numbers:
    """``stride / N sum over w of X(w) exp(2 pi i <w, t>)`` at every ``stride``-th t, its ``part``."""
    height, width = spectrum.shape
    there = _waves(height, 1)[::stride].dot(spectrum).dot(_waves(width, 1)[:, ::stride])
    return np.array([[part(v) * stride / (height * width) for v in row] for row in there])


@lru_cache(maxsize=32)
def _waves_at(size: int, sign: int, precision: int) -> Numbers:
    import flint

    assert flint.ctx.prec == precision
    turn = [flint.arb(2 * sign * k) / size for k in range(size)]
    roots = [flint.acb(angle.cos_pi(), angle.sin_pi()) for angle in turn]
    return np.array([[roots[i * j % size] for j in range(size)] for i in range(size)])


def _waves(size: int, sign: int) -> Numbers:
    """``exp(sign 2 pi i j k / size)`` at the precision in force."""
    import flint

    return _waves_at(size, sign, flint.ctx.prec)
