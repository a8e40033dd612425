"""Affine functions below single modules, each under the bound it rests on.

A *choice* is a tensor that names one minorant of a module for every row (and unit) of a batch; choices
are the dual variables of level ``tight``.
"""

from abc import ABC, abstractmethod
from collections.abc import Callable
from dataclasses import dataclass

import torch
import torch.nn.functional as F
from torch import Tensor

from featureconvex.rounding.activation import Curve


class Minorants(ABC):
    """The affine minorants of a convex, nondecreasing module (the first of a network: convex).

    Choices have the shape of the module's output, or one more dimension at its end that holds the
    weights of a convex combination. Mixing lines mixes choices: for weights ``w_j >= 0`` the line of
    ``sum w_j choice_j / sum w_j`` is at least ``sum w_j line_j / sum w_j``.
    """

    @abstractmethod
    def tangent(self, z: Tensor) -> Tensor:
        """The choice whose line touches at ``z``."""

    @abstractmethod
    def restrict(self, choice: Tensor) -> Tensor:
        """The nearest choice that is a minorant; differentiable."""

    @abstractmethod
    def line(self, z: Tensor, choice: Tensor) -> Tensor:
        """The affine function at ``z``: never above the module, for every valid choice."""


@dataclass(frozen=True)
class Elementwise(Minorants):
    """``s(z) >= a z - s*(a)`` (Fenchel's inequality): choices are the slopes ``a``, elementwise.

    ReLU: ``a`` in [0, 1] and ``s* = 0``; leaky ReLU of slope s: ``a`` in [s, 1]; for ELU, CELU and
    softplus a slope names the tangent of that slope.
    """

    curve: Curve

    def tangent(self, z: Tensor) -> Tensor:
        """The derivative."""
        return self.curve.slope(z).to(z.dtype)

    def restrict(self, choice: Tensor) -> Tensor:
        """Into the slopes the curve takes."""
        return self.curve.clamp(choice).to(choice.dtype)

    def line(self, z: Tensor, choice: Tensor) -> Tensor:
        """``a z - s*(a)``."""
        if self.curve.kinks_at_zero:
            return choice * z
        # In float64: its terms nearly cancel.
        return choice * z + self.curve.intercept(choice.double()).centre.to(z.dtype)


@dataclass(frozen=True)
class Maximum(Minorants):
    """A maximum is at least any convex combination: choices are weights, in the last dimension.

    Attributes:
        terms: z -> (..., k), the numbers whose maximum the module takes.
        inside: z -> bool, broadcastable: which of them take part; None: all.
    """

    terms: Callable[[Tensor], Tensor]
    inside: Callable[[Tensor], Tensor] | None = None

    def tangent(self, z: Tensor) -> Tensor:
        """All weight on the largest."""
        terms = self.terms(z)
        if self.inside is not None:
            terms = terms.masked_fill(~self.inside(z), -torch.inf)
        return F.one_hot(terms.argmax(-1), terms.shape[-1]).to(z.dtype)

    def restrict(self, choice: Tensor) -> Tensor:
        """Nonnegative, summing to 1."""
        positive = choice.clamp_min(0)
        total = positive.sum(-1, keepdim=True)
        even = torch.full_like(positive, 1 / positive.shape[-1])
        tiny = torch.finfo(choice.dtype).tiny
        return torch.where(total > 0, positive / total.clamp_min(tiny), even)

    def line(self, z: Tensor, choice: Tensor) -> Tensor:
        """The weighted sum."""
        if self.inside is not None:
            choice = self.restrict(choice.masked_fill(~self.inside(z), 0.0))
        return (self.terms(z) * choice).sum(-1)
