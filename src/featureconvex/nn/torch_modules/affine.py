"""torch's layers that are affine whatever their weights: linear layers, convolutions, batch norm."""

from typing import ClassVar

import torch
from torch import nn
from torch.nn.modules.batchnorm import _BatchNorm

from featureconvex.errors import ConvexityError, UserError
from featureconvex.nn.card import Card, card
from featureconvex.nn.curvature import AFFINE, Curvature
from featureconvex.rounding.graph import Graph
from featureconvex.rounding.operators import Dense, Diagonal
from featureconvex.rounding.steps import Affine
from featureconvex.rounding.windows import Convolution


@card(nn.Linear)
class LinearCard(Card[nn.Linear]):
    """``A x + b``."""

    dimensions = (2, 3, 4, 5)

    def curvature(self, module: nn.Linear) -> Curvature:
        """An affine map is affine whatever its weights."""
        return AFFINE

    def rounding_steps(self, module: nn.Linear, graph: Graph, node: int) -> int:
        """A product with the stored weights, which are exact in float64."""
        return graph.apply(dense_step(module), node)


def dense_step(layer: nn.Linear) -> Affine:
    """The step of a linear layer."""
    bias = None if layer.bias is None else layer.bias.detach().double()
    return Affine(Dense(layer.weight.detach().double()), bias, None if bias is None else bias.abs())


class _ConvolutionCard(Card[nn.Conv1d | nn.Conv2d]):
    def curvature(self, module: nn.Conv1d | nn.Conv2d) -> Curvature:
        """A convolution is affine whatever its weights."""
        return AFFINE

    def rounding_steps(self, module: nn.Conv1d | nn.Conv2d, graph: Graph, node: int) -> int:
        """Zero padding only."""
        if module.padding_mode != "zeros" or module.padding == "same":
            raise UserError(
                f"level 'sound' knows zero padding given as numbers only; rebuild {module!r} with it"
            )
        rank = len(module.kernel_size)
        padding = (0,) * rank if isinstance(module.padding, str) else module.padding
        operator = Convolution(
            module.weight.detach().double(), module.stride, padding, module.dilation, module.groups
        )
        if module.bias is None:
            return graph.apply(Affine(operator), node)
        bias = module.bias.detach().double().view(-1, *[1] * rank)
        return graph.apply(Affine(operator, bias, bias.abs()), node)


@card(nn.Conv1d)
class Conv1dCard(_ConvolutionCard):
    """On (n, channels, length)."""

    dimensions = (3,)


@card(nn.Conv2d)
class Conv2dCard(_ConvolutionCard):
    """On (n, channels, height, width)."""

    dimensions = (4,)


class _BatchNormCard(Card[_BatchNorm]):
    """With running statistics.

    Attributes:
        trailing: dimensions after the channels that steps are known for.
    """

    trailing: ClassVar[int]

    def curvature(self, module: _BatchNorm) -> Curvature:
        """Eval-mode batch norm is affine when it uses running statistics."""
        if module.running_mean is None or module.running_var is None:
            raise ConvexityError(
                f"{module!r} uses batch statistics in eval mode; set track_running_stats=True"
            )
        return AFFINE

    def rounding_steps(self, module: _BatchNorm, graph: Graph, node: int) -> int:
        """One diagonal map."""
        return graph.apply(_batch_norm_step(module, self.trailing), node)


@card(nn.BatchNorm1d)
class BatchNorm1dCard(_BatchNormCard):
    """Steps on (n, channels); a single channel is that of every unit."""

    dimensions = (2, 3)
    trailing = 0


@card(nn.BatchNorm2d)
class BatchNorm2dCard(_BatchNormCard):
    """On (n, channels, height, width)."""

    dimensions = (4,)
    trailing = 2


# Outside this range the coefficients of batch norm could under- or overflow in single precision.
_ORDINARY = (2.0**-60, 2.0**60)


def _batch_norm_step(norm: _BatchNorm, trailing: int) -> Affine:
    """``s x + t`` with ``s = weight / sqrt(var + eps)``, ``t = bias - mean s``, per channel.

    torch computes ``s`` with at most 5 roundings (``var + eps`` with a rounded ``eps``, root, inverse,
    product) and either ``s x + t`` or ``s (x - mean) + bias``: with ``extra = 16`` both are covered, here
    and deployed, and so is the rounding of the float64 coefficients used here.

    Args:
        norm: with running statistics.
        trailing: dimensions after the channels.

    Raises:
        UserError: coefficients so extreme that they could under- or overflow.
    """
    assert norm.running_mean is not None
    assert norm.running_var is not None
    mean, variance = norm.running_mean.detach().double(), norm.running_var.detach().double()
    weight = torch.ones_like(mean) if norm.weight is None else norm.weight.detach().double()
    bias = torch.zeros_like(mean) if norm.bias is None else norm.bias.detach().double()
    spread = variance + norm.eps
    for value in (spread, weight[weight != 0].abs()):
        if not bool(((value >= _ORDINARY[0]) & (value <= _ORDINARY[1])).all()):
            raise UserError(
                f"the scale or variance of {norm!r} is outside [2^-60, 2^60] or not a number, "
                "so its rounding cannot be bounded; rescale the layer or remove dead channels"
            )
    scale = weight / spread.sqrt()
    shift = bias - mean * scale
    size = bias.abs() + (mean * scale).abs()
    shape = (-1, *[1] * trailing)
    return Affine(
        Diagonal(scale.view(shape), 2 + trailing),
        shift.view(shape),
        size.view(shape) * (1 + 2**-40),
        extra=16,
    )
