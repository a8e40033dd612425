"""The margin in floating point, in numpy, with a proved bound on its distance from the exact margin.

It decides which points need the slow exact judge: a margin above its bound is positive in exact
arithmetic, one below minus its bound is negative. Written without a line of
:mod:`featureconvex.rounding`.

How the bound grows from module to module: :mod:`.sized`.

What underflows is below ``2^-300`` for weights of at most ``2^60``, ten layers and fan-ins up to
``2^12``; larger weights get an infinite bound, and with it the exact judge.
"""

from collections.abc import Callable
from typing import Any

import numpy as np
import torch
from torch import nn
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
from featureconvex.testing.soundness.verdict import bounded_nonexpansive
from featureconvex.testing.soundness.verdict.bounded_scattering import scattering
from featureconvex.testing.soundness.verdict.sized import Array, Sized, numbers

UNDERFLOW = 2.0**-300
LARGEST = 2.0**60


class BoundedMargin:
    """``x -> (margin, bound)`` with ``|margin - exact margin| <= bound``.

    Args:
        model: evaluated in eval mode.
        dtype: of the computation: ``np.float64``, or ``np.longdouble`` where it is finer.

    >>> import featureconvex as fc
    >>> net = fc.nn.MaxAffine(2, pieces=1)
    >>> _ = net.affine.weight.data.copy_(torch.tensor([[3.0, 4.0]])), net.affine.bias.data.zero_()
    >>> margin, bound = BoundedMargin(fc.FeatureConvexModel(fc.features.Identity(), net))([[1.0, 1.0]])
    >>> float(margin[0]), bool(0 < bound[0] < 1e-13)
    (7.0, True)
    """

    def __init__(self, model: FeatureConvexModel, dtype: Any = np.float64) -> None:
        self.model, self.dtype = model, np.dtype(dtype)
        self.unit = float(np.finfo(self.dtype).eps) / 2
        self._weights: dict[nn.Module, Array] = {}
        stored = [*model.parameters(), *model.buffers()]
        # The threshold is only added.
        factors = [part for part in stored if part is not model.tau]
        self.ordinary = all(bool((part.abs() <= LARGEST).all()) for part in factors)

    def __call__(self, x: Any) -> tuple[Array, Array]:
        """(n, ...) -> two (n,)."""
        points = np.asarray(x, dtype=self.dtype)
        z = Sized(points, np.abs(points), 0)
        with np.errstate(over="ignore", invalid="ignore"):
            for part in (self.model.feature_map, self.model.convex_net):
                z = self.run(part, z)
            z = z.plus(np.asarray(float(self.model.tau), dtype=self.dtype))
            # Twice: sizes are computed too, with relative errors of the same count.
            bound = 2 * np.expm1(z.count * np.log1p(self.unit)) * z.size + UNDERFLOW
        usable = self.ordinary and bool((np.abs(points) <= LARGEST).all())
        return z.value, np.where(np.isfinite(bound), bound, np.inf) if usable else bound + np.inf

    def run(self, module: nn.Module, z: Sized) -> Sized:
        """One module.

        Raises:
            UserError: a module without a rule.
        """
        kind = parametrize.type_before_parametrizations(module)
        for known, rule in _RULES.items():
            if issubclass(kind, known):
                return rule(self, module, z)
        raise UserError(f"no bounded margin for {kind.__qualname__}")

    def numbers(self, tensor: torch.Tensor) -> Array:
        """A stored tensor as it is."""
        return numbers(tensor, self.dtype)

    def weight(self, layer: Any) -> Array:
        """(in, out), converted once."""
        if layer not in self._weights:
            self._weights[layer] = (
                self.numbers(layer.weight).reshape(len(layer.weight), -1).T.copy()
            )
        return self._weights[layer]


def _linear(run: BoundedMargin, layer: Any, z: Sized) -> Sized:
    out = z.times(run.weight(layer))
    return out if layer.bias is None else out.plus(run.numbers(layer.bias))


def _convolution(run: BoundedMargin, layer: nn.Conv2d, z: Sized) -> Sized:
    """Windows as rows of a product; place 0 is the padding."""
    shape = z.value.shape[1:]
    places = torch.arange(1, int(np.prod(shape)) + 1, dtype=torch.float64).view(1, *shape)
    settings = (layer.kernel_size, layer.dilation, layer.padding, layer.stride)
    window = torch.nn.functional.unfold(places, *settings)[0].T.long().numpy()  # type: ignore[arg-type]
    rows = z.moved(lambda a: np.pad(a.reshape(len(a), -1), ((0, 0), (1, 0)))[:, window])
    out = rows.times(run.weight(layer))
    if layer.bias is not None:
        out = out.plus(run.numbers(layer.bias))
    height = (
        shape[1] + 2 * layer.padding[0] - layer.dilation[0] * (layer.kernel_size[0] - 1) - 1
    ) // layer.stride[0] + 1
    return out.moved(lambda a: a.swapaxes(1, 2).reshape(len(a), a.shape[2], height, -1))


def _batch_norm(run: BoundedMargin, norm: Any, z: Sized) -> Sized:
    shape = (-1, *[1] * (z.value.ndim - 2))
    spread = run.numbers(norm.running_var) + np.asarray(norm.eps, dtype=run.dtype)
    scale = (run.numbers(norm.weight) / np.sqrt(spread)).reshape(shape)
    centred = z.plus(-run.numbers(norm.running_mean).reshape(shape))
    return centred.scaled(scale, 8).plus(run.numbers(norm.bias).reshape(shape))


def _curve(run: BoundedMargin, module: Any, z: Sized) -> Sized:
    v, rest = z.value, 0.0
    if isinstance(module, nn.ReLU):
        return Sized(np.maximum(v, 0), z.size, z.count)
    if isinstance(module, nn.LeakyReLU):
        out = np.maximum(v, np.asarray(module.negative_slope, dtype=run.dtype) * v)
    elif isinstance(module, Softplus):
        beta = np.asarray(module.beta, dtype=run.dtype)
        out, rest = np.logaddexp(np.zeros((), run.dtype), beta * v) / beta, 1 / float(beta)
    else:
        height = np.asarray(float(module.alpha), dtype=run.dtype)
        length = height if isinstance(module, nn.CELU) else np.ones((), run.dtype)
        low = height * np.expm1(np.minimum(v, 0) / length)
        out, rest = np.where(v > 0, v, low), float(height)
    return Sized(out, z.size + rest, z.count + 16)


def _pool(_: BoundedMargin, pool: Any, z: Sized) -> Sized:
    """Windows without padding; an average is a sum of as many terms and a quotient."""
    size = pool.kernel_size if isinstance(pool.kernel_size, tuple) else (pool.kernel_size,) * 2
    step = pool.stride if isinstance(pool.stride, tuple) else (pool.stride,) * 2
    if pool.padding not in (0, (0, 0)):
        raise UserError("no bounded margin for pooling with padding")

    def windows(a: Array) -> Array:
        view = np.lib.stride_tricks.sliding_window_view(a, size, axis=(2, 3))
        return view[:, :, :: step[0], :: step[1]].reshape(
            *view[:, :, :: step[0], :: step[1]].shape[:4], -1
        )

    if isinstance(pool, nn.MaxPool2d):
        return z.moved(lambda a: windows(a).max(-1))
    mean = z.moved(lambda a: windows(a).mean(-1))
    return Sized(mean.value, mean.size, mean.count + size[0] * size[1] + 1)


def _flat(a: Array) -> Array:
    return a.reshape(len(a), -1)


def _mlp(run: BoundedMargin, net: ConvexMLP, z: Sized) -> Sized:
    u = z.moved(_flat)
    z = run.run(net.input_layers[0], u)
    for i, layer in enumerate(net.hidden_layers):
        z = run.run(net.activation, z)
        if len(net.norms):
            z = run.run(net.norms[i], z.moved(lambda a: a[:, None])).moved(lambda a: a[:, 0])
        z = run.run(layer, z)
        if len(net.input_layers) > 1:
            z = z.plus(run.run(net.input_layers[i + 1], u))
    return z.moved(lambda a: a[:, 0])


def _block(run: BoundedMargin, block: ConvexBlock, z: Sized) -> Sized:
    z = run.run(block.norm, z)
    return run.run(block.activation, run.run(block.conv, z).plus(z))


def _sequence(run: BoundedMargin, parts: Any, z: Sized) -> Sized:
    for part in parts:
        z = run.run(part, z)
    return z


def _convnet(run: BoundedMargin, net: ConvexConvNet, z: Sized) -> Sized:
    parts = (net.first_norm, net.first_conv, net.activation, *net.blocks, net.pooling)
    z = run.run(net.last_norm, _sequence(run, parts, z)).moved(_flat)
    return run.run(net.readout, z).moved(lambda a: a[:, 0])


def _max_affine(run: BoundedMargin, net: MaxAffine, z: Sized) -> Sized:
    return run.run(net.affine, z.moved(_flat)).moved(lambda a: a.max(1))


def _scale(run: BoundedMargin, phi: Scale, z: Sized) -> Sized:
    """With the constants as the model's dtype has them."""
    scale, shift = (run.numbers(part.to(run.model.dtype)) for part in (phi.scale, phi.shift))
    return z.plus(shift) if isinstance(phi, Center) else z.scaled(scale).plus(shift)


_RULES: dict[type[nn.Module], Callable[[BoundedMargin, Any, Sized], Sized]] = {
    nn.Linear: _linear,
    nn.Conv2d: _convolution,
    nn.BatchNorm1d: _batch_norm,
    nn.BatchNorm2d: _batch_norm,
    nn.Identity: lambda _, __, z: z,
    nn.Dropout: lambda _, __, z: z,
    nn.MaxPool2d: _pool,
    nn.AvgPool2d: _pool,
    nn.Sequential: lambda run, module, z: _sequence(run, module, z),
    **dict.fromkeys((nn.ReLU, nn.LeakyReLU, nn.ELU, nn.CELU, Softplus), _curve),
    ConvexMLP: _mlp,
    ConvexBlock: _block,
    ConvexConvNet: _convnet,
    MaxAffine: _max_affine,
    Identity: lambda _, __, z: z,
    Scale: _scale,
    AbsConcat: lambda _, __, z: Sized(
        np.concatenate((z.value, np.abs(z.value)), 1), np.concatenate((z.size, z.size), 1), z.count
    ),
    Scattering: lambda run, phi, z: scattering(phi, z, run.model.dtype),
    Flatten: lambda _, __, z: z.moved(_flat),
    Select: lambda _, phi, z: z.moved(lambda a: a[:, phi.index]),
    NonexpansiveLinear: bounded_nonexpansive.linear,
    NonexpansiveResidual: bounded_nonexpansive.residual,
    NonexpansiveConv: bounded_nonexpansive.periodic,
    NonexpansiveResidualConv: bounded_nonexpansive.residual_images,
    MaxPool: bounded_nonexpansive.max_pool,
    AveragePool: bounded_nonexpansive.average_pool,
    Fold: bounded_nonexpansive.fold,
    MaxMin: bounded_nonexpansive.sort_pairs,
    Distances: bounded_nonexpansive.distances,
    Compose: lambda run, phi, z: _sequence(run, phi.parts(), z),
}
