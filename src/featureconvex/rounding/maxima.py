"""Maxima as steps: below them, one entry or any convex combination of entries.

A choice is an index, or nonnegative weights in one more dimension, taken as given numbers: the exact
combination has the coefficients ``w_k / sum_j w_j``, computed with at most ``K + 1`` roundings each.
"""

import math
from dataclasses import dataclass
from typing import ClassVar

import torch
import torch.nn.functional as F
from torch import Tensor

from featureconvex.rounding.ball import Ball
from featureconvex.rounding.directed import FLOAT64, Rounding, upper
from featureconvex.rounding.directions import Directions
from featureconvex.rounding.operators import Dense
from featureconvex.rounding.steps import Affine, Mode, Step
from featureconvex.rounding.windows import Convolution, overlap, overlap_constant

# Weights below this share of the largest are taken as 0, which is as good a choice, and cannot underflow.
SMALLEST = 2.0**-500


def _shares(choice: Tensor, inside: Tensor | None = None) -> Tensor:
    """Coefficients of a convex combination over the last dimension; even where all weights are 0.

    Args:
        choice: any numbers; negative ones count as 0.
        inside: bool, broadcastable: the entries that may take part.
    """
    weights = choice.double().clamp_min(0)
    allowed = torch.ones_like(weights) if inside is None else inside.double().expand_as(weights)
    weights = weights * allowed
    weights = weights.where(weights > SMALLEST * weights.amax(dim=-1, keepdim=True), 0.0)
    total = weights.sum(dim=-1, keepdim=True)
    weights = torch.where(total > 0, weights, allowed)
    return weights / weights.sum(dim=-1, keepdim=True)


def _combined(x: Ball, shares: Tensor) -> Ball:
    """``sum_k share_k x_k`` over the last dimension.

    Each share is right to ``gamma_(K + 1)`` relative, and the sum adds ``K`` roundings.
    """
    count = 2 * shares.shape[-1] + 8
    gamma = FLOAT64.gamma(count)
    size = (x.radius * (1 + 2 * gamma)).add_(x.centre.abs(), alpha=2 * gamma)
    return Ball((x.centre * shares).sum(-1), upper((size * shares).sum(-1), count))


def _spread_out(g: Ball, shares: Tensor) -> Ball:
    """``share_k g``, the transposed combination: one more dimension."""
    gamma = FLOAT64.gamma(shares.shape[-1] + 4)
    size = (g.radius * (1 + 2 * gamma)).add_(g.centre.abs(), alpha=2 * gamma).unsqueeze(-1)
    return Ball(g.centre.unsqueeze(-1) * shares, upper(size * shares, 4, (size > 0) & (shares > 0)))


@dataclass(frozen=True)
class WindowMaximum(Step):
    """Max-pooling; ``choice``: the flat index of the pixel taken, or weights (n, c, h, w, kernel)."""

    kernel: tuple[int, int]
    stride: tuple[int, int]
    padding: tuple[int, int]
    dilation: tuple[int, int]
    chooses: ClassVar[bool] = True
    between_norms: ClassVar[bool] = True
    exact: ClassVar[bool] = True

    def constant(self, p: float, s: float) -> float:
        """``m^(1/s)`` for windows of which at most m share a pixel, and s >= p."""
        shared = math.prod(map(overlap, self.kernel, self.stride))
        return overlap_constant(shared, s) if s >= p else math.inf

    def forward(self, x: Ball, mode: Mode, choice: Tensor | None) -> tuple[Ball, Tensor]:
        """``|max a - max b| <= max |a - b|``; taking one pixel is a minorant."""
        args = (self.kernel, self.stride, self.padding, self.dilation)
        if choice is None:
            _, choice = F.max_pool2d(x.centre, *args, return_indices=True)
        if choice.is_floating_point():
            windows = Ball(self._windows(x.centre), self._windows(x.radius))
            return _combined(windows, self._inside(choice, x.centre)), choice
        flat = choice.flatten(2)
        taken = [part.flatten(2).gather(2, flat).view_as(choice) for part in (x.centre, x.radius)]
        if mode.relaxed:
            return Ball(*taken), choice
        return Ball(taken[0], F.max_pool2d(x.radius, *args)), choice

    def backward(self, g: Ball, shape: torch.Size, choice: Tensor | None) -> Ball:
        """Every window's weight goes to its pixel; overlapping windows add up."""
        assert choice is not None
        count = self.kernel[0] * self.kernel[1]
        if choice.is_floating_point():
            parts = _spread_out(g, self._inside(choice, g.centre.new_zeros(1, 1, *shape[2:])))
            gamma = FLOAT64.gamma(count)
            size = (parts.radius * (1 + 2 * gamma)).add_(parts.centre.abs(), alpha=2 * gamma)
            radius = self._folded(size, shape)
            return Ball(self._folded(parts.centre, shape), upper(radius, count + 4, radius > 0))
        flat = choice.flatten(2)

        def scatter(part: Tensor) -> Tensor:
            empty = part.new_zeros(*shape[:2], shape[2] * shape[3])
            return empty.scatter_add(2, flat, part.flatten(2)).view(shape)

        size = g.radius * (1 + 2 * FLOAT64.gamma(count)) + FLOAT64.gamma(count) * g.centre.abs()
        radius = scatter(size)
        return Ball(scatter(g.centre), upper(radius, count + 4, radius > 0))

    def _windows(self, z: Tensor) -> Tensor:
        """(n, c, h, w) -> (n, c, h', w', kernel), zeros for padding."""
        columns = F.unfold(z, self.kernel, self.dilation, self.padding, self.stride)
        out = [
            (z.shape[2 + i] + 2 * self.padding[i] - self.dilation[i] * (self.kernel[i] - 1) - 1)
            // self.stride[i]
            + 1
            for i in range(2)
        ]
        return columns.view(*z.shape[:2], -1, *out).permute(0, 1, 3, 4, 2)

    def _folded(self, windows: Tensor, shape: torch.Size) -> Tensor:
        """The transpose: sums of at most as many terms as a window has pixels."""
        columns = windows.permute(0, 1, 4, 2, 3).flatten(3).flatten(1, 2)
        geometry = (self.kernel, self.dilation, self.padding, self.stride)
        return F.fold(columns, (shape[2], shape[3]), *geometry)

    def _inside(self, choice: Tensor, z: Tensor) -> Tensor:
        """Shares with none for padding."""
        return _shares(choice, self._windows(torch.ones_like(z[:1, :1])) > 0)

    def directions(self, out: Directions, shape: torch.Size) -> Directions:
        """A maximum is nondecreasing in every pixel of its window."""
        window = self._sums(shape[1])
        up, down = (window.transposed(part.double(), shape) > 0 for part in (out.up, out.down))
        return Directions(up, down)

    def _sums(self, channels: int) -> Convolution:
        """Over windows, channel by channel."""
        ones = torch.ones(channels, 1, *self.kernel, dtype=torch.float64)
        return Convolution(ones, self.stride, self.padding, self.dilation, channels)

    def growth(self, g: Ball, shape: torch.Size, arithmetic: Rounding) -> Ball:
        """The largest change in a window is at most the sum of its changes."""
        ones = torch.ones(shape[1], 1, *self.kernel, dtype=g.centre.dtype, device=g.centre.device)
        window = Convolution(ones, self.stride, self.padding, self.dilation, shape[1])
        q, p = (window.transposed(part, shape) for part in (g.centre, g.radius))
        count = window.transposed_terms
        return Ball(upper(q, count, q > 0), upper(p, count, p > 0))


@dataclass(frozen=True)
class PieceMaximum(Step):
    """``max_k <w_k, u> + b_k``; ``choice``: the piece (n,), or weights (n, pieces). (n, d) -> (n,)."""

    affine: Affine
    weight: Tensor
    chooses: ClassVar[bool] = True

    @property
    def bends(self) -> bool:
        """One piece is affine."""
        return len(self.weight) > 1

    def forward(self, x: Ball, mode: Mode, choice: Tensor | None) -> tuple[Ball, Tensor]:
        """``|max a - max b| <= max |a - b|``; one piece is a minorant."""
        values, _ = self.affine.forward(x, mode, None)
        if choice is None:
            choice = values.centre.argmax(dim=1)
        if choice.is_floating_point():
            return _combined(values, _shares(choice)), choice
        column = choice.unsqueeze(1)
        taken = Ball(
            values.centre.gather(1, column).squeeze(1), values.radius.gather(1, column).squeeze(1)
        )
        if mode.relaxed:
            return taken, choice
        return Ball(values.centre.amax(dim=1), values.radius.amax(dim=1)), choice

    def backward(self, g: Ball, shape: torch.Size, choice: Tensor | None) -> Ball:
        """``g w_k``."""
        assert choice is not None
        if choice.is_floating_point():
            return self.affine.backward(_spread_out(g, _shares(choice)), shape, None)
        piece = self.weight[choice]
        centre = g.centre.unsqueeze(1) * piece
        size = g.radius * (1 + 4 * FLOAT64.unit) + 2 * FLOAT64.unit * g.centre.abs()
        return Ball(
            centre,
            upper(size.unsqueeze(1) * piece.abs(), 6, (size.unsqueeze(1) > 0) & (piece != 0)),
        )

    def directions(self, out: Directions, shape: torch.Size) -> Directions:
        """A maximum is nondecreasing in every piece."""
        pieces = Directions(
            *(part[:, None].expand(-1, len(self.weight)) for part in (out.up, out.down))
        )
        return self.affine.directions(pieces, shape)

    def growth(self, g: Ball, shape: torch.Size, arithmetic: Rounding) -> Ball:
        """As one affine function with the largest ``|w_ki|`` over the pieces."""
        envelope = Dense(self.weight.abs().amax(dim=0, keepdim=True))
        return Affine(envelope).growth(g.reshape(-1, 1), shape, arithmetic)
