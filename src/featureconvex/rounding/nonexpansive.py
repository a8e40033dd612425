"""The steps of learned nonexpansive maps: they have constants between norms, and no minorants."""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import ClassVar

import torch
from torch import Tensor
from torch.nn.functional import pad

from featureconvex.distances import distances
from featureconvex.errors import UserError
from featureconvex.norms import dual_exponent, widening
from featureconvex.rounding.ball import Ball, plus
from featureconvex.rounding.directed import Rounding, dual_norm_up, upper
from featureconvex.rounding.directions import Directions
from featureconvex.rounding.operator_norm import ROUND_UP
from featureconvex.rounding.operators import Dense
from featureconvex.rounding.steps import Affine, Mode, OwnError, Step, sum_growth
from featureconvex.rounding.windows import Convolution

# So small that no sum of products with weights overflows for the bias alone.
LARGEST_BIAS = 2.0**60


class _Map(Step):
    """A step without a minorant."""

    between_norms: ClassVar[bool] = True

    def backward(self, g: Ball, shape: torch.Size, choice: Tensor | None) -> Ball:
        """Not affine."""
        raise TypeError(
            f"{type(self).__name__} belongs into a feature map: it has no affine minorant"
        )


@dataclass(frozen=True)
class SortPairs(_Map):
    """Channel i against channel i + k: exact, and two sorted pairs differ by at most what the pairs do."""

    keeps_lengths: ClassVar[bool] = True
    exact: ClassVar[bool] = True

    def forward(self, x: Ball, mode: Mode, choice: Tensor | None) -> tuple[Ball, None]:
        """Either output is within the larger of the two radii."""
        (a, b), (r, s) = x.centre.chunk(2, dim=1), x.radius.chunk(2, dim=1)
        larger = torch.maximum(r, s)
        return Ball(
            torch.cat((torch.maximum(a, b), torch.minimum(a, b)), dim=1),
            torch.cat((larger, larger), dim=1),
        ), None

    def growth(self, g: Ball, shape: torch.Size, arithmetic: Rounding) -> Ball:
        """The changes of a pair sum to at most as much as before, so both get the larger weight."""
        q, p = (torch.maximum(*part.chunk(2, dim=1)) for part in (g.centre, g.radius))
        return Ball(torch.cat((q, q), dim=1), torch.cat((p, p), dim=1))

    def directions(self, out: Directions, shape: torch.Size) -> Directions:
        """Both are nondecreasing in both."""
        up, down = (torch.logical_or(*part.chunk(2, dim=1)) for part in (out.up, out.down))
        return Directions(torch.cat((up, up), dim=1), torch.cat((down, down), dim=1))

    def constant(self, p: float, s: float) -> float:
        """1 from l_p to l_p, and to every larger norm."""
        return 1.0 if s >= p else math.inf


@dataclass(frozen=True)
class Folding(Step):
    """Blocks of k x k pixels become channels, zeros added where the image ends: no arithmetic."""

    factor: int
    keeps_lengths: ClassVar[bool] = True
    exact: ClassVar[bool] = True

    def forward(self, x: Ball, mode: Mode, choice: Tensor | None) -> tuple[Ball, None]:
        """Exact."""
        return Ball(fold(x.centre, self.factor), fold(x.radius, self.factor)), None

    def backward(self, g: Ball, shape: torch.Size, choice: Tensor | None) -> Ball:
        """Exact."""
        return Ball(unfold(g.centre, self.factor, shape), unfold(g.radius, self.factor, shape))

    def growth(self, g: Ball, shape: torch.Size, arithmetic: Rounding) -> Ball:
        """Exact."""
        return self.backward(g, shape, None)

    def directions(self, out: Directions, shape: torch.Size) -> Directions:
        """Moved."""
        return Directions(*(unfold(part, self.factor, shape) for part in (out.up, out.down)))

    def constant(self, p: float, s: float) -> float:
        """1 from l_p to l_p, and to every larger norm."""
        return 1.0 if s >= p else math.inf


def fold(x: Tensor, factor: int) -> Tensor:
    """(n, c, h, w) -> (n, c k^2, h / k, w / k), with zeros below and right that make h and w divisible.

    Not torch's pixel_unshuffle, which leaves a batch without rows as it is.
    """
    below, right = (-side % factor for side in x.shape[2:])
    x = pad(x, (0, right, 0, below))
    n, c, h, w = x.shape
    blocks = x.reshape(n, c, h // factor, factor, w // factor, factor)
    moved = blocks.permute(0, 1, 3, 5, 2, 4)
    return moved.reshape(n, c * factor**2, h // factor, w // factor)


def unfold(g: Tensor, factor: int, shape: Sequence[int]) -> Tensor:
    """The transposed map: back to images of ``shape`` (n, c, h, w)."""
    n, c, h, w = g.shape
    blocks = g.reshape(n, c // factor**2, factor, factor, h, w)
    whole = blocks.permute(0, 1, 4, 2, 5, 3).reshape(n, shape[1], h * factor, w * factor)
    return whole[:, :, : shape[2], : shape[3]]


@dataclass(frozen=True)
class ToPoints(_Map):
    """``||x - w_j||_p`` for every row of ``weight`` (k, d), p one of 1, 2, inf."""

    weight: Tensor
    p: float

    def forward(self, x: Ball, mode: Mode, choice: Tensor | None) -> tuple[Ball, None]:
        """The triangle inequality, and the rounding of differences, sums, squares and a root.

        A computed distance errs by at most ``gamma`` of itself, in any order, and by what underflows.
        """
        count = 4 if math.isinf(self.p) else self.weight.shape[1] + 8
        gamma = mode.arithmetic.gamma(count)
        centre = distances(x.centre, self.weight, self.p)
        # In the mode at hand the point is off by its radius, which moves every distance by as much.
        moved = dual_norm_up(x.radius, _dual(self.p)).unsqueeze(1)
        underflow = mode.arithmetic.absolute(count) ** (0.5 if self.p == 2 else 1.0)
        radius = (1 + 2 * gamma) * moved + 2 * gamma * centre + underflow
        return Ball(centre, upper(radius, count + 8)), None

    def own_error(self, s: float, zero: Tensor, arithmetic: Rounding) -> OwnError:
        """Relative to each distance, and what underflows."""
        count = 4 if math.isinf(self.p) else self.weight.shape[1] + 8
        underflow = arithmetic.absolute(count) ** (0.5 if self.p == 2 else 1.0)
        lost = underflow * widening(self.weight.shape[0], s, math.inf) * ROUND_UP
        return OwnError(outputs=2 * arithmetic.gamma(count), offset=lost)

    def growth(self, g: Ball, shape: torch.Size, arithmetic: Rounding) -> Ball:
        """A distance changes by at most the l1 norm of a change."""
        count = 4 if math.isinf(self.p) else self.weight.shape[1] + 8
        gamma = arithmetic.gamma(count)
        outputs = g.centre.shape[1]
        q, p = (part.sum(1, keepdim=True) for part in (g.centre, g.radius))
        arriving = upper(q * (1 + 2 * gamma), outputs + 4)
        changed = upper(p * (1 + 2 * gamma) + 2 * gamma * q, outputs + 6)
        return Ball(arriving.expand(-1, *shape[1:]), changed.expand(-1, *shape[1:]))

    def constant(self, p: float, s: float) -> float:
        """1 from its own norm to linf, and what follows."""
        inputs, outputs = self.weight.shape[1], self.weight.shape[0]
        return widening(inputs, self.p, p) * widening(outputs, s, math.inf)


def _dual(p: float) -> float:
    return {1.0: math.inf, 2.0: 2.0, math.inf: 1.0}[p]


def to_points(weight: Tensor, p: float) -> ToPoints:
    """The step.

    Raises:
        UserError: an exponent whose powers have no proved rounding.
    """
    if p not in (1.0, 2.0, math.inf):
        raise UserError(
            f"level 'sound' knows distances with p = 1, 2 and inf, got {p:g}; train one of these, or use "
            "another level"
        )
    return ToPoints(weight, p)


@dataclass(frozen=True)
class Residual(_Map):
    """``x - 2 V^T relu(V x + b)``, with a proved constant in l2.

    Attributes:
        inner: ``V x + b``.
        outer: ``-2 V^T``.
        bound: at least the constant.
        width: the number of coordinates.
    """

    inner: Affine
    outer: Affine
    bound: float
    width: int

    @staticmethod
    def of(weight: Tensor, bias: Tensor, bound: float) -> "Residual":
        """From ``V`` (hidden, width), ``b`` and the constant."""
        outer = Dense(-2 * weight.T)
        return Residual(
            Affine(Dense(weight), bias, bias.abs()), Affine(outer), bound, outer.weight.shape[0]
        )

    @staticmethod
    def of_images(
        kernel: Tensor, bias: Tensor, bound: float, shape: tuple[int, int, int]
    ) -> "Residual":
        """The same for a convolution (hidden, c, k, k), k odd, with zeros around images (c, h, w)."""
        bias, k = bias[:, None, None], kernel.shape[-1]
        around = ((1, 1), (k // 2, k // 2), (1, 1), 1)
        inner = Affine(Convolution(kernel, *around), bias, bias.abs())
        outer = Affine(Convolution(-2 * kernel.transpose(0, 1).flip(2, 3), *around))
        return Residual(inner, outer, bound, math.prod(shape))

    @property
    def convolves(self) -> bool:
        """As its parts do."""
        return self.inner.convolves

    def forward(self, x: Ball, mode: Mode, choice: Tensor | None) -> tuple[Ball, None]:
        """Three steps; doubling is exact."""
        hidden, _ = self.inner.forward(x, mode, None)
        # relu is 1-Lipschitz and exact.
        kept = Ball(hidden.centre.clamp_min(0.0), hidden.radius)
        moved, _ = self.outer.forward(kept, mode, None)
        return plus(x, moved, mode.arithmetic), None

    def growth(self, g: Ball, shape: torch.Size, arithmetic: Rounding) -> Ball:
        """Along both ways."""
        direct = sum_growth(g, arithmetic)
        with torch.no_grad():
            middle = self.inner.operator.apply(g.centre.new_zeros(len(g.centre), *shape[1:])).shape
        hidden = self.outer.growth(direct, middle, arithmetic)
        back = self.inner.growth(hidden, shape, arithmetic)
        return Ball(upper(direct.centre + back.centre, 1), upper(direct.radius + back.radius, 1))

    def own_error(self, s: float, zero: Tensor, arithmetic: Rounding) -> OwnError | None:
        """What the parts round, carried on by the outer one, and the rounding of the sum."""
        hidden = self.inner.operator.apply(zero)
        inner = self.inner.own_error(s, zero, arithmetic)
        outer = self.outer.own_error(s, hidden, arithmetic)
        if inner is None or outer is None or self.inner.bias is None:
            return None
        # Of V and of -2 V^T: in l2 the norm of V is at most the root of (bound + 1) / 2.
        root = math.sqrt((self.bound + 1) / 2)
        v, w = (
            (root, 2 * root)
            if s == 2
            else (self.inner.operator.size_norm(s), self.outer.operator.size_norm(s))
        )
        bias = self.inner.bias.expand(hidden.shape).abs()
        longest = float(dual_norm_up(bias, dual_exponent(s)))
        rate, offset, u = w * inner.inputs, w * inner.offset + outer.offset, arithmetic.unit
        # The outer part sees relu(V z + b) with its own error.
        rate += outer.inputs * (v + inner.inputs)
        offset += outer.inputs * (longest + inner.offset)
        # The sum of z and the moved part, as computed.
        more = 1 + 2.0**-40
        return OwnError(rate * (1 + u) * more, u, offset * (1 + u) * more)

    def constant(self, p: float, s: float) -> float:
        """Through l2."""
        wide = widening(self.width, 2.0, p) * widening(self.width, s, 2.0)
        return self.bound * wide * (1 + 2.0**-50)

    @property
    def amplification(self) -> float:
        """Sums of products with ``V``, whose entries are at most its norm, and with ``-2 V``."""
        assert self.inner.bias is not None
        if float(self.inner.bias.abs().max()) > LARGEST_BIAS:
            return math.inf
        # The norm of V is at most the root of (bound + 1) / 2.
        terms = self.inner.operator.terms * self.inner.operator.transposed_terms
        return 8.0 * max(1.0, self.bound) * terms
