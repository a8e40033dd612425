"""Which steps a module consists of: one small rule per module class.

A module without a rule is refused by name; :func:`rule` registers one::

    @rule(MyLayer)
    def _(layer: MyLayer, graph: Graph, node: int) -> int:
        return graph.apply(Affine(Dense(layer.weight.double())), node)

The steps state the function that is certified, evaluated in exact real arithmetic on the stored
parameters, and how the deployed forward pass rounds: see DEPLOYED in
:mod:`featureconvex.certificates.levels.sound.deployed`.
"""

from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn.utils import parametrize

from featureconvex.errors import UserError
from featureconvex.nn.activations import Softplus
from featureconvex.nn.curves import curve_of
from featureconvex.nn.nonnegative import (
    MonotoneBatchNorm1d,
    MonotoneBatchNorm2d,
    NonNegativeConv2d,
    NonNegativeLinear,
)
from featureconvex.rounding.activation import Activation
from featureconvex.rounding.graph import Graph
from featureconvex.rounding.maxima import WindowMaximum
from featureconvex.rounding.operators import Dense, Diagonal
from featureconvex.rounding.steps import Affine, Reshape
from featureconvex.rounding.windows import Averaging, Convolution, average_pool

Rule = Callable[[Any, Graph, int], int]
_RULES: dict[type[nn.Module], Rule] = {}


def rule(*kinds: type[nn.Module]) -> Callable[[Rule], Rule]:
    """Register the steps of modules of exactly these classes, in eval mode."""

    def register(function: Rule) -> Rule:
        _RULES.update(dict.fromkeys(kinds, function))
        return function

    return register


def trace(module: nn.Module, graph: Graph, node: int) -> int:
    """Append the steps of ``module`` behind ``node``; returns the node of its output.

    Raises:
        UserError: no rule for the module's class, or its rule does not apply.
    """
    kind = parametrize.type_before_parametrizations(module)
    if kind not in _RULES:
        raise UserError(
            f"level 'sound' has no rounding rule for {kind.__module__}.{kind.__qualname__}; "
            "register its steps with featureconvex.certificates.rounding.rule"
        )
    return _RULES[kind](module, graph, node)


def _exact(parameter: Tensor | None) -> Tensor | None:
    """A stored float, in float64: the same real number."""
    return None if parameter is None else parameter.detach().double()


@rule(nn.Identity, nn.Dropout)
def _identity(_: nn.Module, __: Graph, node: int) -> int:
    return node


@rule(nn.Linear, NonNegativeLinear)
def _linear(layer: nn.Linear, graph: Graph, node: int) -> int:
    bias = _exact(layer.bias)
    size = None if bias is None else bias.abs()
    return graph.apply(Affine(Dense(layer.weight.detach().double()), bias, size), node)


@rule(nn.Conv1d, nn.Conv2d, NonNegativeConv2d)
def _convolution(layer: nn.Conv1d | nn.Conv2d, graph: Graph, node: int) -> int:
    """Zero padding only."""
    if layer.padding_mode != "zeros" or layer.padding == "same":
        raise UserError(
            f"level 'sound' knows zero padding given as numbers only; rebuild {layer!r} with it"
        )
    padding = (0,) * len(layer.kernel_size) if isinstance(layer.padding, str) else layer.padding
    operator = Convolution(
        layer.weight.detach().double(), layer.stride, padding, layer.dilation, layer.groups
    )
    if layer.bias is None:
        return graph.apply(Affine(operator), node)
    bias = layer.bias.detach().double().view(-1, *[1] * len(layer.kernel_size))
    return graph.apply(Affine(operator, bias, bias.abs()), node)


# Outside this range the coefficients of batch norm could under- or overflow in single precision.
_ORDINARY = (2.0**-60, 2.0**60)


def batch_norm_step(norm: nn.modules.batchnorm._BatchNorm, trailing: int) -> Affine:
    """``s x + t`` with ``s = weight / sqrt(var + eps)``, ``t = bias - mean s``, per channel.

    torch computes ``s`` with at most 5 roundings (``var + eps`` with a rounded ``eps``, root, inverse,
    product) and either ``s x + t`` or ``s (x - mean) + bias``: with ``extra = 16`` both are covered, here
    and deployed, and so is the rounding of the float64 coefficients used here.

    Args:
        norm: with running statistics.
        trailing: dimensions behind the channels.

    Raises:
        UserError: coefficients so extreme that they could under- or overflow.
    """
    mean, variance = _exact(norm.running_mean), _exact(norm.running_var)
    assert mean is not None
    assert variance is not None
    weight, bias = _exact(norm.weight), _exact(norm.bias)
    weight = torch.ones_like(mean) if weight is None else weight
    bias = torch.zeros_like(mean) if bias is None else bias
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


@rule(nn.BatchNorm2d, MonotoneBatchNorm2d)
def _batch_norm_2d(norm: nn.BatchNorm2d, graph: Graph, node: int) -> int:
    return graph.apply(batch_norm_step(norm, trailing=2), node)


@rule(nn.BatchNorm1d, MonotoneBatchNorm1d)
def _batch_norm_1d(norm: nn.BatchNorm1d, graph: Graph, node: int) -> int:
    """On (n, channels)."""
    return graph.apply(batch_norm_step(norm, trailing=0), node)


@rule(nn.ReLU, nn.LeakyReLU, nn.ELU, nn.CELU, Softplus)
def _activation(module: nn.Module, graph: Graph, node: int) -> int:
    curve = curve_of(module)
    return node if curve is None else graph.apply(Activation(curve), node)


@rule(nn.Flatten)
def _flatten(module: nn.Flatten, graph: Graph, node: int) -> int:
    """``Flatten(0)`` at the end turns (n, 1) into (n,)."""
    if module.start_dim < 0 or module.end_dim != -1:
        raise UserError(f"level 'sound' knows Flatten() to the last dimension only, got {module!r}")
    if module.start_dim == 0:
        return graph.apply(Reshape(1, ()), node)
    return graph.apply(Reshape(module.start_dim, (-1,)), node)


@rule(nn.AvgPool2d)
def _average(module: nn.AvgPool2d, graph: Graph, node: int) -> int:
    return graph.apply(Affine(average_pool(module)), node)


@rule(nn.MaxPool2d)
def _maximum(module: nn.MaxPool2d, graph: Graph, node: int) -> int:
    if module.ceil_mode or module.return_indices:
        raise UserError(f"level 'sound' knows MaxPool2d without ceil_mode only, got {module!r}")
    kernel, stride, padding, dilation = (
        (size, size) if isinstance(size, int) else (size[0], size[1])
        for size in (module.kernel_size, module.stride, module.padding, module.dilation)
    )
    if kernel == (1, 1) and padding == (0, 0):
        # Windows of one pixel select it.
        return node if stride == (1, 1) else graph.apply(Affine(Averaging(module, 1)), node)
    return graph.apply(WindowMaximum(kernel, stride, padding, dilation), node)


@rule(nn.Sequential)
def _sequential(module: nn.Sequential, graph: Graph, node: int) -> int:
    for part in module:
        node = trace(part, graph, node)
    return node
