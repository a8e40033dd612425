"""Which neuron to split: the one whose worse half is best, among a few likely ones."""

from dataclasses import replace

import torch
from torch import Tensor

from featureconvex.baselines.relu.crown.bounds import affine_bound
from featureconvex.baselines.relu.crown.nodes import Nodes, Region

CANDIDATES = 8
"""Neurons tried per node (filtered smart branching, De Palma et al. 2021)."""


def splittable(region: Region, nodes: Nodes) -> Tensor:
    """Whether some neuron's sign is still open, (m,)."""
    return region.relaxation(nodes).free.any(dim=1)


def split(region: Region, nodes: Nodes) -> Nodes:
    """Both halves of every node, (2 m,): first those with a neuron held active, then inactive ones.

    Args:
        region: where the bounds hold.
        nodes: each with an open neuron.
    """
    score = looseness(region, nodes)
    count = min(CANDIDATES, score.shape[1])
    tops = score.topk(count, dim=1)
    worth = torch.full_like(tops.values, -torch.inf)
    unknown = replace(nodes, radius=torch.full_like(nodes.radius, -torch.inf))
    for place in range(count):
        halves = region.bounded(_halves(unknown, tops.indices[:, place]), 0).radius.view(2, -1)
        worst, best = halves.min(dim=0).values, halves.max(dim=0).values
        limit = region.limit[nodes.owner]
        gain = torch.minimum(worst, limit) + 1e-2 * torch.minimum(best, limit)
        worth[:, place] = torch.where(tops.values[:, place] > 0, gain, -torch.inf)
    chosen = worth.argmax(dim=1, keepdim=True)
    return _halves(nodes, tops.indices.gather(1, chosen)[:, 0])


def looseness(region: Region, nodes: Nodes) -> Tensor:
    """How far each open neuron's lines can take the bound from the network, (m, H); else 0.

    What stands in front of the activation times the largest gap between the ReLU and the line used:
    the upper line's intercept, or ``max(-a l, (1 - a) u)`` below.
    """
    problem, relaxation = region.problem.part(nodes.owner), region.relaxation(nodes)
    last, bias = region.problem.later[-1]
    trace: list[Tensor] = []
    affine_bound(
        problem,
        last.expand(len(nodes), -1),
        bias.expand(len(nodes)),
        relaxation,
        nodes.slopes,
        nodes.pulls * nodes.signs,
        trace,
    )
    rows = torch.cat(trace[::-1], dim=1)
    low, high = region.low[nodes.owner], region.high[nodes.owner]
    under = torch.maximum(-nodes.slopes * low, (1 - nodes.slopes) * high)
    gap = rows.clamp(min=0) * under - rows.clamp(max=0) * relaxation.intercept
    return torch.where(relaxation.free, gap.clamp(min=1e-300), 0.0)


def _halves(nodes: Nodes, neuron: Tensor) -> Nodes:
    """Both halves at one neuron per node, (m,) -> (2 m,)."""
    index = torch.arange(len(nodes), device=neuron.device)
    signs = []
    for sign in (1.0, -1.0):
        held = nodes.signs.clone()
        held[index, neuron] = sign
        signs.append(held)
    both = nodes.rows(index.repeat(2))
    return replace(both, signs=torch.cat(signs))
