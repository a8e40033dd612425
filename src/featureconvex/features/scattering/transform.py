"""A fixed wavelet scattering transform for images whose Lipschitz constants are proved."""

import math
from hashlib import blake2b
from typing import Any

import torch
from torch import Tensor, nn

from featureconvex.errors import UserError
from featureconvex.features.base import FeatureMap
from featureconvex.features.scattering.step import scattered
from featureconvex.features.scattering.wavelets import (
    ROUNDING,
    WaveletStage,
    float32_exact,
    interpolate,
)
from featureconvex.given import whole_number, whole_numbers, yes_or_no
from featureconvex.nn.freezing.code import remember
from featureconvex.norms import check_exponent, widening
from featureconvex.rounding.graph import Graph

# Constants known: a second of work each for larger images.
_CONSTANTS: dict[tuple[Any, ...], float] = {}
MOST_CONSTANTS = 64


class Scattering(FeatureMap):
    """Averages of the image, of ``|x * psi_i|`` and of ``||x * psi_i| * psi_k|``, each on a coarse grid.

    Source: Bruna and Mallat, "Invariant Scattering Convolution Networks" (2013). Boundaries are
    circular; an image whose sides are no multiples of ``2^scales`` is padded with zeros, which is
    an isometry for every p. Colour is first turned into opponent channels (an orthonormal 3 x 3
    matrix). A non-affine map: the certificate takes the gradient at ``phi(x)``, never through it.

    Lipschitz constants. One level of the cascade is ``F(x) = (low x, F'_i(|W_i x|))``. The modulus
    is nonexpansive, so with ``c_i = Lip_p(F'_i)``, already known,
    ``||F(x) - F(y)||_p <= ||(low, c_i W_i)(x - y)||_p``: the operator norm of a *linear* map, which
    :meth:`WaveletStage.norm` bounds from the filters in use. The result is never more than what
    l2 gives by norm equivalence (p >= 2).

    Args:
        image_shape: (channels, height, width).
        scales: J; the output grid is coarser by ``2^J``.
        orientations: L wavelets for each scale.
        order: 0, 1 or 2, the largest number of moduli in a row.
        opponent: rotate RGB into brightness and two colour differences; default: when there are
            three channels.

    >>> phi = Scattering((3, 32, 32))
    >>> phi.output_shape((3, 32, 32)), phi.lipschitz(2) <= 1
    ((147, 8, 8), True)
    """

    colour: Tensor

    def __init__(
        self,
        image_shape: tuple[int, int, int],
        scales: int = 2,
        orientations: int = 6,
        order: int = 2,
        opponent: bool | None = None,
    ) -> None:
        super().__init__()
        image_shape = whole_numbers("image_shape", image_shape, "(3, 32, 32)")  # type: ignore[assignment]
        scales, order = whole_number("scales", scales), whole_number("order", order)
        orientations = whole_number("orientations", orientations)
        if opponent is not None:
            opponent = yes_or_no("opponent", opponent)
        self.image_shape = _checked(image_shape, scales, orientations, order)
        self.scales, self.orientations, self.order = scales, orientations, order
        channels, height, width = self.image_shape
        self.opponent = channels == 3 if opponent is None else opponent
        if self.opponent and channels != 3:
            raise UserError(
                f"opponent colours need 3 channels, got {channels}; pass opponent=False"
            )
        rows = torch.tensor([[1.0, 1, 1], [1, 0, -1], [1, -2, 1]], dtype=torch.float64)
        colour = rows / rows.norm(dim=1, keepdim=True) if self.opponent else torch.eye(channels)
        self.register_buffer("colour", float32_exact(colour), persistent=False)
        cell = 2**scales
        self._pad = (0, -width % cell, 0, -height % cell)
        self.cascade = _Cascade(
            (height + self._pad[3], width + self._pad[1]), scales, orientations, order
        )

    def forward(self, x: Tensor) -> Tensor:
        """(n, c, h, w) -> (n, c * paths, ceil(h / 2^J), ceil(w / 2^J)), in the dtype of ``x``.

        Raises:
            UserError: an input of another shape, or neither float32 nor float64.
        """
        if tuple(x.shape[1:]) != self.image_shape or x.dtype not in (torch.float32, torch.float64):
            raise UserError(
                f"Scattering was built for float32 or float64 images {self.image_shape}, "
                f"got {x.dtype} {tuple(x.shape[1:])}"
            )
        if not len(x):  # the Fourier transform refuses an empty batch
            return x.new_zeros(0, *self.output_shape(self.image_shape))
        x = torch.einsum("dc,nchw->ndhw", self.colour.to(x.dtype), x) if self.opponent else x
        return self.cascade(nn.functional.pad(x, self._pad).unsqueeze(2)).flatten(1, 2)  # type: ignore[no-any-return]

    def lipschitz(self, p: float, s: float | None = None) -> float:
        """See the class; 1 up to the aliasing of the filters for p = s = 2, the way to larger norms."""
        p, s = check_exponent(p), check_exponent(p if s is None else s)
        if s != p:
            through = self.lipschitz(2.0) * widening(math.prod(self.image_shape), 2.0, p)
            return min(through if s >= 2 else math.inf, self.lipschitz(p) if s > p else math.inf)
        # By the filters themselves: a constant must not outlive the numbers it was computed from.
        key = (p, self.image_shape, self.scales, self.orientations, self.order, self._digest())
        bound = _CONSTANTS.get(key)
        if bound is None:
            bound = self.cascade.lipschitz(p) * self._colour_norm(p)
            if p > 2:
                dimension = math.prod(self.image_shape)
                bound = min(bound, self.lipschitz(2) * dimension ** (0.5 - 1 / p))
            bound *= 1 + ROUNDING
            if len(_CONSTANTS) >= MOST_CONSTANTS:
                _CONSTANTS.clear()
            _CONSTANTS[key] = bound
        return bound

    def _digest(self) -> bytes:
        """Of all filters in use, bit for bit."""
        digest = blake2b(digest_size=32)
        for value in self.buffers():
            digest.update(str(value.dtype).encode())
            digest.update(value.detach().cpu().contiguous().numpy().tobytes())
        return digest.digest()

    def sensitivity(self, v: Tensor, p: float, cost: Tensor | None = None) -> Tensor:
        """The smaller of ``Lip_p ||v||_q`` and ``d^max(0, 1/2 - 1/p) Lip_2 ||v||_2``, for unit costs.

        The transform is close to an isometry in l2 only: its constants in l1 and linf are large.
        ``||x||_2 <= d^max(0, 1/2 - 1/p) ||x||_p`` turns what l2 allows into a bound for every p.
        """
        own = super().sensitivity(v, p, cost)
        euclidean = super().sensitivity(v, 2.0, cost)
        longest = float(math.prod(self.image_shape) ** max(0.0, 0.5 - 1 / p))
        return torch.minimum(own, longest * euclidean)

    def _colour_norm(self, p: float) -> float:
        size = self.colour.abs()
        spectral = float(torch.linalg.matrix_norm(self.colour, 2))
        return interpolate(float(size.sum(0).max()), spectral, float(size.sum(1).max()), p)

    def rounding_steps(self, graph: Graph, node: int) -> int:
        """One step, which bounds its errors and slopes in norms."""
        return graph.apply(scattered(self, graph.dtype), node)

    def config(self) -> dict[str, Any]:
        """The constructor's arguments; the filters are rebuilt from them."""
        return {
            "image_shape": list(self.image_shape),
            "scales": self.scales,
            "orientations": self.orientations,
            "order": self.order,
            "opponent": self.opponent,
        }


class _Cascade(nn.Module):
    """One level of the transform and, for each of its scales, the next one."""

    def __init__(
        self, shape: tuple[int, int], scales: int, orientations: int, order: int, first: int = 0
    ) -> None:
        super().__init__()
        self.stage = WaveletStage(shape, scales, orientations, first if order else scales)
        self.deeper = nn.ModuleList(
            # A modulus moves energy to lower frequencies: only coarser wavelets follow.
            _Cascade((shape[0] >> j, shape[1] >> j), scales - j, orientations, order - 1, first=1)
            for j in range(first, scales)
            if order
        )

    def forward(self, x: Tensor) -> Tensor:
        """(n, c, m, h, w) -> (n, c, m * paths, h / 2^scales, w / 2^scales)."""
        low, bands = self.stage(x)
        return torch.cat(
            [low, *(deep(band.abs()) for deep, band in zip(self.deeper, bands, strict=True))], dim=2
        )

    def lipschitz(self, p: float) -> float:
        return self.stage.norm(p, [deep.lipschitz(p) for deep in self.deeper])  # type: ignore[operator]


remember(_Cascade)


def _checked(
    shape: tuple[int, ...], scales: int, orientations: int, order: int
) -> tuple[int, int, int]:
    if len(shape) != 3 or min(shape) < 1:
        raise UserError(f"image_shape must be (channels, height, width), got {shape}")
    if not 1 <= scales < min(shape[1:]).bit_length():
        raise UserError(
            f"scales must be >= 1 and 2^scales <= the image's side, got {scales} for {shape}"
        )
    if orientations < 1 or order not in (0, 1, 2):
        raise UserError(
            f"Scattering needs orientations >= 1 and order 0, 1 or 2, got {orientations} and {order}"
        )
    return (int(shape[0]), int(shape[1]), int(shape[2]))
