"""Feature maps that shift and scale each coordinate."""

import math
from typing import Any

import torch
from torch import Tensor

from featureconvex.errors import UserError
from featureconvex.features.base import FeatureMap, check_fits
from featureconvex.given import (
    check_plain,
    check_shared_shape,
    real_array,
    real_tensor,
    rows_tensor,
)
from featureconvex.norms import check_exponent
from featureconvex.rounding.graph import Graph
from featureconvex.rounding.operators import Diagonal
from featureconvex.rounding.steps import Affine, Translation


class Identity(FeatureMap):
    """``phi(x) = x``; constant 1 for every p."""

    coordinatewise = True
    affine = True

    def forward(self, x: Tensor) -> Tensor:
        """(n, ...) -> the same."""
        return x

    def lipschitz(self, p: float, s: float | None = None) -> float:
        """1, also to every larger norm."""
        return 1.0 if _widens(p, s) else math.inf

    def pullback(self, v: Tensor) -> Tensor:
        """``v``."""
        return v

    def diagonal(self, dtype: torch.dtype) -> tuple[Tensor, Tensor]:
        """1 and 0."""
        return torch.ones((), dtype=torch.float64), torch.zeros((), dtype=torch.float64)

    def rounding_steps(self, graph: Graph, node: int) -> int:
        """None."""
        return node

    def config(self) -> dict[str, Any]:
        """No arguments."""
        return {}


class Scale(FeatureMap):
    """``phi(x) = scale * x + shift``, coordinate by coordinate; constant ``max |scale|`` for every p.

    Scaling inside the model keeps every radius in the units of the raw input.

    Args:
        scale: finite, broadcastable to one input (a number, (d,), or (c, 1, 1) for images).
        shift: likewise, default 0.

    Raises:
        UserError: not finite numbers, or shapes that no input can have together.

    >>> Scale([2.0, 0.5]).lipschitz(2)
    2.0
    """

    coordinatewise = True
    affine = True
    scale: Tensor
    shift: Tensor

    def __init__(self, scale: Any, shift: Any = 0.0) -> None:
        super().__init__()
        for name, value in (("scale", scale), ("shift", shift)):
            # float64 keeps the constants exact; the forward pass casts them to the input's dtype.
            tensor = real_tensor(name, value)
            _check_finite(name, tensor)
            self.register_buffer(name, tensor)
        check_shared_shape(scale=self.scale, shift=self.shift)

    def forward(self, x: Tensor) -> Tensor:
        """(n, ...) -> the same shape and dtype.

        Raises:
            UserError: the constants do not fit one input.
        """
        check_fits(x, scale=self.scale, shift=self.shift)
        return x * self.scale.to(x.dtype) + self.shift.to(x.dtype)

    def lipschitz(self, p: float, s: float | None = None) -> float:
        """``max |scale|``, the norm of a diagonal matrix for every p and from l_p to larger norms."""
        return float(self.steepness().max()) if _widens(p, s) else math.inf

    def steepness(self) -> Tensor:
        """``|scale|`` in float64, or what float32 makes of it where that is more.

        Below its least normal number float32 keeps few digits: 7e-46 becomes 1.4e-45.
        """
        least = torch.finfo(torch.float32).tiny
        exact = self.scale.abs().double()
        return torch.where(exact < least, torch.maximum(exact, exact.float().double()), exact)

    def pullback(self, v: Tensor) -> Tensor:
        """``scale * v``."""
        return v * self.scale.to(v.dtype)

    def diagonal(self, dtype: torch.dtype) -> tuple[Tensor, Tensor]:
        """Both constants."""
        return self.scale.to(dtype).double(), self.shift.to(dtype).double()

    def rounding_steps(self, graph: Graph, node: int) -> int:
        """Both constants rounded to the dtype of the input, as the forward pass does."""
        scale, shift = self.diagonal(graph.dtype)
        return graph.apply(Affine(Diagonal(scale), shift, shift.abs()), node)

    def config(self) -> dict[str, Any]:
        """Shapes only; the values are buffers."""
        return {
            "scale": torch.ones(self.scale.shape).tolist(),
            "shift": torch.zeros(self.shift.shape).tolist(),
        }


class Center(Scale):
    """``phi(x) = x - mean``; constant 1 for every p. The paper's map for MNIST, Fashion and Malimg."""

    def __init__(self, mean: Any) -> None:
        mean = real_tensor("mean", mean)
        _check_finite("mean", mean)
        super().__init__(1.0, -mean)
        # Not stored: a model file must not be able to claim another scale than the one applied.
        self.register_buffer("scale", torch.ones((), dtype=torch.float64), persistent=False)

    def forward(self, x: Tensor) -> Tensor:
        """(n, ...) -> the same shape and dtype."""
        check_fits(x, mean=self.shift)
        return x + self.shift.to(x.dtype)

    def lipschitz(self, p: float, s: float | None = None) -> float:
        """1, also to every larger norm."""
        return 1.0 if _widens(p, s) else math.inf

    def steepness(self) -> Tensor:
        """1, whatever the buffer says."""
        return self.shift.new_ones((), dtype=torch.float64)

    def pullback(self, v: Tensor) -> Tensor:
        """``v``."""
        return v

    def diagonal(self, dtype: torch.dtype) -> tuple[Tensor, Tensor]:
        """1 and the shift."""
        return self.steepness(), self.shift.to(dtype).double()

    def rounding_steps(self, graph: Graph, node: int) -> int:
        """One addition."""
        return graph.apply(Translation(self.shift.to(graph.dtype).double()), node)

    def config(self) -> dict[str, Any]:
        """Shapes only; the values are buffers."""
        return {"mean": torch.zeros(self.shift.shape).tolist()}


def _check_finite(name: str, value: Tensor) -> None:
    if not torch.isfinite(value).all() or not value.numel():
        raise UserError(f"{name} must hold finite numbers, got {value.tolist()}")


def _widens(p: float, s: float | None) -> bool:
    """Whether ``||.||_s <= ||.||_p`` in every dimension."""
    return check_exponent(p if s is None else s) >= check_exponent(p)


# Columns converted to float64 at once.
COLUMNS = 8


def standardise(x: Tensor) -> Scale:
    """The :class:`Scale` that gives every coordinate of ``x`` (n, ...) mean 0 and variance 1.

    A coordinate without variance is only centred.

    Raises:
        UserError: the variance of a coordinate overflows.

    >>> standardise(torch.tensor([[0.0, 1.0], [4.0, 1.0]]))(torch.tensor([[4.0, 2.0]]))
    tensor([[1., 1.]])
    """
    # A tensor is only read, a few columns at a time: all of it in float64 may be twice the data.
    x = check_plain("x", x) if isinstance(x, Tensor) else rows_tensor(real_array("x", x))
    if not x.ndim or not x.numel():
        raise UserError(f"x needs at least one row of numbers, got shape {tuple(x.shape)}")
    columns = x.reshape(len(x), -1)
    std, mean = torch.empty(2, columns.shape[1], dtype=torch.float64, device=x.device)
    starts = range(0, max(1, columns.shape[1] - 1), COLUMNS)
    for start in starts:
        # The last block takes a column that would be left: a lone one is summed in another order.
        some = slice(start, None if start == starts[-1] else start + COLUMNS)
        block = columns[:, some].double()
        std[some], mean[some] = block.std(dim=0, correction=0), block.mean(dim=0)
    std, mean = std.reshape(x.shape[1:]), mean.reshape(x.shape[1:])
    if not torch.isfinite(std).all():
        raise UserError(
            f"coordinate {int((~torch.isfinite(std)).flatten().nonzero()[0])} has numbers too large to "
            "standardise (their squares overflow); rescale it"
        )
    # Rounding leaves a constant column a tiny spread; dividing by it would blow the column up.
    flat = std <= 1e-12 * mean.abs().clamp_min(math.ulp(0.0))
    scale = 1 / torch.where(flat, torch.ones_like(std), std)
    return Scale(scale, -mean * scale)
