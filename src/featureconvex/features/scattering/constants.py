"""Proved Lipschitz constants of a scattering transform: its levels, its colours, and a memory of them."""

import hashlib
import math
from collections import OrderedDict
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any, Protocol

import torch
from torch import Tensor, nn

from featureconvex.features.scattering.cascade import Cascade
from featureconvex.features.scattering.filter_norms import (
    POWER,
    FilterSums,
    interpolate_up,
    top_eigenvalue_up,
)
from featureconvex.rounding.directed import upper

Constant = Callable[[float], float]


class Transform(Protocol):
    """What is read of a scattering transform."""

    colour: Tensor
    opponent: bool
    image_shape: tuple[int, int, int]

    @property
    def cascade(self) -> nn.Module:
        """Its levels."""

    def config(self) -> dict[str, Any]:
        """Constructor arguments."""

    def buffers(self) -> Iterator[Tensor]:
        """All filters."""


# Transforms whose constants are kept.
KEPT = 16


@dataclass(frozen=True)
class LevelNorms:
    """The norms of one level of a cascade, for any weights of its scales.

    Attributes:
        low: of the average.
        bands: of the wavelets, scale by scale.
        deeper: of the levels after them.
    """

    low: FilterSums
    bands: tuple[FilterSums, ...]
    deeper: tuple["LevelNorms", ...]

    @staticmethod
    def of(cascade: Cascade) -> "LevelNorms":
        """Of the filters, on the CPU."""
        size = cascade.low.stride
        return LevelNorms(
            FilterSums.of(cascade.low, size),
            tuple(FilterSums.of(band, size) for band in cascade.bands),
            tuple(LevelNorms.of(deep) for deep in cascade.deeper),
        )

    def lipschitz(self, p: float) -> float:
        """At least the norm of ``(low, c_j W_j)``, where ``c_j`` are the constants of the levels after."""
        weights = [1.0, *(deep.lipschitz(p) for deep in self.deeper)]
        parts = list(zip(weights, (self.low, *self.bands), strict=True))
        count = len(parts) + 4
        rows = max(c * part.row for c, part in parts) * POWER
        columns = float(upper(_total([c * part.columns for c, part in parts]), count).max())
        gram = _total([c * c * part.gram for c, part in parts])
        # Three more roundings in every term, and one for each sum.
        more = [c * c * (part.slack + 2 * count * part.gram.abs()) for c, part in parts]
        spectral = math.sqrt(top_eigenvalue_up(gram, upper(_total(more), count))) * POWER
        return interpolate_up(columns, spectral, rows, p)


def _total(parts: list[Tensor]) -> Tensor:
    out = parts[0]
    for part in parts[1:]:
        out = out + part
    return out


_KNOWN: OrderedDict[bytes, Constant] = OrderedDict()


def constants_of(phi: Transform, dtype: torch.dtype) -> Constant:
    """``p -> L``: at least the constant in l_p of the exact map that a pass in ``dtype`` stands for.

    Each computed once for the content of the filters, whatever object holds them.
    """
    content = hashlib.blake2b(repr((phi.config(), dtype)).encode())
    for buffer in phi.buffers():
        content.update(buffer.detach().cpu().to(dtype).contiguous().numpy().tobytes())
    key = content.digest()
    if key not in _KNOWN:
        _KNOWN[key] = _constant(phi, dtype)
        while len(_KNOWN) > KEPT:
            _KNOWN.popitem(last=False)
    return _KNOWN[key]


def _constant(phi: Transform, dtype: torch.dtype) -> Constant:
    norms = LevelNorms.of(Cascade.of(phi.cascade, dtype, torch.device("cpu")))
    colour = phi.colour.detach().cpu().to(dtype).double() if phi.opponent else None
    dimension = math.prod(phi.image_shape)
    found: dict[float, float] = {}

    def constant(p: float) -> float:
        if p not in found:
            turned = 1.0 if colour is None else _matrix_norm_up(colour, p)
            found[p] = norms.lipschitz(p) * turned * POWER
            if p > 2:
                # ||y||_p <= ||y||_2 and ||x||_2 <= d^(1/2 - 1/p) ||x||_p.
                found[p] = min(found[p], constant(2.0) * dimension ** (0.5 - 1 / p) * POWER)
        return found[p]

    return constant


def _matrix_norm_up(matrix: Tensor, p: float) -> float:
    """At least the l_p norm of a small matrix."""
    size, count = matrix.abs(), matrix.shape[0] + 2
    rows, columns = (float(upper(size.sum(axis), count).max()) for axis in (1, 0))
    slack = (2 * count) * (size.mT @ size)
    square = top_eigenvalue_up((matrix.mT @ matrix)[None], upper(slack, count)[None])
    return interpolate_up(columns, math.sqrt(square) * POWER, rows, p)
