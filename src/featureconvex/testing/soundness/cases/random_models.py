"""Random input-convex networks of every kind, and models made to break certificates."""

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass

import torch
from torch import Tensor, nn
from torch.nn.utils import parametrize

import featureconvex as fc
from featureconvex.features import Identity
from featureconvex.testing.soundness.cases.random_features import Shape, noise

Maker = Callable[[Shape], nn.Module]


def _mlp(hidden: Sequence[int], **options: object) -> Maker:
    return lambda shape: fc.nn.ConvexMLP(math.prod(shape), hidden, **options)  # type: ignore[arg-type]


def _convnet(**options: int) -> Maker:
    def make(shape: Shape) -> nn.Module:
        settings = {"features": 3, "depth": 1, "first_kernel": 3} | options
        # After pooling maps an image may be a single pixel.
        settings["pool"] = min(settings.get("pool", 1), *shape[1:])
        return fc.nn.ConvexConvNet(shape[0], (shape[1], shape[2]), **settings)  # type: ignore[arg-type]

    return make


NETWORKS: dict[str, Maker] = {
    "mlp": _mlp((12, 5)),
    "mlp without passthrough": _mlp((10,), passthrough=False),
    "mlp, batch norm": _mlp((9, 6), batch_norm=True),
    "mlp, leaky": _mlp((8, 8), activation="leaky_relu:0.3"),
    "mlp, softplus": _mlp((8,), activation="softplus:4"),
    "mlp, elu": _mlp((8, 4), activation="elu:0.7"),
    "mlp, celu": _mlp((8,), activation="celu:0.5"),
    "mlp, deep": _mlp((7, 7, 7, 7)),
    "affine": _mlp(()),
    "max-affine": lambda shape: fc.nn.MaxAffine(math.prod(shape), 9),
    "convnet": _convnet(batch_norm=False),
    "convnet, batch norm": _convnet(depth=2),
    "convnet, pooling": _convnet(pool=2),
}
"""Networks for inputs of one shape; convolutions need images."""

WEIGHTS = ("initial", "normal", "heavy", "large", "small", "few bits")


@torch.no_grad()
def reweighted(net: nn.Module, style: str) -> None:
    """Draw the raw weights anew, and the statistics of batch norms."""
    for part in net.modules():
        if isinstance(part, nn.BatchNorm1d | nn.BatchNorm2d):
            assert part.running_mean is not None
            assert part.running_var is not None
            part.running_mean.normal_()
            part.running_var.uniform_(0.1, 3.0)
    if style == "initial":
        return
    for raw in net.parameters():
        raw.copy_(noise(raw, style))
    for part in net.modules():
        # A scale below its minimum is lifted to it, and a nonnegative weight starts with half zeros.
        if parametrize.is_parametrized(part):
            for chain in part.parametrizations.values():  # type: ignore[operator]
                chain.original.abs_()


@dataclass(frozen=True)
class Inputs:
    """Random points.

    Attributes:
        shape: of one.
        count: how many.
    """

    shape: Shape
    count: int

    def unit(self) -> Tensor:
        """In [0, 1], a fifth of the coordinates on the border: (n, ...) float64."""
        x = torch.rand(self.count, *self.shape, dtype=torch.float64)
        draw = torch.rand_like(x)
        return torch.where(draw < 0.1, 0.0, torch.where(draw > 0.9, 1.0, x))


@torch.no_grad()
def balance(model: fc.FeatureConvexModel, x: Tensor, share: float, close: float) -> None:
    """Set the threshold so that a share of the points is not sensitive, and the next one only just is.

    Args:
        model: changed in place.
        x: in its dtype.
        share: in [0, 1).
        close: the margin of the next point over its logit.
    """
    logits = model.logits(x).double().sort().values
    pivot = float(logits[int(share * len(logits))])
    model.tau.fill_(-pivot * (1 - math.copysign(close, pivot)))


def cancelling(dimension: int) -> tuple[fc.FeatureConvexModel, Tensor]:
    """An affine network of numbers 1e8 times larger than their sum, and its exact slope.

    At 0 the margin is exactly tau; elsewhere it is rounding, and so is any computed gradient.
    """
    net = fc.nn.ConvexMLP(dimension, (40,), passthrough=False, activation="identity").double()
    first, last = net.input_layers[0], net.hidden_layers[0]
    assert isinstance(first, nn.Linear)
    with torch.no_grad():
        top = torch.rand(1, 40, dtype=torch.float64) * 1e8
        top[:, -1] = 1e8
        last.weight = top
        first.weight.copy_(torch.randn(40, dimension) * 1e8)
        first.bias.zero_()
        last.bias.zero_()  # type: ignore[operator]
        first.weight[-1] = -(top[0, :-1] @ first.weight[:-1]) / 1e8
    model = fc.FeatureConvexModel(Identity(), net, tau=1.0).eval()
    return model, exact_slope(model, dimension)


def exact_slope(model: fc.FeatureConvexModel, dimension: int) -> Tensor:
    """(d,) float64: the slope of an affine model, from its exact values."""
    from featureconvex.testing.exact import ExactMargin

    exact = ExactMargin(model)
    base = exact(torch.zeros(dimension))
    return torch.tensor(
        [float(exact(e) - base) for e in torch.eye(dimension, dtype=torch.float64)]
    ).double()


def rounding_trap(dimension: int) -> fc.FeatureConvexModel:
    """A float32 sum of large numbers whose exact value is positive and whose computed one may not be."""
    from featureconvex.testing.exact import ExactMargin

    net = fc.nn.MaxAffine(dimension, 1)
    with torch.no_grad():
        net.affine.weight.normal_(0, 100)
    model = fc.FeatureConvexModel(Identity(), net).eval()
    pivot = ExactMargin(model)(torch.linspace(-1, 1, dimension))
    close = 10 ** float(torch.empty(()).uniform_(-7, -1))
    model.tau.fill_(-float(pivot) + close)
    return model
