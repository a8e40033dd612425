"""What the tests of 1-Lipschitz networks share: coloured digits, and a gradient attack."""

import functools

import torch
from tests.baselines.cases import digits
from torch import Tensor

from featureconvex.baselines.nonexpansive.method import NonexpansiveMethod
from featureconvex.norms import vector_norm
from featureconvex.training.points import Points


@functools.cache
def coloured() -> tuple[Points, Points, Points]:
    """The digits in three channels, (n, 3, 8, 8), the third one turned around."""
    parts = []
    for points in digits():
        x = torch.cat((points.x, 0.5 * points.x, 1 - points.x), dim=1)
        parts.append(Points(x, points.y))
    return parts[0], parts[1], parts[2]


def nearest_flip(method: NonexpansiveMethod, x: Tensor, steps: int) -> Tensor:
    """The l2 length of a perturbation that takes each flag (n, *shape) away, (n,): steps downhill."""
    start = x.double()
    moved = start.clone().requires_grad_()
    for _ in range(steps):
        margins = method.score(moved) + method.tau
        (gradient,) = torch.autograd.grad(margins.sum(), moved)
        slope = gradient.flatten(1).norm(dim=1).clamp(min=1e-9)
        # A little further than the tangent says, and no further once the flag is gone.
        step = (margins.detach() * 1.02 + 1e-3) / slope**2 * (margins > 0)
        step = step.clamp(max=0.3 / slope).reshape(-1, *[1] * (x.ndim - 1))
        moved = (moved - step * gradient).detach().requires_grad_()
    flipped = ~torch.from_numpy(method.predict(moved.detach()))
    distance = (moved.detach() - start).flatten(1).norm(dim=1)
    return torch.where(flipped, distance, torch.inf)


@torch.no_grad()
def stretches(method: NonexpansiveMethod, shape: tuple[int, ...]) -> Tensor:
    """How far the map moves random pairs of inputs, over how far they are apart, (k,)."""
    x = torch.rand(200, *shape)
    near = x + torch.randn_like(x) * torch.logspace(-2, 1, 200).reshape(-1, *[1] * len(shape))
    phi = method.network.feature_map
    return vector_norm(phi(x) - phi(near), 2) / vector_norm(x - near, 2)
