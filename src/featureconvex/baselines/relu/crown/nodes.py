"""Nodes of branch and bound: which neurons have their sign fixed, and the radius that follows."""

from collections.abc import Sequence
from dataclasses import dataclass, fields, replace

import torch
from torch import Tensor

from featureconvex.baselines.relu.crown.ascent import Free, ascend
from featureconvex.baselines.relu.crown.bounds import (
    BoundProblem,
    ReluLines,
    affine_bound,
    first_slopes,
)

SLOPE_STEP = 0.2
PULL_STEP = 0.3
"""First steps of the ascent: of slopes, and of multipliers in units of :func:`typical_weight`."""


@dataclass(frozen=True)
class Nodes:
    """``m`` nodes, each a part of one point's ball.

    Attributes:
        owner: (m,), the point's index.
        signs: (m, H), 1 or -1 where a neuron's pre-activation is held to that sign, else 0.
        slopes: (m, H), of the lower lines.
        pulls: (m, H), the multipliers ``beta >= 0`` of the held signs.
        radius: (m,), the network is positive on this part of the ball within it.
    """

    owner: Tensor
    signs: Tensor
    slopes: Tensor
    pulls: Tensor
    radius: Tensor

    def rows(self, chosen: Tensor) -> "Nodes":
        """The nodes in ``chosen``: a mask or indices."""
        return Nodes(*(getattr(self, field.name)[chosen] for field in fields(self)))

    def __len__(self) -> int:
        return len(self.owner)


def joined(first: Nodes, second: Nodes) -> Nodes:
    """All nodes of both."""
    pairs = ((getattr(first, f.name), getattr(second, f.name)) for f in fields(first))
    return Nodes(*(torch.cat(pair) for pair in pairs))


@dataclass(frozen=True)
class Region:
    """Balls of radius ``limit`` around the points of a problem, and bounds that hold there.

    Attributes:
        problem: n points.
        limit: (n,), > 0.
        low, high: (n, H), of the pre-activations within the limit.
    """

    problem: BoundProblem
    limit: Tensor
    low: Tensor
    high: Tensor

    def whole(self, slopes: Tensor | None = None) -> Nodes:
        """One node per point, nothing fixed, radius 0; CROWN's own slopes unless some are given."""
        count = len(self.problem)
        start = first_slopes(self.low, self.high) if slopes is None else slopes
        nothing = torch.zeros_like(self.low)
        owner = torch.arange(count, device=self.low.device)
        return Nodes(owner, nothing, start, nothing, torch.zeros_like(self.limit))

    def relaxation(self, nodes: Nodes) -> ReluLines:
        """The lines around every neuron, given the signs."""
        low, high = self.low[nodes.owner], self.high[nodes.owner]
        low = torch.where(nodes.signs > 0, low.clamp(min=0), low)
        return ReluLines.over(low, torch.where(nodes.signs < 0, high.clamp(max=0), high))

    def bounded(self, nodes: Nodes, steps: int) -> Nodes:
        """The nodes after ``steps`` of ascent on slopes and multipliers, with their radius.

        From ``value - r reach <= network`` on the node's part of the ball, for all ``r`` up to the
        limit: positive for ``r < value / reach``. A node's radius never falls.
        """
        problem, relaxation = self.problem.part(nodes.owner), self.relaxation(nodes)
        limit = self.limit[nodes.owner]
        last, bias = self.problem.later[-1]
        rows, constant = last.expand(len(nodes), -1), bias.expand(len(nodes))

        def bound(free: Sequence[Tensor]) -> tuple[Tensor, Tensor]:
            pull = free[1] * nodes.signs if len(free) > 1 else None
            value, reach = affine_bound(problem, rows, constant, relaxation, free[0], pull)
            radius = value / reach.clamp_min(1e-30)
            # Climbs what decides at the radius itself: Dinkelbach's step for the quotient.
            at = torch.minimum(radius.detach().clamp(min=0), limit)
            return value - at * reach, radius

        free = [Free(nodes.slopes, 1.0, SLOPE_STEP)]
        if bool((nodes.signs != 0).any()):
            step = PULL_STEP * typical_weight(problem)
            free.append(Free(nodes.pulls, float("inf"), step))
        radius, numbers = ascend(free, bound, steps)
        found = replace(nodes, slopes=numbers[0], radius=torch.maximum(nodes.radius, radius))
        return replace(found, pulls=numbers[1]) if len(numbers) > 1 else found


def typical_weight(problem: BoundProblem) -> Tensor:
    """The size of what the backward pass puts in front of a neuron, roughly: (H,), > 0."""
    square = problem.later[-1][0].square()[0]
    parts = [square]
    for weight, _ in reversed(problem.later[:-1]):
        square = square @ weight.square()
        parts.insert(0, square)
    sizes = [part.mean().sqrt().expand(len(part)) for part in parts]
    return torch.cat(sizes).clamp_min(1e-12)
