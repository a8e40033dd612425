"""Random models of several classes, and attacks that know nothing of certificates."""

import math
from collections.abc import Callable

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

import featureconvex as fc
from featureconvex.features import (
    AbsConcat,
    Center,
    Compose,
    Distances,
    FeatureMap,
    MaxMin,
    NonexpansiveLinear,
    Scale,
)

D = 4
MAPS: dict[str, Callable[[], FeatureMap]] = {
    "identity": lambda: fc.features.Identity(),
    "scaled": lambda: Compose(Center(0.3), Scale([2.0, -0.5, 1.0, 0.25])),
    "absolute": lambda: AbsConcat(),
    "orthogonal": lambda: Compose(NonexpansiveLinear(D, 6), MaxMin()),
    "affine end": lambda: Compose(NonexpansiveLinear(D, 6), MaxMin(), NonexpansiveLinear(6, 3)),
    "affine": lambda: NonexpansiveLinear(D, 5),
    "entries": lambda: Compose(NonexpansiveLinear(D, 6, "entries"), MaxMin()),
    "distances": lambda: Compose(Distances(D, 6), Distances(6, 5)),
}
NETS: dict[str, Callable[[int], nn.Module]] = {
    "mlp": lambda d: fc.nn.ConvexMLP(d, (6, 5)),
    "softplus": lambda d: fc.nn.ConvexMLP(d, (6,), activation="softplus:2"),
    "leaky": lambda d: fc.nn.ConvexMLP(d, (6,), activation="leaky_relu:0.2", batch_norm=True),
    "elu": lambda d: fc.nn.ConvexMLP(d, (4, 4), activation="elu", passthrough=False),
    "max affine": lambda d: fc.nn.MaxAffine(d, 4),
    "affine": lambda d: fc.nn.ConvexMLP(d, ()),
}


def model_of(
    phi: str, net: str, classes: int = 4, seed: int = 0, dtype: torch.dtype = torch.float64
) -> fc.MultiClassModel:
    """A model of random weights, in eval mode."""
    torch.manual_seed(seed)
    mapped: FeatureMap = MAPS[phi]()
    size = math.prod(mapped.output_shape((D,)))
    nets: list[nn.Module] = [NETS[net](size) for _ in range(classes)]
    return fc.MultiClassModel(mapped, nets, torch.randn(classes) / 10).to(dtype).eval()


def points(n: int = 20, seed: int = 0, dtype: torch.dtype = torch.float64) -> Tensor:
    """(n, D) in [0, 1]."""
    return torch.rand(n, D, generator=torch.Generator().manual_seed(seed), dtype=torch.float64).to(
        dtype
    )


def project(delta: Tensor, size: Tensor, p: float) -> Tensor:
    """Into the l_p ball, by scaling (clamping for linf)."""
    if p == math.inf:
        return delta.clamp(-size[:, None], size[:, None])
    length = torch.linalg.vector_norm(delta, p, dim=1).clamp_min(1e-300)
    shorter: Tensor = delta * (size / length).clamp(max=1.0)[:, None]
    return shorter


def attacked(
    model: fc.MultiClassModel,
    x: Tensor,
    size: NDArray[np.float64],
    p: float,
    target: int,
    box: tuple[float, float] | None = None,
    steps: int = 25,
) -> Tensor:
    """(n,) the least of ``f_predicted - f_target`` found inside the ball: negative is a flip."""
    finite = torch.from_numpy(np.where(np.isfinite(size), size, 1e3)) * (1 - 1e-9)
    own = model(x).argmax(1)
    generator = torch.Generator().manual_seed(1)
    worst = torch.full((len(x),), math.inf, dtype=torch.float64)
    for start in range(2):
        delta = torch.zeros_like(x)
        if start:
            delta = project(
                torch.randn(x.shape, generator=generator, dtype=x.dtype) * 10, finite, p
            )
        for step in range(steps):
            moved = (x + delta).clamp(*box) if box else x + delta
            moved = moved.detach().requires_grad_()
            scores = model(moved)
            gap = scores.gather(1, own[:, None]).squeeze(1) - scores[:, target]
            worst = torch.minimum(worst, gap.detach())
            (slope,) = torch.autograd.grad(gap.sum(), moved)
            if p == math.inf:
                way = slope.sign()
            elif p == 1:
                way = (
                    torch.zeros_like(slope).scatter(1, slope.abs().argmax(1, True), 1.0)
                    * slope.sign()
                )
            else:
                way = slope / slope.norm(dim=1, keepdim=True).clamp_min(1e-300)
            rate = finite[:, None] * 2 / (step + 2)
            delta = project(moved.detach() - x - rate * way, finite, p)
    return worst
