"""Linear maps with their transposes, and how many products each entry of a result sums."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Protocol

import torch
import torch.nn.functional as F
from torch import Tensor, nn
from torch.nn import grad

from featureconvex.errors import UserError


class Operator(Protocol):
    """A matrix ``M``, never formed; all tensors in float64.

    ``M x`` and ``M^T g`` must be computed as plain sums of products, in any order: fast
    convolutions (Winograd, Fourier) have other error bounds.
    """

    @property
    def terms(self) -> int:
        """Products summed for one entry of ``M x``."""

    @property
    def transposed_terms(self) -> int:
        """Products summed for one entry of ``M^T g``."""

    def apply(self, x: Tensor) -> Tensor:
        """``M x``, (n, *in) -> (n, *out)."""

    def transposed(self, g: Tensor, shape: torch.Size) -> Tensor:
        """``M^T g``, (n, *out) -> ``shape`` = (n, *in)."""

    def magnitude(self) -> "Operator":
        """``|M|``."""


@dataclass(frozen=True)
class Dense:
    """``x W^T`` on the last dimension, ``weight`` (out, in)."""

    weight: Tensor

    @property
    def terms(self) -> int:
        """Fan-in."""
        return self.weight.shape[1]

    @property
    def transposed_terms(self) -> int:
        """Fan-out."""
        return self.weight.shape[0]

    def apply(self, x: Tensor) -> Tensor:
        """(n, ..., in) -> (n, ..., out)."""
        return x @ self.weight.T

    def transposed(self, g: Tensor, shape: torch.Size) -> Tensor:
        """(n, ..., out) -> (n, ..., in)."""
        return g @ self.weight

    def magnitude(self) -> "Dense":
        """Absolute weights."""
        return Dense(self.weight.abs())


@dataclass(frozen=True)
class Diagonal:
    """``s * x``, ``coefficient`` broadcastable to (n, ...); ``rank`` is the rank of ``x`` it fits."""

    coefficient: Tensor
    rank: int | None = None
    terms = 1
    transposed_terms = 1

    def apply(self, x: Tensor) -> Tensor:
        """Elementwise."""
        if self.rank not in (None, x.ndim):
            raise UserError(f"level 'sound' expected {self.rank} dimensions here, got {x.ndim}")
        return x * self.coefficient

    def transposed(self, g: Tensor, shape: torch.Size) -> Tensor:
        """Elementwise."""
        return g * self.coefficient

    def magnitude(self) -> "Diagonal":
        """Absolute coefficients."""
        return Diagonal(self.coefficient.abs(), self.rank)


@dataclass(frozen=True)
class Convolution:
    """A zero-padded convolution in one or two dimensions.

    In float64 torch computes it by unfolding and matrix products (on a GPU with cuDNN off).
    """

    weight: Tensor
    stride: tuple[int, ...]
    padding: tuple[int, ...]
    dilation: tuple[int, ...]
    groups: int

    @property
    def terms(self) -> int:
        """Input channels of a group times kernel."""
        return self.weight[0].numel()

    @property
    def transposed_terms(self) -> int:
        """Output channels of a group times kernel."""
        return self.weight[:, 0].numel() // self.groups

    def apply(self, x: Tensor) -> Tensor:
        """(n, c, ...) -> (n, c', ...)."""
        run = F.conv2d if self.weight.ndim == 4 else F.conv1d
        return run(x, self.weight, None, self.stride, self.padding, self.dilation, self.groups)

    def transposed(self, g: Tensor, shape: torch.Size) -> Tensor:
        """(n, c', ...) -> (n, c, ...)."""
        run = grad.conv2d_input if self.weight.ndim == 4 else grad.conv1d_input
        out: Tensor = run(  # type: ignore[no-untyped-call]
            shape, self.weight, g, self.stride, self.padding, self.dilation, self.groups
        )
        return out

    def magnitude(self) -> "Convolution":
        """Absolute kernel."""
        return Convolution(self.weight.abs(), self.stride, self.padding, self.dilation, self.groups)


@dataclass(frozen=True)
class Averaging:
    """A pooling layer whose weights are nonnegative, given by its forward pass."""

    pool: Callable[[Tensor], Tensor]
    terms: int

    @property
    def transposed_terms(self) -> int:
        """At most as many windows cover one pixel as there are pixels in a window."""
        return self.terms

    def apply(self, x: Tensor) -> Tensor:
        """(n, c, h, w) -> (n, c, h', w')."""
        return self.pool(x)

    def transposed(self, g: Tensor, shape: torch.Size) -> Tensor:
        """(n, c, h', w') -> (n, c, h, w), by the layer's own backward pass."""
        with torch.enable_grad():
            x = torch.zeros(shape, dtype=g.dtype, device=g.device, requires_grad=True)
            (back,) = torch.autograd.grad(self.pool(x), x, g)
        return back

    def magnitude(self) -> "Averaging":
        """Itself: all weights are nonnegative."""
        return self


def average_pool(pool: nn.AvgPool2d) -> Averaging:
    """The windows of an average pooling layer; a window sums at most ``k k`` pixels and divides."""
    size = pool.kernel_size
    height, width = (size, size) if isinstance(size, int) else size
    return Averaging(pool, height * width + 1)
