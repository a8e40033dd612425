"""The margin of a model in exact arithmetic: rational numbers, or balls of any precision.

The judge of floating-point soundness, and therefore written without a line of
:mod:`featureconvex.rounding`: every module is evaluated from its definition, entry by
entry, on arrays of number objects. Slow and obvious.
"""

from collections.abc import Callable
from fractions import Fraction
from typing import Any

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor, nn
from torch.nn.utils import parametrize

from featureconvex.errors import UserError
from featureconvex.features import (
    AbsConcat,
    AveragePool,
    Center,
    Compose,
    Distances,
    Flatten,
    Fold,
    Identity,
    MaxMin,
    MaxPool,
    NonexpansiveConv,
    NonexpansiveLinear,
    NonexpansiveResidual,
    NonexpansiveResidualConv,
    Scale,
    Scattering,
    Select,
)
from featureconvex.models.model import FeatureConvexModel
from featureconvex.nn import ConvexBlock, ConvexConvNet, ConvexMLP, MaxAffine, Softplus
from featureconvex.testing import exact_nonexpansive
from featureconvex.testing.exact_scattering import scattering

Numbers = np.ndarray
"""An object array of exact numbers in the shape of one input, without a batch dimension."""


class ExactMargin:
    """``x -> g(phi(x)) + tau`` for one input, with the stored floats taken as exact numbers.

    Args:
        model: evaluated in eval mode. Changes made after this call are not seen.
        number: makes a number from a float: ``fractions.Fraction`` (exact; models of products, sums and
            maxima only) or ``flint.arb`` (balls: also batch norm and smooth activations; compare the
            result with 0, and raise ``flint.ctx.prec`` while neither sign is certain).

    >>> import featureconvex as fc
    >>> net = fc.nn.MaxAffine(2, pieces=1)
    >>> _ = net.affine.weight.data.copy_(torch.tensor([[3.0, 4.0]])), net.affine.bias.data.zero_()
    >>> margin = ExactMargin(fc.FeatureConvexModel(fc.features.Identity(), net, tau=0.5))
    >>> margin([0.25, 1.0])
    Fraction(21, 4)
    """

    def __init__(self, model: FeatureConvexModel, number: Callable[[Any], Any] = Fraction) -> None:
        self.model, self.number = model, number
        self._weights: dict[nn.Module, Numbers] = {}

    def __call__(self, x: Any) -> Any:
        """The margin at ``x``: a tensor, an array of floats or of numbers, in the shape of one input."""
        values = self.numbers(x)
        for part in (self.model.feature_map, self.model.convex_net):
            values = self.evaluate(part, values)
        return values.item() + self.number(float(self.model.tau))

    def numbers(self, x: Any) -> Numbers:
        """An object array of numbers; those already exact stay as they are."""
        if isinstance(x, Tensor):
            x = x.detach().double().numpy()
        array = np.asarray(x)
        if array.dtype == object:
            return array
        flat = [self.number(float(value)) for value in array.ravel()]
        out = np.empty(array.size, dtype=object)
        out[:] = flat
        return out.reshape(array.shape)

    def evaluate(self, module: nn.Module, z: Numbers) -> Numbers:
        """One module.

        Raises:
            UserError: a module this judge does not know.
        """
        kind = parametrize.type_before_parametrizations(module)
        for known, rule in _RULES.items():
            if issubclass(kind, known):
                return rule(self, module, z)
        raise UserError(f"the exact judge does not know {kind.__qualname__}")

    def weight(self, layer: Any) -> Numbers:
        """The numbers of a layer's weight, converted once."""
        if layer not in self._weights:
            self._weights[layer] = self.numbers(layer.weight)
        return self._weights[layer]


def _linear(judge: ExactMargin, layer: Any, z: Numbers) -> Numbers:
    out: Numbers = judge.weight(layer).dot(z)
    return out if layer.bias is None else out + judge.numbers(layer.bias)


def _convolution(judge: ExactMargin, layer: nn.Conv2d, z: Numbers) -> Numbers:
    places = torch.arange(1, z.size + 1, dtype=torch.float64).view(1, *z.shape)
    padding = layer.padding
    if isinstance(padding, str):
        raise UserError("the exact judge knows padding given as numbers only")
    unfolded = F.unfold(places, layer.kernel_size, layer.dilation, padding, layer.stride)
    patches = np.concatenate(([judge.number(0)], z.ravel()))[unfolded[0].long().numpy()]
    weight = judge.weight(layer).reshape(layer.out_channels, -1)
    out: Numbers = weight.dot(patches)
    if layer.bias is not None:
        out = out + judge.numbers(layer.bias)[:, None]
    with torch.no_grad():
        shape = layer(places.to(layer.weight.dtype)).shape[1:]
    return out.reshape(shape)


def _batch_norm(judge: ExactMargin, norm: Any, z: Numbers) -> Numbers:
    shape = (-1, *[1] * (z.ndim - 1))
    spread = judge.numbers(norm.running_var) + judge.number(norm.eps)
    if isinstance(spread.flat[0], Fraction):
        raise UserError("the square root in batch norm needs balls: ExactMargin(model, flint.arb)")
    root = np.array([value.sqrt() for value in spread], dtype=object)
    weight, bias = judge.numbers(norm.weight), judge.numbers(norm.bias)
    mean, scale = judge.numbers(norm.running_mean), weight / root
    out: Numbers = (z - mean.reshape(shape)) * scale.reshape(shape) + bias.reshape(shape)
    return out


def _each(function: Callable[[Any], Any], z: Numbers) -> Numbers:
    out = np.empty(z.size, dtype=object)
    out[:] = [function(value) for value in z.ravel()]
    return out.reshape(z.shape)


def _largest(a: Any, b: Any) -> Any:
    return max(a, b) if isinstance(a, Fraction) else a.max(b)


def _curve(judge: ExactMargin, module: Any, z: Numbers) -> Numbers:
    number, zero, one = judge.number, judge.number(0), judge.number(1)
    if isinstance(module, nn.ReLU):
        return _each(lambda v: _largest(v, zero), z)
    if isinstance(module, nn.LeakyReLU):
        low = number(float(module.negative_slope))
        return _each(lambda v: _largest(v, low * v), z)
    if isinstance(module, Softplus):
        beta = number(module.beta)
        return _each(lambda v: (one + (beta * v).exp()).log() / beta, z)
    height = number(float(module.alpha))
    length = height if isinstance(module, nn.CELU) else one
    # For v > 0 the first term is v and the second 0.
    return _each(
        lambda v: _largest(v, zero) + height * ((-_largest(-v, zero) / length).exp() - one), z
    )


def _max_pool(_: ExactMargin, pool: nn.MaxPool2d, z: Numbers) -> Numbers:
    def best(patch: Numbers) -> Any:
        top = patch[0]
        for value in patch[1:]:
            top = _largest(top, value)
        return top

    return _pooled(pool, z, best)


def _average_pool(judge: ExactMargin, pool: nn.AvgPool2d, z: Numbers) -> Numbers:
    return _pooled(pool, z, lambda patch: sum(patch, judge.number(0)) / len(patch))


def _pooled(pool: Any, z: Numbers, reduce: Callable[[Numbers], Any]) -> Numbers:
    """Every window without padding, channel by channel."""
    if pool.padding not in (0, (0, 0)):
        raise UserError("the exact judge knows pooling without padding only")
    size = pool.kernel_size if isinstance(pool.kernel_size, tuple) else (pool.kernel_size,) * 2
    step = pool.stride if isinstance(pool.stride, tuple) else (pool.stride,) * 2
    rows = range(0, z.shape[1] - size[0] + 1, step[0])
    columns = range(0, z.shape[2] - size[1] + 1, step[1])
    values = [
        reduce(channel[i : i + size[0], j : j + size[1]].ravel())
        for channel in z
        for i in rows
        for j in columns
    ]
    out = np.empty(len(values), dtype=object)
    out[:] = values
    return out.reshape(len(z), len(rows), len(columns))


def _mlp(judge: ExactMargin, net: ConvexMLP, z: Numbers) -> Numbers:
    u = z.ravel()
    z = judge.evaluate(net.input_layers[0], u)
    for i, layer in enumerate(net.hidden_layers):
        z = judge.evaluate(net.activation, z)
        if len(net.norms):
            z = judge.evaluate(net.norms[i], z[None])[0]
        z = judge.evaluate(layer, z)
        if len(net.input_layers) > 1:
            z = z + judge.evaluate(net.input_layers[i + 1], u)
    return z


def _block(judge: ExactMargin, block: ConvexBlock, z: Numbers) -> Numbers:
    z = judge.evaluate(block.norm, z)
    return judge.evaluate(block.activation, judge.evaluate(block.conv, z) + z)


def _sequence(judge: ExactMargin, parts: Any, z: Numbers) -> Numbers:
    for part in parts:
        z = judge.evaluate(part, z)
    return z


def _convnet(judge: ExactMargin, net: ConvexConvNet, z: Numbers) -> Numbers:
    parts = (net.first_norm, net.first_conv, net.activation, *net.blocks, net.pooling)
    z = judge.evaluate(net.last_norm, _sequence(judge, parts, z))
    return judge.evaluate(net.readout, z.ravel())


def _max_affine(judge: ExactMargin, net: MaxAffine, z: Numbers) -> Numbers:
    values = judge.evaluate(net.affine, z.ravel())
    top = values[0]
    for value in values[1:]:
        top = _largest(top, value)
    return np.array([top], dtype=object)


def _scale(judge: ExactMargin, phi: Scale, z: Numbers) -> Numbers:
    """With the constants rounded to the model's dtype, which is what the forward pass uses."""
    scale, shift = (judge.numbers(part.to(judge.model.dtype)) for part in (phi.scale, phi.shift))
    out: Numbers = z + shift if isinstance(phi, Center) else z * scale + shift
    return out


_RULES: dict[type[nn.Module], Callable[[ExactMargin, Any, Numbers], Numbers]] = {
    nn.Linear: _linear,
    nn.Conv2d: _convolution,
    nn.BatchNorm1d: _batch_norm,
    nn.BatchNorm2d: _batch_norm,
    nn.Identity: lambda _, __, z: z,
    nn.Dropout: lambda _, __, z: z,
    nn.Flatten: lambda _, __, z: z.ravel(),
    nn.MaxPool2d: _max_pool,
    nn.AvgPool2d: _average_pool,
    nn.Sequential: lambda judge, module, z: _sequence(judge, module, z),
    **dict.fromkeys((nn.ReLU, nn.LeakyReLU, nn.ELU, nn.CELU, Softplus), _curve),
    ConvexMLP: _mlp,
    ConvexBlock: _block,
    ConvexConvNet: _convnet,
    MaxAffine: _max_affine,
    Identity: lambda _, __, z: z,
    Scale: _scale,
    AbsConcat: lambda _, __, z: np.concatenate((z, np.abs(z)), axis=0),
    Scattering: scattering,
    Flatten: lambda _, __, z: z.ravel(),
    Select: lambda _, phi, z: z[phi.index],
    NonexpansiveLinear: exact_nonexpansive.linear,
    NonexpansiveResidual: exact_nonexpansive.residual,
    NonexpansiveConv: exact_nonexpansive.periodic,
    NonexpansiveResidualConv: exact_nonexpansive.residual_images,
    MaxPool: exact_nonexpansive.max_pool,
    AveragePool: exact_nonexpansive.average_pool,
    Fold: exact_nonexpansive.fold,
    MaxMin: exact_nonexpansive.sort_pairs,
    Distances: exact_nonexpansive.distances,
    Compose: lambda judge, phi, z: _sequence(judge, phi.parts(), z),
}
