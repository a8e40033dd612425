"""Random feature maps of every kind, learned ones with weights in every style."""

from collections.abc import Callable

import torch
from torch import Tensor

from featureconvex.features import (
    AbsConcat,
    AveragePool,
    Center,
    Compose,
    Distances,
    FeatureMap,
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

Shape = tuple[int, ...]
IMAGES = ("scattering", "convolutions", "flattened convolutions")
"""What takes images only."""
ROWS = (
    "flattened convolutions",
    "orthogonal",
    "residual",
    "entries",
    "distances",
    "scaled orthogonal",
)
"""What gives rows of numbers only."""
FEATURES = ("identity", "center", "scale", "abs", "scaled abs", *IMAGES, *ROWS[1:])


def feature_map(name: str, shape: Shape, style: str) -> FeatureMap:
    """A random map of the kind named, for inputs of the shape; learned weights in the style named."""
    side = (shape[0], *[1] * (len(shape) - 1))
    scale = torch.randn(side).double() * 10 ** torch.randn(side).double()
    made: dict[str, Callable[[], FeatureMap]] = {
        "identity": Identity,
        "center": lambda: Center(torch.rand(shape).double()),
        "scale": lambda: Scale(scale, torch.randn(side).double()),
        "abs": lambda: Compose(Center(torch.rand(side)), AbsConcat()),
        "scaled abs": lambda: Compose(
            Scale(scale, torch.randn(side)), AbsConcat(), Scale(float(torch.rand(())) + 0.1)
        ),
        "scattering": lambda: _scattering(shape),
        "convolutions": lambda: _convolutions(shape),
        "flattened convolutions": lambda: _flattened(_convolutions(shape), shape),
        "orthogonal": lambda: Compose(*_orthogonal(shape[0])),
        "scaled orthogonal": lambda: Compose(
            Scale(scale, torch.randn(side).double()), *_orthogonal(shape[0])
        ),
        "residual": lambda: Compose(
            NonexpansiveResidual(shape[0], 5), NonexpansiveLinear(shape[0], 4, "rows")
        ),
        "entries": lambda: Compose(NonexpansiveLinear(shape[0], 6, "entries"), MaxMin()),
        "distances": lambda: _distances(shape[0]),
    }
    phi = made[name]()
    _reweighted(phi, style)
    return phi


def _scattering(shape: Shape) -> FeatureMap:
    scales, order = int(torch.randint(1, 3, ())), int(torch.randint(0, 3, ()))
    phi = Scattering((shape[0], shape[1], shape[2]), scales, 2, order)
    out = phi.output_shape(shape)
    return Compose(phi, Center(torch.rand(out).double())) if order else phi


def _orthogonal(inputs: int) -> tuple[FeatureMap, ...]:
    """Two layers of orthogonal rows or columns, and some coordinates of the second."""
    first, last = NonexpansiveLinear(inputs, 8), NonexpansiveLinear(8, 6)
    return first, MaxMin(), last, Select([4, 0, 3, 1], 6)


def _distances(inputs: int) -> FeatureMap:
    """One layer or two, in l1, l2 or linf."""
    p = (1.0, 2.0, float("inf"))[int(torch.randint(0, 3, ()))]
    first = Distances(inputs, 6, p)
    return Compose(first, Distances(6, 5)) if torch.rand(()) < 0.5 else first


def _convolutions(shape: Shape) -> FeatureMap:
    channels, height, width = shape
    if torch.rand(()) < 0.5:
        folded = Fold((channels, height, width), 2)
        inner = folded.output_shape(shape)
        conv = NonexpansiveConv((inner[0], inner[1], inner[2]), 4, 2)
        return Compose(folded, conv, MaxMin(), MaxPool(2))
    layer = NonexpansiveResidualConv((channels, height, width), 3)
    return Compose(layer, AveragePool((channels, height, width), 2))


def _flattened(phi: FeatureMap, shape: Shape) -> FeatureMap:
    return Compose(phi, Flatten(phi.output_shape(shape)))


@torch.no_grad()
def _reweighted(phi: FeatureMap, style: str) -> None:
    """Draw what is learned anew, and the means of distances."""
    for part in phi.modules():
        if isinstance(part, Distances):
            part.mean.normal_()
    if style == "initial":
        return
    for raw in phi.parameters():
        raw.copy_(noise(raw, style))


def noise(like: Tensor, style: str) -> Tensor:
    """Random numbers in the shape of ``like``."""
    drawn = torch.randn_like(like)
    if style == "heavy":
        return drawn * 10 ** (1.5 * torch.randn_like(like))
    if style in ("large", "small"):
        return drawn * 2.0 ** (12 if style == "large" else -12)
    return (4 * drawn).round() / 4 if style == "few bits" else drawn
