"""Infinite radii of minorants that do not fall: when is a slope of 0 a proof?

A gradient that floating point makes 0 may be a sum that cancels: exact arithmetic has a slope, and a
flip far out. So where a domain has no border an infinite radius is checked once more: every entry of
the slope is put in a ball that holds its exact value (:mod:`featureconvex.rounding`), and the
input stays safe if what the balls leave open cannot reach zero within :data:`FARTHEST` in every coordinate.
Otherwise the radius is that of the upper bounds on the slope: finite, and as large as the rounding allows.
"""

import torch
from torch import Tensor

from featureconvex.certificates.levels.problem import Problem
from featureconvex.certificates.minorant import Minorant
from featureconvex.certificates.threats import Lp
from featureconvex.errors import UserError
from featureconvex.features import FeatureMap
from featureconvex.nn.card import rounding_steps
from featureconvex.norms import dual_exponent, vector_norm
from featureconvex.rounding.ball import Ball
from featureconvex.rounding.directed import FLOAT64
from featureconvex.rounding.graph import Graph
from featureconvex.rounding.steps import Mode

# No input is farther away: what a slope takes off on this way counts.
FARTHEST = 2.0**900
# Numbers per chunk of rows.
CHUNK = 2**18


@torch.no_grad()
def checked(
    problem: Problem, minorant: Minorant, radius: Tensor, choices: list[Tensor] | None = None
) -> Tensor:
    """``radius`` (n,) with its infinite entries checked where the domain has no border: (n,) float64.

    nan where no rounding rule is known for a part of the network: nothing is proved there.

    Args:
        problem: the problem; level ``closed-form`` gives it an unbounded domain.
        minorant: what the radii rest on.
        radius: (n,).
        choices: the minorant's choices in the relaxed network; None for the tangent at x.
    """
    rows = torch.isinf(radius).nonzero().squeeze(1)
    if len(rows):
        rows = rows[_endless(problem.rows(rows))]
    if not len(rows):
        return radius
    radius = radius.clone()
    size = max(1, CHUNK // max(1, problem.x[:1].numel()))
    for at in torch.split(rows, size):
        some = None if choices is None else [part[at] for part in choices]
        radius[at] = _few_rows(problem, at, minorant.value[at], some)
    return radius


@torch.no_grad()
def cannot_fall(problem: Problem, points: Tensor, height: Tensor) -> Tensor:
    """(n,) bool: whether the tangents at ``points``, of value ``height`` (n,) at x, never reach 0."""
    try:
        slope = exact_slope(problem, problem.model.feature_map(points).double(), None)
    except UserError:
        return torch.zeros_like(height, dtype=torch.bool)
    most = (slope.centre.abs() + slope.radius).flatten(1).sum(
        1
    ) * problem.model.feature_map.lipschitz(1)
    return most * FARTHEST < height


def _endless(problem: Problem) -> Tensor:
    """(n,) bool: whether some coordinate that can change has no border."""
    lo, hi = problem.bounds()
    free = torch.isinf(lo) | torch.isinf(hi)
    if problem.threat.cost is not None:
        free = free & torch.isfinite(problem.threat.cost.to(free.device))
    return free.flatten(1).any(1)


def _few_rows(
    problem: Problem, rows: Tensor, value: Tensor, choices: list[Tensor] | None
) -> Tensor:
    x, phi = problem.x[rows], problem.model.feature_map
    try:
        slope = exact_slope(problem, phi(x).double(), choices)
    except UserError:
        return torch.full_like(value, torch.nan)
    open_ = open_part(phi, slope, x)
    lo, hi = problem.rows(rows).bounds()
    free = torch.isinf(lo) | torch.isinf(hi)
    if problem.threat.cost is not None:
        free = free & torch.isfinite(problem.threat.cost.to(free.device))
    loss = torch.where(free, open_, 0.0).flatten(1).sum(1) * FARTHEST
    if not isinstance(problem.threat, Lp):
        return torch.full_like(value, torch.inf).where(loss < value, torch.nan)
    p, cost = problem.threat.p, problem.threat.cost
    cheapest = 1.0 if cost is None else float(cost.min())
    steepest = vector_norm(slope.centre.abs() + slope.radius, dual_exponent(p))
    finite = value / (steepest * phi.lipschitz(p)) * cheapest * (1 - 2**-40)
    return torch.where(loss < value, torch.inf, finite.clamp(max=torch.finfo(finite.dtype).max))


def exact_slope(problem: Problem, u: Tensor, choices: list[Tensor] | None) -> Ball:
    """Balls around the exact slopes at ``u`` (n, ...) of the network, or of the minorant chosen.

    Raises:
        UserError: a module without a rounding rule.
    """
    network = Graph(problem.model.dtype)
    rounding_steps(problem.model.convex_net, network, 0)
    out, steps = network.forward(Ball.exact(u), Mode(FLOAT64, relaxed=True), choices)
    return network.backward(Ball.exact(torch.ones_like(out.centre)), steps)


def open_part(phi: FeatureMap, slope: Ball, x: Tensor) -> Tensor:
    """At most the rounding of the slope that each coordinate of x feels: (n, ...) in the shape of x.

    Entry by entry through the steps of the map; where it mixes coordinates, or has no steps, by Hoelder's
    inequality: ``max_j radius_j Lip_1``.
    """
    graph = Graph(torch.float64)
    try:
        phi.rounding_steps(graph, 0)
    except UserError:
        return _felt_by_all(phi, slope, x)
    if graph.mixes:
        return _felt_by_all(phi, slope, x)
    _, steps = graph.forward(Ball.exact(x[:1]), Mode(FLOAT64, relaxed=False))
    return graph.pull(slope.radius, steps.shapes)


def _felt_by_all(phi: FeatureMap, slope: Ball, x: Tensor) -> Tensor:
    most = slope.radius.flatten(1).amax(1) * phi.lipschitz(1)
    return most.reshape(-1, *[1] * (x.ndim - 1)).expand(x.shape)
