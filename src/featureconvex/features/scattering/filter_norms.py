"""Proved upper bounds on the l_p constants of a scattering transform, for its stored filters.

Formulas and proofs of the exact norms: :class:`~.wavelets.WaveletStage`. Here every number on the way is
rounded upwards; the transforms are those of :mod:`featureconvex.rounding.fourier`.

* p = 1, inf: largest column and row sums of the kernels' moduli. A kernel entry is off by at most
  ``accuracy ||f|| / sqrt(N)``, the norm of the error of the whole kernel.
* p = 2: for every matrix ``Q`` near an orthogonal one, the largest eigenvalue of ``G`` is at most
  ``||Q^T G Q||_inf / (1 - ||Q^T Q - I||_inf)``: for ``x = Q y``, ``x^T G x = y^T Q^T G Q y`` is at most
  ``||Q^T G Q||_inf ||y||^2``, and ``||x||^2 >= (1 - ||Q^T Q - I||_inf) ||y||^2``. Any eigenvector routine
  may have found ``Q``.
* Between: Riesz-Thorin.
"""

import math
from dataclasses import dataclass

import torch
from torch import Tensor

from featureconvex.features.scattering.cascade import Filters
from featureconvex.features.scattering.wavelets import mirror
from featureconvex.rounding import fourier
from featureconvex.rounding.directed import FLOAT64, euclidean_up, upper

# Covers the library's powers, right to 2^-42, and a few products.
POWER = 1 + 2.0**-36


@dataclass(frozen=True)
class FilterSums:
    """What the norms of a level need of the filters of one stride, without their weight.

    Attributes:
        row: at least the largest sum of moduli of a kernel.
        columns: (size, size): at least the sums over kernels and outputs, for each input pixel modulo
            the coarsest stride.
        gram: (groups, size^2, size^2): near the Gram matrices of frequencies that end up equal.
        slack: likewise; at least how far the entries may be off, in units of roundoff.
    """

    row: float
    columns: Tensor
    gram: Tensor
    slack: Tensor

    @staticmethod
    def of(filters: Filters, size: int) -> "FilterSums":
        """``size`` is the coarsest stride of the level."""
        kernels = _moduli(filters)
        row = float(_up(kernels.sum((-2, -1)), kernels[0].numel()).max())
        m, h, w = kernels.shape
        step = filters.stride
        blocks = kernels.reshape(m, h // step, step, w // step, step)
        tile = _up(blocks.sum((0, 1, 3)), kernels.numel())
        repeat = size // filters.stride
        gram, slack = _gram(filters, size)
        return FilterSums(row, tile.repeat(repeat, repeat), gram, slack)


def _up(computed: Tensor, operations: int) -> Tensor:
    return upper(computed, operations, computed > 0)


def _moduli(filters: Filters) -> Tensor:
    """(m, h, w): at least ``stride |kernel|`` entry by entry."""
    count = math.prod(filters.shape())
    kernels = torch.linalg.vector_norm(
        fourier.image(filters.values.expand(-1, -1, 2, -1) * _REAL), dim=-2
    )
    energy = euclidean_up(filters.values.flatten(1))[:, None, None]
    off = fourier.accuracy(filters.shape(), FLOAT64) * energy * math.sqrt(count)
    return upper((kernels + off) * (filters.stride / count), 8)


# Puts a real multiplier into the first of the two places of a complex number.
_REAL = torch.tensor([[1.0], [0.0]], dtype=torch.float64)


def _gram(filters: Filters, size: int) -> tuple[Tensor, Tensor]:
    """The Gram matrix of the filters and of their mirror images, each with weight 1/2, and its slack."""
    cell = torch.arange(size * size)
    row, column = cell // size, cell % size
    apart = size // filters.stride
    mixed = ((row[:, None] - row) % apart == 0) & ((column[:, None] - column) % apart == 0)
    plain = filters.values.squeeze(-2).mT
    gram = slack = torch.zeros((), dtype=torch.float64)
    for f in (plain, mirror(plain)):
        m, h, w = f.shape
        group = f.reshape(m, size, h // size, size, w // size)
        group = group.permute(2, 4, 0, 1, 3).reshape(-1, m, size * size)
        gram = gram + 0.5 * (group.mT @ group) * mixed
        slack = slack + 0.5 * (group.abs().mT @ group.abs()) * mixed
    return gram, _up(slack * (2 * filters.values.shape[0] + 8), 2 * filters.values.shape[0] + 8)


def top_eigenvalue_up(gram: Tensor, slack: Tensor) -> float:
    """At least the largest eigenvalue of every symmetric matrix near ``gram``: (k, n, n) -> one number.

    Args:
        gram: computed.
        slack: at least the entries' errors, in units of roundoff.
    """
    n = gram.shape[-1]
    q = torch.linalg.eigh(gram).eigenvectors
    turned, size = q.mT @ gram @ q, q.abs()
    # What rounded: two products of n terms, and the entries of the matrix itself.
    rounded = size.mT @ ((2 * n + 8) * gram.abs() + slack) @ size * (2 * FLOAT64.unit)
    top = _up((turned.abs() + rounded).sum(-1), 6 * n).amax(-1)
    identity = torch.eye(n, dtype=torch.float64)
    strain = (q.mT @ q - identity).abs() + (2 * n + 8) * FLOAT64.unit * (size.mT @ size + identity)
    left = 1 - _up(strain.sum(-1), 4 * n).amax(-1)
    # A quotient by nothing is no bound.
    bound = torch.where(left > 0.5, top / (left * (1 - 4 * FLOAT64.unit)), torch.inf)
    return float(_up(bound, 4).max())


def interpolate_up(one: float, two: float, infinity: float, p: float) -> float:
    """Riesz-Thorin: ``N_a^(1-t) N_b^t``, ``1/p`` between ``1/a`` and ``1/b``; 1 and inf also bound 2."""
    two = min(two, math.sqrt(one * infinity) * POWER)
    exact = {1.0: one, 2.0: two, math.inf: infinity}
    if p in exact:
        return exact[p]
    if p < 2:
        t = 2 - 2 / p
        return float(one ** (1 - t) * two**t) * POWER
    return float(two ** (2 / p) * infinity ** (1 - 2 / p)) * POWER
