"""The steps of a network, each with its rounding errors forward and backward.

Every step maps one tensor to one. It knows three passes:

``forward``
    a :class:`~featureconvex.rounding.ball.Ball` through the step, either as it is
    (``relaxed=False``) or with its nonlinearity replaced by an affine minorant (``relaxed=True``).
    The radius bounds the distance from the exact value of *every* evaluation with the unit
    roundoff of ``arithmetic`` or a smaller one: of the float64 centre and of the deployed network.
``backward``
    the transposed affine minorant, for slopes; in float64.
``growth``
    how the error bound of ``forward`` can grow away from the point it was computed at. The bound at
    another point is at most the bound here plus ``<p, |change of the input|>``; the pass carries a ball
    with ``p`` as radius and, as centre, the weight ``q`` of the error at that place in the final bound.
"""

import math
from abc import ABC, abstractmethod
from dataclasses import dataclass
from functools import cached_property
from typing import ClassVar, NamedTuple

import torch
from torch import Tensor

from featureconvex.errors import UserError
from featureconvex.norms import dual_exponent
from featureconvex.rounding.ball import Ball, plus
from featureconvex.rounding.directed import FLOAT64, Rounding, dual_norm_up, upper
from featureconvex.rounding.directions import Directions
from featureconvex.rounding.operator_norm import ROUND_UP, costed, operator_norm
from featureconvex.rounding.operators import Dense, Diagonal, Operator


@dataclass(frozen=True)
class Mode:
    """What ``forward`` encloses."""

    arithmetic: Rounding
    relaxed: bool


class OwnError(NamedTuple):
    """``||fl(step(z)) - step(z)||_s <= inputs ||z||_s + outputs ||step(z)||_s + offset`` for every z."""

    inputs: float = 0.0
    outputs: float = 0.0
    offset: float = 0.0


class Step(ABC):
    """One step; ``choice`` is the affine minorant taken: slopes, or indices of a maximum.

    Attributes:
        chooses: whether the step takes a choice, as those do that may be nonlinear.
        between_norms: whether it has constants between norms only, so that a map with such a step is
            bounded by :meth:`constant` alone.
        mixes: whether every output depends on many inputs, in feature maps. Then the weights of ``growth``
            and ``pull`` are the same for all inputs, and stand for ``weight ||change||_2``.
        exact: whether nothing is rounded.
        keeps_lengths: whether changes keep their Euclidean length or lose some, and equal weights stay as
            they are in ``growth``.
    """

    chooses: ClassVar[bool] = False
    mixes: ClassVar[bool] = False
    between_norms: ClassVar[bool] = False
    keeps_lengths: ClassVar[bool] = False
    exact: ClassVar[bool] = False

    @property
    def bends(self) -> bool:
        """Whether the step is not affine."""
        return self.chooses

    @property
    def coordinatewise(self) -> bool:
        """Whether every output depends on one input only."""
        return False

    @property
    def convolves(self) -> bool:
        """Whether a forward pass runs torch's convolutions."""
        return False

    @property
    def amplification(self) -> float:
        """No number on the way is more than this many times the largest in front."""
        return 1.0

    @abstractmethod
    def forward(self, x: Ball, mode: Mode, choice: Tensor | None) -> tuple[Ball, Tensor | None]:
        """The enclosure, and the minorant taken (the tangent where ``choice`` is None)."""

    @abstractmethod
    def backward(self, g: Ball, shape: torch.Size, choice: Tensor | None) -> Ball:
        """``g`` through the transposed minorant; ``shape`` is the input's."""

    @abstractmethod
    def growth(self, g: Ball, shape: torch.Size, arithmetic: Rounding) -> Ball:
        """Weights of the error bound at the input, from those at the output; all >= 0."""

    def pull(self, p: Tensor, shape: torch.Size) -> Tensor:
        """``p'`` with ``<p, |change of the output|> <= <p', |change of the input|>``, without rounding."""
        return self.growth(Ball(torch.zeros_like(p), p), shape, FLOAT64).radius

    def directions(self, out: Directions, shape: torch.Size) -> Directions:
        """What is known at the input, of shape (1, ...), from what is known at the output.

        Raises:
            UserError: the step is not known to be nondecreasing in anything.
        """
        raise UserError(f"{type(self).__name__} is not known to be monotone")

    def lipschitz(self, p: float) -> float:
        """At least the constant in l_p, of a step that mixes."""
        raise TypeError(f"{type(self).__name__} is bounded entry by entry")

    def constant(self, p: float, s: float) -> float:
        """At least the constant from l_p to l_s in exact arithmetic; inf where nothing is known."""
        return math.inf

    def own_error(self, s: float, zero: Tensor, arithmetic: Rounding) -> OwnError | None:
        """What the step itself rounds in ``arithmetic``, in l_s, s one of 2 and inf; None: not known.

        Args:
            s: exponent.
            zero: one input of zeros, float64.
            arithmetic: of the forward pass.
        """
        return OwnError() if self.exact else None

    def constant_per_cost(self, cost: Tensor, p: float, s: float) -> float:
        """The same for the costed l_p norm; ``cost`` is broadcastable to one input."""
        return self.constant(p, s) * float((1 / cost).max()) * ROUND_UP


def _alive(g: Ball) -> Tensor:
    """(n, 1, ...) bool: rows that are not zero throughout. Zero rows stay exactly zero."""
    row = ((g.centre != 0) | (g.radius != 0)).flatten(1).any(dim=1)
    return row.view(-1, *[1] * (g.centre.ndim - 1))


@dataclass(frozen=True)
class Affine(Step):
    """``M x + b``.

    Theorem (forward): if ``|x' - x| <= r`` and ``|c - x| <= r``, any evaluation at ``x'`` errs by at
    most ``|M| ((1 + 2 gamma) r + gamma |c|) + gamma |b| + absolute``, ``gamma = gamma_(n + extra + 2)``.
    Proof: ``|fl(M x' + b) - (M x + b)| <= |M| |x' - x| + gamma (|M| |x'| + |b|)``, ``|x'| <= |c| + 2 r``.

    Attributes:
        operator: ``M``.
        bias: ``b``, broadcastable to the output, or None.
        bias_size: bound on the terms summed in ``b`` (``|b|`` itself for a stored bias).
        extra: further roundings in the coefficients of ``M`` and ``b``.
    """

    operator: Operator
    bias: Tensor | None = None
    bias_size: Tensor | None = None
    extra: int = 0

    @property
    def coordinatewise(self) -> bool:
        """Diagonal matrices."""
        return isinstance(self.operator, Diagonal)

    @property
    def convolves(self) -> bool:
        """Convolutions."""
        return self.operator.convolves

    def constant(self, p: float, s: float) -> float:
        """The operator norm."""
        return self.operator.norm(p, s)

    def constant_per_cost(self, cost: Tensor, p: float, s: float) -> float:
        """The operator norm of ``M diag(1 / cost)``."""
        if not isinstance(self.operator, Dense):
            return super().constant_per_cost(cost, p, s)
        weight = self.operator.weight
        return operator_norm(costed(weight, cost.expand(weight.shape[1])), p, s)

    def own_error(self, s: float, zero: Tensor, arithmetic: Rounding) -> OwnError | None:
        """``gamma || |M| ||_s`` of the input, and the rounding of the bias; see the theorem above."""
        count = self.operator.terms + self.extra + 2
        gamma = arithmetic.gamma(count)
        offset = self.operator.apply(zero) + arithmetic.absolute(count)
        if self.bias_size is not None:
            offset = offset + gamma * self.bias_size
        lost = dual_norm_up(upper(offset, 3), dual_exponent(s))
        return OwnError(gamma * self.operator.size_norm(s) * ROUND_UP, 0.0, float(lost))

    def directions(self, out: Directions, shape: torch.Size) -> Directions:
        """A positive entry keeps the direction, a negative one turns it."""
        positive, negative = self.operator.signs()

        def back(signs: Operator, flags: Tensor) -> Tensor:
            return signs.transposed(flags.double(), shape) > 0

        found = Directions(back(positive, out.up), back(positive, out.down))
        if negative is None:
            return found
        return found.either(Directions(back(negative, out.down), back(negative, out.up)))

    @cached_property
    def magnitude(self) -> Operator:
        """``|M|``, formed once."""
        return self.operator.magnitude()

    def forward(self, x: Ball, mode: Mode, choice: Tensor | None) -> tuple[Ball, None]:
        """One product with ``M``; the deployed pass takes one with ``|M|`` for a sharper radius."""
        count = self.operator.terms + self.extra + 2
        gamma = mode.arithmetic.gamma(count)
        centre = self.operator.apply(x.centre)
        if mode.relaxed:
            radius = self.operator.spread(x, gamma)
        else:
            size = (x.radius * (1 + 2 * gamma)).add_(x.centre.abs(), alpha=gamma)
            radius = self.magnitude.apply(size)
        if self.bias is not None and self.bias_size is not None:
            centre = centre.add_(self.bias)
            radius = radius.add_(gamma * self.bias_size)
        return Ball(centre, upper(radius.add_(mode.arithmetic.absolute(count)), count + 6)), None

    def backward(self, g: Ball, shape: torch.Size, choice: Tensor | None) -> Ball:
        """As forward, for ``M^T``."""
        gamma = FLOAT64.gamma(self.operator.transposed_terms + self.extra + 2)
        centre = self.operator.transposed(g.centre, shape)
        return Ball(centre, self.operator.spread_transposed(g, shape, gamma))

    def growth(self, g: Ball, shape: torch.Size, arithmetic: Rounding) -> Ball:
        """``q -> (1 + 2 gamma) |M|^T q``, ``p -> |M|^T ((1 + 2 gamma) p + gamma q)``."""
        gamma = arithmetic.gamma(self.operator.terms + self.extra + 2)
        count = self.operator.transposed_terms + self.extra + 6
        more = g.radius * (1 + 2 * gamma) + gamma * g.centre
        alive = _alive(g).view(-1, *[1] * (len(shape) - 1))
        return Ball(
            upper(self.magnitude.transposed(g.centre * (1 + 2 * gamma), shape), count, alive),
            upper(self.magnitude.transposed(more, shape), count, alive),
        )


@dataclass(frozen=True)
class Translation(Step):
    """``x + shift``: one rounding, no change in how anything grows."""

    shift: Tensor

    @property
    def coordinatewise(self) -> bool:
        """Always."""
        return True

    def constant(self, p: float, s: float) -> float:
        """1."""
        return 1.0 if s >= p else math.inf

    def forward(self, x: Ball, mode: Mode, choice: Tensor | None) -> tuple[Ball, None]:
        """A sum."""
        return plus(x, Ball.exact(self.shift), mode.arithmetic), None

    def backward(self, g: Ball, shape: torch.Size, choice: Tensor | None) -> Ball:
        """Exact."""
        return g

    def own_error(self, s: float, zero: Tensor, arithmetic: Rounding) -> OwnError:
        """A rounding of every sum, relative to it."""
        return OwnError(outputs=arithmetic.unit)

    def growth(self, g: Ball, shape: torch.Size, arithmetic: Rounding) -> Ball:
        """The rounding of the sum grows with ``|x|``."""
        return sum_growth(g, arithmetic)

    def pull(self, p: Tensor, shape: torch.Size) -> Tensor:
        """Exact."""
        return p

    def directions(self, out: Directions, shape: torch.Size) -> Directions:
        """The same."""
        return out


def sum_growth(g: Ball, arithmetic: Rounding) -> Ball:
    """Growth through a sum, for each of its terms: see :func:`~.ball.plus`."""
    u = arithmetic.unit
    more = g.radius * (1 + 4 * u) + 2 * u * g.centre
    return Ball(
        upper(g.centre * (1 + 4 * u), 2, g.centre > 0), upper(more, 4, g.radius + g.centre > 0)
    )


@dataclass(frozen=True)
class Reshape(Step):
    """Moves numbers without arithmetic: all dimensions after ``start`` become ``tail``."""

    start: int
    tail: tuple[int, ...]
    keeps_lengths: ClassVar[bool] = True
    exact: ClassVar[bool] = True

    def constant(self, p: float, s: float) -> float:
        """1."""
        return 1.0 if s >= p else math.inf

    def forward(self, x: Ball, mode: Mode, choice: Tensor | None) -> tuple[Ball, None]:
        """Exact."""
        return x.reshape(*x.centre.shape[: self.start], *self.tail), None

    def backward(self, g: Ball, shape: torch.Size, choice: Tensor | None) -> Ball:
        """Exact."""
        return g.reshape(*shape)

    def growth(self, g: Ball, shape: torch.Size, arithmetic: Rounding) -> Ball:
        """Exact; of any number of rows, for weights may be of one row or of all."""
        return g.reshape(-1, *shape[1:])

    def directions(self, out: Directions, shape: torch.Size) -> Directions:
        """Moved."""
        return out.reshape(*shape)


@dataclass(frozen=True)
class AbsStack(Step):
    """``u -> (u, |u|)`` on dimension 1: exact, in feature maps only, so it has no minorant."""

    exact: ClassVar[bool] = True

    @property
    def coordinatewise(self) -> bool:
        """Two outputs for each input."""
        return True

    def constant(self, p: float, s: float) -> float:
        """``2^(1/s)``."""
        return 2 ** (1 / s) * ROUND_UP if s >= p else math.inf

    def forward(self, x: Ball, mode: Mode, choice: Tensor | None) -> tuple[Ball, None]:
        """``||a| - |b|| <= |a - b|``."""
        return Ball(
            torch.cat((x.centre, x.centre.abs()), dim=1), torch.cat((x.radius, x.radius), dim=1)
        ), None

    def backward(self, g: Ball, shape: torch.Size, choice: Tensor | None) -> Ball:
        """Not affine."""
        raise TypeError("the absolute value has no affine minorant that holds for both signs")

    def directions(self, out: Directions, shape: torch.Size) -> Directions:
        """The absolute value goes both ways."""
        (up, both), (down, too) = (part.chunk(2, dim=1) for part in (out.up, out.down))
        return Directions(up | both | too, down | both | too)

    def growth(self, g: Ball, shape: torch.Size, arithmetic: Rounding) -> Ball:
        """Both halves change by ``|change of u|``."""
        q = torch.add(*g.centre.chunk(2, dim=1))
        return Ball(upper(q, 1, q > 0), self.pull(g.radius, shape))

    def pull(self, p: Tensor, shape: torch.Size) -> Tensor:
        """The two halves together."""
        total = torch.add(*p.chunk(2, dim=1))
        return upper(total, 1, total > 0)
