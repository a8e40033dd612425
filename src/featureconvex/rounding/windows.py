"""Linear maps on windows of an image: convolutions and average pooling."""

import math
from collections.abc import Callable
from dataclasses import dataclass
from functools import cached_property

import torch
import torch.nn.functional as F
from torch import Tensor, nn
from torch.nn import grad

from featureconvex.rounding.ball import Ball
from featureconvex.rounding.directed import TINY, euclidean_up, upper
from featureconvex.rounding.operator_norm import ROUND_UP
from featureconvex.rounding.operators import Operator


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
    convolves = True

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

    def size_norm(self, s: float) -> float:
        """No row and no column of ``|M|`` has more than a whole kernel; ``l_2``: by Schur's test."""
        size = self.weight.abs()
        rows = float(size.flatten(1).sum(1).max())
        columns = float(size.transpose(0, 1).flatten(1).sum(1).max())
        known = {math.inf: rows, 1.0: columns, 2.0: math.sqrt(rows * columns)}
        return known.get(s, math.inf) * ROUND_UP

    def signs(self) -> tuple["Convolution", "Convolution"]:
        """Of the kernel."""
        return self._like((self.weight > 0).double()), self._like((self.weight < 0).double())

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
        """(n, c, h', w') -> (n, c, h, w), by the layer's own backward pass; differentiable in ``g``."""
        differentiable = torch.is_grad_enabled() and g.requires_grad
        with torch.enable_grad():
            x = torch.zeros(shape, dtype=g.dtype, device=g.device, requires_grad=True)
            (back,) = torch.autograd.grad(self.pool(x), x, g, create_graph=differentiable)
        return back

    def magnitude(self) -> "Averaging":
        """Itself: all weights are nonnegative."""
        return self

    def signs(self) -> tuple["Averaging", None]:
        """All weights are positive."""
        return self, None


@dataclass(frozen=True)
class WindowSums(Averaging):
    """Sums over windows of ``size`` pixels that overlap at most ``overlap`` times, over ``divisor``."""

    overlap: int
    divisor: int

    def norm(self, p: float, s: float) -> float:
        """``size^(1 - 1/p) overlap^(1/s) / divisor`` for s >= p.

        With ``a_k`` the p-norm of window k, an output is at most ``size^(1 - 1/p) a_k / divisor`` by
        Hoelder's inequality, ``sum a_k^p <= overlap ||x||_p^p`` and ``max a_k <= ||x||_p``, so that
        ``sum a_k^s <= overlap ||x||_p^s``.
        """
        if s < p:
            return math.inf
        share = self.size ** (1 - 1 / p) / self.divisor
        return float(share * overlap_constant(self.overlap, s) * ROUND_UP)


def overlap(size: int, stride: int) -> int:
    """How many windows of a size share a place, at most, in one dimension.

    >>> overlap(2, 2), overlap(3, 2), overlap(2, 3)
    (1, 2, 1)
    """
    return -(-size // stride)


def overlap_constant(overlap: int, s: float) -> float:
    """``overlap^(1/s)``: from l_p to l_s, s >= p, of maxima over windows that overlap so many times.

    A maximum moves by at most the largest move ``a_k`` in its window; the sum of ``a_k^s`` counts every
    move at most ``overlap`` times.

    >>> overlap_constant(1, 2.0), overlap_constant(4, 2.0) >= 2
    (1.0, True)
    """
    return 1.0 if overlap == 1 else overlap ** (1 / s) * ROUND_UP


def average_pool(pool: nn.AvgPool2d) -> Averaging:
    """The windows of an average pooling layer."""
    size = pool.kernel_size
    height, width = (size, size) if isinstance(size, int) else size
    return Averaging(pool, height * width)
