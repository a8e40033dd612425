"""Adversarial training (Madry et al. 2018): the loss at the worst point that an attack finds."""

import math
from collections.abc import Callable
from dataclasses import dataclass

import torch
from torch import Tensor, nn
from torch.nn.functional import softplus

from featureconvex.baselines.relu.network import ReluNetwork
from featureconvex.baselines.relu.stability import instability

RAMP = 1 / 3
"""The share of training over which the budget grows to its final value: 20 of 60 epochs in the
repository of the feature-convex paper."""
SPARSITY = 0.02
"""The share of coordinates that one step of the l1 attack moves (Tramer and Boneh 2019)."""


@dataclass(frozen=True)
class AdversarialLoss:
    """A loss for :func:`featureconvex.baselines.training.train_network`.

    Every batch is replaced by what projected gradient descent finds in the ball around it. No random
    start: training then depends on nothing but the seed of the order, also after a kill. No clipping
    to the pixels' range, because the certificates do not use it either.

    Attributes:
        p: exponent of the ball, 1, 2 or inf.
        epsilon: its final radius; it grows linearly from 0 over the first third of training.
        steps: of the attack, each ``2.5 epsilon / steps`` long.
        stability: weight of :func:`featureconvex.baselines.relu.stability.instability`.
    """

    p: float
    epsilon: float
    steps: int
    stability: float = 0.0

    def __call__(self, network: nn.Module, x: Tensor, sign: Tensor, done: float) -> Tensor:
        """Binary cross-entropy at the attacked batch, and the penalty on open neurons."""
        epsilon = self.epsilon * min(1.0, done / RAMP)
        worst = attacked(network, x, sign, self.p, epsilon, self.steps)
        loss = softplus(-sign * network(worst)).mean()
        if self.stability == 0 or not isinstance(network, ReluNetwork):
            return loss
        return loss + self.stability * instability(network.pairs(), x, epsilon, self.p)


def attacked(
    network: Callable[[Tensor], Tensor],
    x: Tensor,
    sign: Tensor,
    p: float,
    epsilon: float,
    steps: int,
) -> Tensor:
    """Points of the closed ball around ``x`` (n, *shape) with a score far to the wrong side.

    Args:
        network: (n, *shape) -> (n,).
        x: where to start.
        sign: (n,), the attack lowers ``sign * score``.
        p: 1, 2 or inf.
        epsilon: radius of the ball.
        steps: number of gradient steps.
    """
    delta = torch.zeros_like(x).flatten(1)
    for _ in range(steps):
        point = (x + delta.view_as(x)).requires_grad_(True)
        (gradient,) = torch.autograd.grad((sign * network(point)).sum(), point)
        move = steepest(gradient.flatten(1), p)
        delta = projected(delta - 2.5 * epsilon / steps * move, p, epsilon)
    return (x + delta.view_as(x)).detach()


def steepest(gradient: Tensor, p: float) -> Tensor:
    """The step (n, d) of norm at most 1 that follows ``gradient`` (n, d): for l1 on a few coordinates."""
    if math.isinf(p):
        return gradient.sign()
    if p == 2:
        unit: Tensor = gradient / _length(gradient)
        return unit
    few = max(1, round(SPARSITY * gradient.shape[1]))
    largest = gradient.abs().topk(few, dim=1).indices
    chosen = torch.zeros_like(gradient).scatter_(1, largest, gradient.gather(1, largest).sign())
    return chosen / few


def projected(delta: Tensor, p: float, radius: float) -> Tensor:
    """The Euclidean projection of ``delta`` (n, d) to the ball around 0.

    For l1 by sorting (Duchi et al. 2008).
    """
    if math.isinf(p):
        return delta.clamp(-radius, radius)
    if p == 2:
        return delta * (radius / _length(delta)).clamp(max=1)
    size = delta.abs()
    falling = size.sort(dim=1, descending=True).values
    ranks = torch.arange(1, delta.shape[1] + 1, device=delta.device)
    levels = (falling.cumsum(1) - radius) / ranks
    last = (falling > levels).sum(dim=1, keepdim=True).clamp_min(1) - 1
    threshold = levels.gather(1, last).clamp_min(0)
    return delta.sign() * (size - threshold).clamp_min(0)


def _length(rows: Tensor) -> Tensor:
    length: Tensor = torch.linalg.vector_norm(rows, dim=1, keepdim=True)
    return length.clamp_min(1e-30)
