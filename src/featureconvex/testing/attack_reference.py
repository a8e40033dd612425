"""A compact attack for the laws: conditional-gradient descent with restarts, in float64.

Independent of :mod:`featureconvex.certificates` but for the threat's own numbers, and exact where it
can be: its best move on a linear function inside an l_p ball, with costs and a box, is optimal.
"""

import copy
import math
from dataclasses import dataclass

import torch
from torch import Tensor, nn

from featureconvex.certificates import Domain, Threat, Unbounded
from featureconvex.testing.law import seeded

# A coordinate without bounds moves this far where a threat limits only which coordinates move.
FAR = 1e3


@dataclass(frozen=True)
class Attacked:
    """What an attack reached: the best points (n, ...) and their margins (n,), float64."""

    points: Tensor
    margin: Tensor


def reference_attack(
    model: nn.Module,
    x: Tensor,
    threat: Threat,
    budget: Tensor,
    domain: Domain | None = None,
    *,
    steps: int = 60,
    restarts: int = 3,
) -> Attacked:
    """The smallest margin found within the budget and the domain, row by row.

    Args:
        model: margins, (n, ...) -> (n,); attacked in float64 and eval mode.
        x: (n, ...), finite and inside the domain.
        threat: any threat; exact best moves for norms, chosen coordinates for others.
        budget: (n,), finite.
        domain: default everywhere.
        steps: moves per restart.
        restarts: the first starts at ``x``, the others at random points of full budget.
    """
    model = copy.deepcopy(model).double().eval()
    x, budget = x.double(), budget.double()
    lo, hi = (Unbounded() if domain is None else domain).bounds(x)
    down, up = (x - lo).clamp_min(0), (hi - x).clamp_min(0)
    start = [torch.zeros_like(x)]
    for restart in range(1, restarts):
        with seeded(restart):
            start.append(best_move(torch.randn_like(x), threat, budget, down, up))
    delta = torch.cat(start)
    # All restarts at once, as rows of one batch.
    x, budget, down, up = (
        rows.repeat(restarts, *(1,) * (rows.ndim - 1)) for rows in (x, budget, down, up)
    )
    first = _column(torch.arange(len(x), device=x.device) < len(start[0]), x)
    points, best = x.clone(), _margin(model, x)[0]
    mean = torch.zeros_like(x)
    for step in range(steps):
        margin, gradient = _margin(model, x + delta)
        points = torch.where(_column(margin < best, x), x + delta, points)
        best = torch.minimum(margin, best)
        # At a kink no single gradient shows the way down; their running mean does (fictitious
        # play). The first restart follows the latest gradient instead.
        mean = mean + 2 / (step + 2) * (gradient - mean)
        goal = best_move(torch.where(first, gradient, mean), threat, budget, down, up)
        # Averages stay inside a ball; sets of few coordinates are not convex.
        pace = 2 / (step + 2) if threat.convex else 1.0
        delta = delta + pace * (goal - delta)
    margins = best.view(restarts, -1)
    chosen = margins.argmin(0)
    rows = torch.arange(margins.shape[1], device=x.device)
    return Attacked(points.view(restarts, *start[0].shape)[chosen, rows], margins[chosen, rows])


def best_move(g: Tensor, threat: Threat, budget: Tensor, down: Tensor, up: Tensor) -> Tensor:
    """The ``delta`` of least ``<g, delta>`` with ``-down <= delta <= up`` within the budget."""
    room = torch.where(g > 0, down, up).flatten(1)
    steep = g.abs().flatten(1)
    if (p := threat.exponent) is not None:
        cost = torch.ones_like(g) if threat.cost is None else threat.cost.expand_as(g)
        far = _farthest(steep, room, cost.flatten(1), budget[:, None], p)
    else:
        # Which coordinates to move: the threat keeps the heaviest it can pay for.
        far = room.clamp(max=FAR)
        weight = (steep * far).reshape(g.shape)
        kept = threat.project(weight, budget, torch.zeros_like(g), torch.full_like(g, math.inf))
        far = far * (kept != 0).flatten(1)
        move = -g.sign() * far.reshape(g.shape)
        # A threat that limits how far they move as well brings them back.
        over = _column(threat.measure(move) > budget, g)
        return torch.where(over, threat.project(move, budget, -down, up), move)
    return -g.sign() * far.reshape(g.shape)


def _farthest(steep: Tensor, room: Tensor, cost: Tensor, budget: Tensor, p: float) -> Tensor:
    """Maximise ``sum steep t`` over ``0 <= t <= room``, ``||cost t||_p <= budget``; all (n, d)."""
    fixed = torch.isinf(cost)
    cost, room = cost.masked_fill(fixed, 1.0), room.masked_fill(fixed, 0.0)
    if p == math.inf:
        return torch.minimum(room, budget / cost)
    if p == 1:
        # A fractional knapsack: the best value for money first.
        order = (steep / cost).argsort(dim=1, descending=True)
        size = torch.minimum(cost * room, budget).gather(1, order)
        spent = torch.minimum(size, (budget - size.cumsum(1) + size).clamp_min(0))
        return torch.zeros_like(room).scatter(1, order, spent) / cost
    # Stationarity: cost^p t^(p-1) is proportional to steep where t is not stopped by the room. In
    # logarithms of cost t, the largest 0: costs to the power p leave the range of floats.
    way = (steep.log() - cost.log()) / (p - 1)
    way = (way - way.amax(1, keepdim=True)).exp().nan_to_num(0.0).masked_fill(fixed, 0.0)
    length = torch.linalg.vector_norm(way, p, dim=1, keepdim=True)
    low = (budget / length).nan_to_num(posinf=0.0)
    way = way / cost
    high = (low * 2.0**120).clamp(max=1e300)
    for _ in range(40 if torch.isfinite(room).any() else 0):
        middle = (low * high).sqrt()
        fits = torch.linalg.vector_norm(
            cost * torch.minimum(room, middle * way), p, dim=1, keepdim=True
        )
        low, high = (
            torch.where(fits <= budget, middle, low),
            torch.where(fits <= budget, high, middle),
        )
    return torch.minimum(room, low * way)


def _margin(model: nn.Module, x: Tensor) -> tuple[Tensor, Tensor]:
    x = x.detach().requires_grad_()
    margin = model(x)
    (gradient,) = torch.autograd.grad(margin.sum(), x)
    return margin.detach(), gradient


def _column(rows: Tensor, like: Tensor) -> Tensor:
    return rows.reshape(-1, *(1,) * (like.ndim - 1))
