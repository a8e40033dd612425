"""SDP-based Lipschitz layers (Araujo et al., ICLR 2023, arXiv 2303.03169)."""

import math

import torch
from torch import Tensor, nn
from torch.nn.functional import conv2d, conv_transpose2d, linear, relu

from featureconvex.features.nonexpansive.layers import Frozen, LipschitzLayer
from featureconvex.rounding.spectral_bound import (
    convolution_blocks,
    scaled_bound,
    spectral_bound,
)

# Keeps the weight of a hidden unit that does nothing finite.
SMALLEST = 1e-12


class SLLDense(LipschitzLayer):
    """``x - 2 W^T T^-1 relu(W x + b)``: (n, width) -> (n, width), ``W`` (hidden, width).

    ``T = diag(sum_j |W W^T|_ij q_j / q_i)`` with ``q > 0`` is at least ``W W^T`` (diagonal dominance),
    and that makes the layer 1-Lipschitz (theorem 3 of the paper).
    """

    def __init__(self, width: int, hidden: int) -> None:
        super().__init__()
        self.weight = nn.Parameter(torch.empty(hidden, width))
        nn.init.xavier_normal_(self.weight)
        self.bias = nn.Parameter(torch.zeros(hidden))
        self.log_q = nn.Parameter(torch.zeros(hidden))

    def inverse(self, dtype: torch.dtype) -> Tensor:
        """(hidden,): the diagonal of ``T^-1``."""
        weight, q = self.weight.to(dtype), self.log_q.to(dtype).exp()
        return 1 / ((weight @ weight.T).abs() @ q / q + SMALLEST)

    def forward(self, x: Tensor) -> Tensor:
        """The layer."""
        hidden = relu(linear(x, self.weight, self.bias)) * self.inverse(x.dtype)
        return x - 2 * hidden @ self.weight

    def frozen(self) -> Frozen:
        """With the norm of ``T^-1/2 W`` as computed."""
        weight, bias = self.weight.detach().double(), self.bias.detach().double()
        inverse = self.inverse(torch.float64).detach()
        norm = scaled_bound(weight, inverse)

        def apply(x: Tensor) -> Tensor:
            return x - 2 * (relu(linear(x, weight, bias)) * inverse) @ weight

        return Frozen(apply, residual_bound(norm))


class SLLConv(LipschitzLayer):
    """The same with a convolution ``W`` (zeros outside the image): (n, c, h, w) -> the same shape."""

    def __init__(self, channels: int, hidden: int, height: int, width: int) -> None:
        super().__init__()
        self.grid = height, width
        self.weight = nn.Parameter(torch.empty(hidden, channels, 3, 3))
        nn.init.xavier_normal_(self.weight)
        self.bias = nn.Parameter(torch.zeros(hidden))
        self.log_q = nn.Parameter(torch.zeros(hidden))

    def inverse(self, dtype: torch.dtype) -> Tensor:
        """(hidden,): one entry of the diagonal of ``T^-1`` per hidden channel."""
        weight, q = self.weight.to(dtype), self.log_q.to(dtype).exp()
        overlaps = conv2d(weight, weight, padding=2).abs().sum(dim=(2, 3))
        return 1 / (overlaps @ q / q + SMALLEST)

    def forward(self, x: Tensor) -> Tensor:
        """The layer."""
        return _residual(x, self.weight, self.bias, self.inverse(x.dtype))

    def frozen(self) -> Frozen:
        """With the norm of ``T^-1/2 W`` on a torus that holds the image and its border."""
        weight, bias = self.weight.detach().double(), self.bias.detach().double()
        inverse = self.inverse(torch.float64).detach()
        blocks, errs = convolution_blocks(weight, *self.grid)
        norm = scaled_bound(blocks, inverse) + errs * math.sqrt(float(inverse.amax())) * (1 + 1e-9)
        return Frozen(
            lambda x: _residual(x, weight, bias, inverse),
            residual_bound(math.nextafter(norm, math.inf)),
        )


def _residual(x: Tensor, weight: Tensor, bias: Tensor, inverse: Tensor) -> Tensor:
    hidden = relu(conv2d(x, weight, bias, padding=1)) * inverse[:, None, None]
    return x - 2 * conv_transpose2d(hidden, weight, padding=1)


def residual_bound(norm: float) -> float:
    """At least the Lipschitz constant of ``x - 2 W^T T^-1 relu(W x + b)``: ``max(1, 2 c - 1)``.

    Between any two points the layer is ``J = I - 2 W^T T^-1 D W`` with a diagonal ``0 <= D <= I``, and
    ``J^T J = I - 4 W^T T^-1 D W + 4 W^T D T^-1 W W^T T^-1 D W``. As ``T^-1/2 W W^T T^-1/2 <= c I`` for
    ``c = ||T^-1/2 W||^2``, that is at most ``I - 4 W^T T^-1/2 (D - c D^2) T^-1/2 W``, and
    ``D - c D^2 >= min(0, 1 - c)``. So the square of the constant is at most ``1`` for ``c <= 1`` (theorem
    3 of the paper) and ``1 + 4 c (c - 1) = (2 c - 1)^2`` beyond.

    Args:
        norm: at least ``||T^-1/2 W||``.

    >>> residual_bound(0.9), round(residual_bound(1.1), 6)
    (1.0, 1.42)
    """
    return max(1.0, (2 * norm * norm - 1) * (1 + 1e-14))


class UnitRow(LipschitzLayer):
    """``<w, x> / ||w|| + b``: (n, inputs) -> (n, 1), the last layer."""

    def __init__(self, inputs: int) -> None:
        super().__init__()
        self.weight = nn.Parameter(torch.randn(1, inputs))
        self.bias = nn.Parameter(torch.zeros(1))

    def forward(self, x: Tensor) -> Tensor:
        """The layer."""
        return linear(x, self.weight / self.weight.norm(), self.bias)

    def frozen(self) -> Frozen:
        """With the length of the row as computed."""
        weight, bias = self.weight.detach().double(), self.bias.detach().double()
        row = weight / weight.norm()
        return Frozen(lambda x: linear(x, row, bias), spectral_bound(row))
