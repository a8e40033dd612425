"""What the tests of 1-Lipschitz networks share: coloured digits, and a gradient attack."""

import functools

import torch
from tests.baselines.cases import digits
from torch import Tensor

from featureconvex.baselines.lipschitz.method import LipschitzMethod
from featureconvex.training.points import Points


@functools.cache
def coloured() -> tuple[Points, Points, Points]:
    """The digits in three channels, (n, 3, 8, 8), the third one turned around."""
    parts = []
    for points in digits():
        x = torch.cat((points.x, 0.5 * points.x, 1 - points.x), dim=1)
        parts.append(Points(x, points.y))
    return parts[0], parts[1], parts[2]


def nearest_flip(method: LipschitzMethod, x: Tensor, steps: int) -> Tensor:
    """The l2 length of a perturbation that takes each flag (n, *shape) away, (n,): steps downhill."""
    start = x.double()
    moved = start.clone().requires_grad_()
    apply = method.frozen().apply
    for _ in range(steps):
        margins = apply(moved)[:, 0] + method.tau
        (gradient,) = torch.autograd.grad(margins.sum(), moved)
        slope = gradient.flatten(1).norm(dim=1).clamp(min=1e-9)
        # A little further than the tangent says, and no further once the flag is gone.
        step = (margins.detach() * 1.02 + 1e-3) / slope**2 * (margins > 0)
        step = step.clamp(max=0.3 / slope).reshape(-1, *[1] * (x.ndim - 1))
        moved = (moved - step * gradient).detach().requires_grad_()
    flipped = ~torch.from_numpy(method.predict(moved.detach()))
    distance = (moved.detach() - start).flatten(1).norm(dim=1)
    return torch.where(flipped, distance, torch.inf)


def stretches(method: LipschitzMethod, shape: tuple[int, ...]) -> Tensor:
    """How far the score of random pairs of inputs moves, over how far they are apart, (k,)."""
    x = torch.rand(200, *shape, dtype=torch.float64)
    near = x + torch.randn_like(x) * torch.logspace(-4, 1, 200).reshape(-1, *[1] * len(shape))
    rise = (method.scores(x) - method.scores(near)).abs()
    ratios: Tensor = rise / (x - near).flatten(1).norm(dim=1)
    return ratios
