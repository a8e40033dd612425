"""Layers whose l2 Lipschitz constant is measured on the final weights, and nonexpansive plumbing."""

import math
from abc import ABC, abstractmethod
from collections.abc import Callable, Iterable
from dataclasses import dataclass

import torch
from torch import Tensor, nn
from torch.nn.functional import avg_pool2d, pad, pixel_unshuffle


@dataclass(frozen=True)
class Frozen:
    """A function in float64 with its weights fixed, and a proved bound on its l2 Lipschitz constant.

    Attributes:
        apply: (n, *in) float64 -> (n, *out) float64.
        bound: at least the Lipschitz constant of ``apply`` in exact arithmetic.
    """

    apply: Callable[[Tensor], Tensor]
    bound: float


class LipschitzLayer(nn.Module, ABC):
    """(n, *in) -> (n, *out), about 1-Lipschitz in l2 while it trains."""

    @abstractmethod
    def frozen(self) -> Frozen:
        """The same function in float64 with its present weights, and its measured bound."""


class Nonexpansive(LipschitzLayer):
    """A layer without weights that is 1-Lipschitz in exact arithmetic."""

    def frozen(self) -> Frozen:
        """Itself, with constant 1."""
        return Frozen(self, 1.0)


class Fold(Nonexpansive):
    """(n, c, h, w) -> (n, c k^2, h / k, w / k): a permutation, behind zeros that make h, w divisible."""

    def __init__(self, factor: int) -> None:
        super().__init__()
        self.factor = factor

    def forward(self, x: Tensor) -> Tensor:
        """Every k x k block of pixels becomes k^2 channels."""
        below, right = (-side % self.factor for side in x.shape[-2:])
        return pixel_unshuffle(pad(x, (0, right, 0, below)), self.factor)


class Pool(Nonexpansive):
    """Sums over k x k blocks, divided by k: rows of length 1 that share no pixel. Drops a remainder."""

    def __init__(self, factor: int) -> None:
        super().__init__()
        self.factor = factor

    def size(self, shape: tuple[int, ...]) -> int:
        """The number of outputs for one input of shape (c, h, w)."""
        c, height, width = shape
        return c * (height // self.factor) * (width // self.factor)

    def forward(self, x: Tensor) -> Tensor:
        """(n, c, h, w) -> (n, c, h // k, w // k)."""
        return avg_pool2d(x, self.factor, divisor_override=self.factor)


class Flatten(Nonexpansive):
    """(n, ...) -> (n, d)."""

    def forward(self, x: Tensor) -> Tensor:
        """Flat."""
        return x.flatten(1)


class ZeroChannels(Nonexpansive):
    """(n, c, ...) -> (n, channels, ...): further channels of zeros."""

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.channels = channels

    def forward(self, x: Tensor) -> Tensor:
        """Padded behind."""
        zeros = x.new_zeros(len(x), self.channels - x.shape[1], *x.shape[2:])
        return torch.cat((x, zeros), dim=1)


class MaxMin(Nonexpansive):
    """GroupSort of size 2 (Anil, Lucas and Grosse 2019): sorting pairs is 1-Lipschitz and keeps norms.

    >>> MaxMin()(torch.tensor([[1.0, 2.0, 3.0, 0.0]]))
    tensor([[3., 2., 1., 0.]])
    """

    def forward(self, x: Tensor) -> Tensor:
        """(n, 2 k, ...) -> the same shape: channel i against channel i + k."""
        a, b = x.chunk(2, dim=1)
        return torch.cat((torch.maximum(a, b), torch.minimum(a, b)), dim=1)


def blocks(length: int, size: int) -> int:
    """How many blocks of a size cover a length.

    >>> blocks(28, 16), blocks(32, 16), blocks(8, 16)
    (2, 2, 1)
    """
    return -(-length // size)


def frozen_network(layers: Iterable[nn.Module]) -> Frozen:
    """The composition of layers; its bound is the product of theirs, rounded up.

    Raises:
        TypeError: a module that is no :class:`LipschitzLayer` has no measured constant.
    """
    parts: list[Frozen] = []
    for layer in layers:
        if not isinstance(layer, LipschitzLayer):
            raise TypeError(f"{type(layer).__name__} is no LipschitzLayer, so nothing bounds it")
        parts.append(layer.frozen())
    bound = 1.0
    for part in parts:
        bound = math.nextafter(bound * part.bound, math.inf) if part.bound != 1 else bound

    def apply(x: Tensor) -> Tensor:
        for part in parts:
            x = part.apply(x)
        return x

    return Frozen(apply, bound)
