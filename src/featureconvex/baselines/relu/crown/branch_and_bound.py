"""Branch and bound on the signs of ReLUs: the radius of the worst leaf, raised split by split."""

from dataclasses import dataclass

import torch
from torch import Tensor

from featureconvex.baselines.relu.crown.branching import split, splittable
from featureconvex.baselines.relu.crown.nodes import Nodes, Region, joined

LEAF_STEPS = 200
"""Of the ascent at a leaf with every sign fixed: there the bound is exact once it has converged."""


@dataclass(frozen=True)
class Budget:
    """How much work one search may do; counted, never timed, so that a result repeats.

    Attributes:
        nodes: bounded per point, at most.
        at_once: leaves of one point that are split together.
        steps: of the ascent at every node.
    """

    nodes: int
    at_once: int
    steps: int


def searched(region: Region, roots: Nodes, budget: Budget) -> Tensor:
    """Certified radii, (n,), at most the region's limit and never less than the root's.

    Every split cuts a node's part of the ball in two, so the leaves of a point cover its ball and the
    smallest of their radii holds for all of it. The leaves with the smallest radius are split until
    all have reached the limit, the budget is spent, or the worst leaf has no open neuron left.

    Args:
        region: balls around n points.
        roots: one bounded node per point, in order.
        budget: per point.
    """
    limit = region.limit
    left = torch.full(limit.shape, budget.nodes, device=limit.device)
    leaves = roots.rows(roots.radius < limit)
    while True:
        rank, owner = _rank(leaves), leaves.owner
        room = (left[owner] // 2).clamp(max=budget.at_once)
        chosen = (rank < room) & splittable(region, leaves)
        stuck = torch.zeros_like(limit, dtype=torch.bool)
        stuck[owner[(rank == 0) & ~chosen]] = True
        chosen &= ~stuck[owner]
        if not bool(chosen.any()):
            break
        halves = _bounded(region, split(region, leaves.rows(chosen)), budget)
        left.index_add_(0, halves.owner, -torch.ones_like(halves.owner))
        halves = halves.rows(halves.radius < limit[halves.owner])
        leaves = joined(leaves.rows(~chosen), halves)
    return limit.scatter_reduce(0, leaves.owner, leaves.radius, "amin").clamp(min=0)


def _bounded(region: Region, halves: Nodes, budget: Budget) -> Nodes:
    """The halves with their radius. Those that cannot be split again get a longer ascent."""
    final = ~splittable(region, halves)
    if not bool(final.any()):
        return region.bounded(halves, budget.steps)
    rest = region.bounded(halves.rows(~final), budget.steps)
    return joined(rest, region.bounded(halves.rows(final), LEAF_STEPS))


def _rank(leaves: Nodes) -> Tensor:
    """The place of each leaf among its point's, the smallest radius first, (m,)."""
    order = leaves.radius.argsort(stable=True)
    order = order[leaves.owner[order].argsort(stable=True)]
    owner = leaves.owner[order]
    start = torch.searchsorted(owner, owner)
    rank = torch.empty_like(order)
    rank[order] = torch.arange(len(order), device=order.device) - start
    return rank
