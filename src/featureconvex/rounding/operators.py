"""Linear maps with their transposes, and how many products each entry of a result sums."""

import math
from abc import ABC, abstractmethod
from dataclasses import dataclass
from functools import cached_property
from typing import ClassVar

import torch
from torch import Tensor

from featureconvex.errors import UserError
from featureconvex.rounding.ball import Ball
from featureconvex.rounding.directed import euclidean_up, upper
from featureconvex.rounding.operator_norm import operator_norm


class Operator(ABC):
    """A matrix ``M``, never formed; all tensors in float64.

    ``M x`` and ``M^T g`` must be computed as plain sums of products, in any order: fast
    convolutions (Winograd, Fourier) have other error bounds.

    Attributes:
        convolves: whether a forward pass runs torch's convolutions.
    """

    convolves: ClassVar[bool] = False

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

    def norm(self, p: float, s: float) -> float:
        """At least the operator norm from l_p to l_s; inf where nothing is known."""
        return math.inf

    def size_norm(self, s: float) -> float:
        """At least the operator norm of ``|M|`` from l_s to itself; inf where nothing is known."""
        return self.magnitude().norm(s, s)

    def signs(self) -> tuple["Operator", "Operator | None"]:
        """Positive weights where entries are positive, and where they are negative (None: nowhere).

        Raises:
            UserError: not known.
        """
        raise UserError(f"nothing is known of the signs of {type(self).__name__}")

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

    def __post_init__(self) -> None:
        # Bounds are computed in float64, whatever a map's buffers are in.
        object.__setattr__(self, "weight", self.weight.detach().double())

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

    def signs(self) -> tuple["Dense", "Dense"]:
        """Of the weights."""
        return Dense((self.weight > 0).double()), Dense((self.weight < 0).double())

    def norm(self, p: float, s: float) -> float:
        """By the weights."""
        return operator_norm(self.weight, p, s)

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

    def signs(self) -> tuple["Diagonal", "Diagonal"]:
        """Of the coefficients."""
        return Diagonal((self.coefficient > 0).double()), Diagonal((self.coefficient < 0).double())

    def norm(self, p: float, s: float) -> float:
        """The largest coefficient."""
        return float(self.coefficient.abs().max()) if s >= p else math.inf
