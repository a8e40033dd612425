"""Linear maps with their transposes, and how many products each entry of a result sums."""

from abc import ABC, abstractmethod
from collections.abc import Callable
from dataclasses import dataclass
from functools import cached_property

import torch
import torch.nn.functional as F
from torch import Tensor, nn
from torch.nn import grad

from featureconvex.certificates.rounding.ball import Ball
from featureconvex.certificates.rounding.directed import TINY, euclidean_up, upper
from featureconvex.errors import UserError


class Operator(ABC):
    """A matrix ``M``, never formed; all tensors in float64.

    ``M x`` and ``M^T g`` must be computed as plain sums of products, in any order: fast
    convolutions (Winograd, Fourier) have other error bounds.
    """

    @property
    @abstractmethod
    def terms(self) -> int:
        """Products summed for one entry of ``M x``."""

    @property
    @abstractmethod
    def transposed_terms(self) -> int:
        """Products summed for one entry of ``M^T g``."""

    @abstractmethod
    def apply(self, x: Tensor) -> Tensor:
        """``M x``, (n, *in) -> (n, *out)."""

    @abstractmethod
    def transposed(self, g: Tensor, shape: torch.Size) -> Tensor:
        """``M^T g``, (n, *out) -> ``shape`` = (n, *in)."""

    @abstractmethod
    def magnitude(self) -> "Operator":
        """``|M|``."""

    def spread(self, x: Ball, gamma: float) -> Tensor:
        """At least ``|M| ((1 + 2 gamma) r + gamma |c|)``; a subclass may trade size for speed."""
        size = (x.radius * (1 + 2 * gamma)).add_(x.centre.abs(), alpha=gamma)
        return upper(self.magnitude().apply(size), self.terms + 4)

    def spread_transposed(self, g: Ball, shape: torch.Size, gamma: float) -> Tensor:
        """The same for ``|M|^T``; zero for rows of ``g`` that are zero throughout."""
        size = (g.radius * (1 + 2 * gamma)).add_(g.centre.abs(), alpha=gamma)
        live = ((g.centre != 0) | (g.radius != 0)).flatten(1).any(dim=1)
        back = self.magnitude().transposed(size, shape)
        return upper(back, self.transposed_terms + 4, live.view(-1, *[1] * (len(shape) - 1)))


@dataclass(frozen=True)
class Dense(Operator):
    """``x W^T`` on the last dimension, ``weight`` (out, in).

    Spread by the Cauchy-Schwarz inequality, ``(|W| s)_j <= ||W_j||_2 ||s||_2``, without a second product.
    """

    weight: Tensor

    @property
    def terms(self) -> int:
        """Fan-in."""
        return self.weight.shape[1]

    @property
    def transposed_terms(self) -> int:
        """Fan-out."""
        return self.weight.shape[0]

    @cached_property
    def rows(self) -> Tensor:
        """(out,): at least the Euclidean norms of the rows."""
        return euclidean_up(self.weight)

    @cached_property
    def columns(self) -> Tensor:
        """(in,): at least the Euclidean norms of the columns."""
        return euclidean_up(self.weight.T)

    def apply(self, x: Tensor) -> Tensor:
        """(n, ..., in) -> (n, ..., out)."""
        return x @ self.weight.T

    def transposed(self, g: Tensor, shape: torch.Size) -> Tensor:
        """(n, ..., out) -> (n, ..., in)."""
        return g @ self.weight

    def magnitude(self) -> "Dense":
        """Absolute weights."""
        return Dense(self.weight.abs())

    def spread(self, x: Ball, gamma: float) -> Tensor:
        """(n, ..., in) -> (n, ..., out)."""
        return upper(_size(x, gamma) * self.rows, 6)

    def spread_transposed(self, g: Ball, shape: torch.Size, gamma: float) -> Tensor:
        """(n, ..., out) -> (n, ..., in)."""
        size = _size(g, gamma)
        return upper(size * self.columns, 6, size > 0)


def _size(x: Ball, gamma: float) -> Tensor:
    """(n, ..., 1): at least ``||(1 + 2 gamma) r + gamma |c|||_2`` over the last dimension; 0 for zeros."""
    radius, centre = euclidean_up(x.radius), euclidean_up(x.centre)
    scaled = upper(centre * gamma, 1, centre > 0)
    return (radius * (1 + 2 * gamma) + scaled).unsqueeze(-1)


@dataclass(frozen=True)
class Diagonal(Operator):
    """``s * x``, ``coefficient`` broadcastable to (n, ...); ``rank`` is the rank of ``x`` it fits."""

    coefficient: Tensor
    rank: int | None = None

    @property
    def terms(self) -> int:
        """1."""
        return 1

    @property
    def transposed_terms(self) -> int:
        """1."""
        return 1

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
class Convolution(Operator):
    """A zero-padded convolution in one or two dimensions.

    In float64 torch computes it by unfolding and matrix products (on a GPU with cuDNN off). Spread by
    the Cauchy-Schwarz inequality on every window: one channel in place of many.
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
        return self._like(self.weight.abs())

    def _like(self, weight: Tensor) -> "Convolution":
        return Convolution(weight, self.stride, self.padding, self.dilation, self.groups)

    @cached_property
    def _window(self) -> "Convolution":
        """Sums over windows of one channel."""
        return self._like(torch.ones_like(self.weight[:1, :1]))

    def spread(self, x: Ball, gamma: float) -> Tensor:
        """``||w_o||_2 ||s on the window||_2``."""
        size = (x.radius * (1 + 2 * gamma)).add_(x.centre.abs(), alpha=gamma)
        if self.groups != 1 or not _ordinary(size):
            return super().spread(x, gamma)
        squares = self._window.apply(size.square().sum(dim=1, keepdim=True))
        norms = euclidean_up(self.weight.flatten(1)).view(-1, *[1] * (size.ndim - 2))
        return upper(_root(squares, self.terms) * norms, 8)

    def spread_transposed(self, g: Ball, shape: torch.Size, gamma: float) -> Tensor:
        """``||w_i||_2 ||s on the outputs that see the pixel||_2``."""
        size = (g.radius * (1 + 2 * gamma)).add_(g.centre.abs(), alpha=gamma)
        if self.groups != 1 or not _ordinary(size):
            return super().spread_transposed(g, shape, gamma)
        single = torch.Size((shape[0], 1, *shape[2:]))
        squares = self._window.transposed(size.square().sum(dim=1, keepdim=True), single)
        norms = euclidean_up(self.weight.transpose(0, 1).flatten(1)).view(
            -1, *[1] * (size.ndim - 2)
        )
        live = (size > 0).flatten(1).any(dim=1).view(-1, *[1] * (size.ndim - 1))
        return upper(_root(squares, self.transposed_terms) * norms, 8, live) * live


def _ordinary(size: Tensor) -> bool:
    """Whether squares of all rows are far from under- and overflow, or the rows zero."""
    top = size.flatten(1).amax(dim=1)
    return bool((((top >= 2.0**-300) & (top <= 2.0**300)) | (top == 0)).all())


def _root(squares: Tensor, terms: int) -> Tensor:
    """At least the root of sums of squares; what underflowed is below 2^-480 of an ordinary row."""
    return upper(squares.add_(TINY), terms + 4).sqrt_()


@dataclass(frozen=True)
class Averaging(Operator):
    """A pooling layer whose weights are nonnegative, given by its forward pass."""

    pool: Callable[[Tensor], Tensor]
    size: int

    @property
    def terms(self) -> int:
        """Pixels of a window, and one division."""
        return self.size + 1

    @property
    def transposed_terms(self) -> int:
        """At most as many windows cover one pixel as there are pixels in a window."""
        return self.size + 1

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
    """The windows of an average pooling layer."""
    size = pool.kernel_size
    height, width = (size, size) if isinstance(size, int) else size
    return Averaging(pool, height * width)
