"""Radii that rest on a slope of 0, or on a margin that is barely enough: when are they proofs?

A gradient that floating point makes 0 may be a sum that cancels: exact arithmetic has a slope, and a flip
far out; and a value just above what an attacker can take may be above it by rounding. Where a radius is
finite, rounding costs a little of it. Where it is infinite, or a count, rounding may have made all of it.
So these are checked once more: every entry of the slope and the value are put in balls that hold the exact
ones (:mod:`featureconvex.rounding`), and the radius stays if the value's lower end, less what the balls of
the slope leave open on the way to the borders (:data:`FARTHEST` where there are none), proves it, too.
Otherwise it is what that value proves, or what the upper bounds on the slope do: finite, and as large as
the rounding allows. The same where costs of many orders let a coordinate go so far that the rounding of its
slope counts.
"""

from collections.abc import Callable

import torch
from torch import Tensor

from featureconvex.certificates.levels.problem import Problem
from featureconvex.certificates.minorant import ROUNDINGS, Minorant
from featureconvex.certificates.separable import movement_room
from featureconvex.certificates.threats import Lp
from featureconvex.errors import UserError
from featureconvex.features import FeatureMap
from featureconvex.features.base import constant, per_cost
from featureconvex.nn.card import rounding_steps
from featureconvex.norms import dual_exponent, vector_norm
from featureconvex.rounding.ball import Ball
from featureconvex.rounding.directed import FLOAT64
from featureconvex.rounding.graph import Graph
from featureconvex.rounding.steps import Mode

# No input is farther away: what a slope takes off on this way counts.
FARTHEST = 2.0**900
# A share of a radius that rounding may take without a second look.
LITTLE = 1e-3
# Numbers per chunk of rows.
CHUNK = 2**18


Again = Callable[[Problem, Minorant], Tensor]
"""The radii that a minorant proves for a problem."""


@torch.no_grad()
def checked(
    problem: Problem,
    minorant: Minorant,
    radius: Tensor,
    choices: list[Tensor] | None = None,
    *,
    again: Again,
    far: bool = True,
) -> Tensor:
    """``radius`` (n,) float64 with what rounding may have made checked: infinite entries above all.

    nan where nothing is proved: a border is missing and no rounding rule is known for a part of the
    network, or rounding could take everything.

    Args:
        problem: the problem; level ``closed-form`` gives it an unbounded domain.
        minorant: what the radii rest on.
        radius: (n,).
        choices: the minorant's choices in the relaxed network; None for the tangent at x.
        again: how the radii were found, to try it with less of a value.
        far: count the rounding of slopes that are not 0 along coordinates without a border, too, where any
            rounding takes everything. What holds such a coordinate back, a steep ``|u|``, is not seen.
    """
    rows = doubtful(problem, minorant, radius).nonzero().squeeze(1)
    if not len(rows):
        return radius
    radius = radius.clone()
    size = max(1, CHUNK // max(1, problem.x[:1].numel()))
    for at in torch.split(rows, size):
        some = None if choices is None else [part[at] for part in choices]
        line = Minorant(minorant.value[at], minorant.slope[at])
        found = _few_rows(problem.rows(at, tangent=line), line, radius[at], some, again, far)
        # A count that proves nothing is 0; an infinite radius may leave nothing to say.
        radius[at] = torch.where(found < radius[at], found, radius[at].where(found >= 0, found))
    return radius


def doubtful(problem: Problem, minorant: Minorant, radius: Tensor) -> Tensor:
    """(n,) bool: infinite radii; counts where a coordinate has no border; and where coordinates can go so
    far, by count or by price, that the rounding of their slopes may take a share of the margin.
    """
    doubt, threat, phi = torch.isinf(radius), problem.threat, problem.model.feature_map
    if threat.cost is None and not threat.counts:
        return doubt
    # An entry may be what is left where larger numbers cancelled.
    largest = minorant.slope.abs().flatten(1).amax(1).double()
    rounding = ROUNDINGS * torch.finfo(problem.model.dtype).eps * largest
    steepest = threat.steepness(phi, minorant.slope)
    if steepest is not None and (phi.affine or not phi.coordinatewise):
        assert threat.cost is not None
        return doubt | (radius > 0) & (rounding / float(threat.cost.min()) > LITTLE * steepest)
    felt = open_part(phi, _like(rounding, minorant.slope).expand_as(minorant.slope), problem.x)
    reach = _reach(problem, radius)
    loss = (felt * reach).flatten(1).sum(1)
    # Of a count without a border rounding may take anything; what is no number is in doubt, too.
    open_ = threat.counts & (reach == FARTHEST).flatten(1).any(1)
    return doubt | (radius > 0) & (open_ | ~(loss <= LITTLE * minorant.value))


def _room(problem: Problem) -> Tensor:
    """(n, ...): how far each coordinate can move, :data:`FARTHEST` where nothing stops it."""
    rooms = movement_room(problem.x, *problem.bounds(), problem.threat.cost)
    return torch.maximum(*rooms).clamp(max=FARTHEST)


def _reach(problem: Problem, radius: Tensor) -> Tensor:
    """(n, ...): at least how far each coordinate moves within the radius."""
    room, cost = _room(problem), problem.threat.cost
    if cost is None:
        return room
    # Swapping categories moves their coordinates by 1, whatever it costs.
    least = 0.0 if problem.threat.exponent is not None else 1.0
    most = _like(radius, room) / cost.to(room.device).double()
    return torch.minimum(room, most.nan_to_num(0.0, posinf=torch.inf).clamp_min(least))


def _like(rows: Tensor, part: Tensor) -> Tensor:
    return rows.view(-1, *[1] * (part.ndim - 1))


@torch.no_grad()
def cannot_fall(problem: Problem, points: Tensor, height: Tensor) -> Tensor:
    """(n,) bool: whether the tangents at ``points``, of value ``height`` (n,) at x, never reach 0."""
    phi = problem.model.feature_map
    try:
        slope, least = exact_line(problem, phi(points).double(), None)
    except UserError:
        return torch.zeros_like(height, dtype=torch.bool)
    most = (slope.centre.abs() + slope.radius).flatten(1).sum(1) * constant(phi, 1, 1)
    return most * FARTHEST < torch.minimum(height, least)


def _few_rows(
    problem: Problem,
    line: Minorant,
    radius: Tensor,
    choices: list[Tensor] | None,
    again: Again,
    far: bool,
) -> Tensor:
    phi, room = problem.model.feature_map, _room(problem)
    try:
        slope, least = exact_line(problem, phi(problem.x).double(), choices)
    except UserError:
        # Without rules what is finite stays, and so does what borders make infinite.
        endless = (room == FARTHEST).flatten(1).any(1)
        made = endless & (torch.isinf(radius) | problem.threat.counts)
        return torch.full_like(line.value, torch.inf).masked_fill(made, torch.nan)
    room = _reach(problem, radius)
    felt = open_part(phi, apart(slope, line.slope), problem.x)
    value, loss = torch.minimum(line.value, least), felt * room
    # Along an endless coordinate a slope that is not 0 loses as little as any, if the radius is finite.
    silent = open_part(phi, line.slope.abs().double(), problem.x) == 0
    left = value - loss.where(silent | (room < FARTHEST), 0.0).flatten(1).sum(1)
    found = again(problem, Minorant(left, line.slope))
    proved = (left > 0) & torch.isfinite(found)
    proved |= (left > 0) & ((value > loss.flatten(1).sum(1)) | (not far))
    if not isinstance(problem.threat, Lp):
        return found.where(proved, torch.nan)
    exact = Minorant(value, line.slope)
    less = torch.maximum(
        _by_slope(problem, exact, slope, felt), _by_halves(problem, exact, felt, again)
    )
    return torch.where(proved, found, less)


def _by_halves(problem: Problem, line: Minorant, felt: Tensor, again: Again) -> Tensor:
    """The radii of an Lp threat that take half of the value, and by what slopes hide the other half."""
    cost = problem.threat.cost
    hidden = (felt if cost is None else per_cost(felt, cost)).flatten(1).sum(1)
    half = line.value / 2
    found = torch.minimum(again(problem, Minorant(half, line.slope)), half / hidden * (1 - 2**-40))
    return torch.where(half > 0, found.nan_to_num(0.0), 0.0)


def _by_slope(problem: Problem, line: Minorant, slope: Ball, felt: Tensor) -> Tensor:
    """The radii of an Lp threat that upper bounds on the slope prove everywhere."""
    assert isinstance(problem.threat, Lp)
    p, cost, phi = problem.threat.p, problem.threat.cost, problem.model.feature_map
    q, steep = dual_exponent(p), slope.centre.abs() + slope.radius
    if phi.affine:
        steep = phi.pullback(line.slope).abs() + felt
        rate = vector_norm(steep if cost is None else per_cost(steep, cost), q)
    else:
        cheapest = 1.0 if cost is None else float(cost.min())
        rate = vector_norm(steep, q) * constant(phi, p, p) / cheapest
    finite = (line.value / rate * (1 - 2**-40)).clamp(max=torch.finfo(torch.float64).max)
    return torch.where(line.value > 0, finite, 0.0)


def exact_line(problem: Problem, u: Tensor, choices: list[Tensor] | None) -> tuple[Ball, Tensor]:
    """Balls around the exact slopes at ``u`` (n, ...), and at most the exact values there, (n,).

    Of the network with its threshold, or of the minorant chosen.

    Raises:
        UserError: a module without a rounding rule.
    """
    network = Graph(problem.model.dtype)
    rounding_steps(problem.model.convex_net, network, 0)
    out, steps = network.forward(Ball.exact(u), Mode(FLOAT64, relaxed=True), choices)
    slope = network.backward(Ball.exact(torch.ones_like(out.centre)), steps)
    value = out.lower().flatten() + problem.model.tau
    return slope, value - 2 * FLOAT64.unit * value.abs()


def apart(exact: Ball, slope: Tensor) -> Tensor:
    """At most how far the exact slope is from a computed one, entry by entry."""
    difference = (exact.centre - slope.double()).abs() + exact.radius
    return difference * (1 + 4 * FLOAT64.unit)


def hidden_slope(problem: Problem) -> Tensor:
    """At most how steep the tangents at x are in coordinates in which they were computed to be flat.

    (n, ...) in the shape of x, inf where no rounding rule is known.
    """
    phi = problem.model.feature_map
    try:
        exact, _ = exact_line(problem, phi(problem.x).double(), None)
    except UserError:
        return torch.full_like(problem.x, torch.inf, dtype=torch.float64)
    return open_part(phi, apart(exact, problem.tangent.slope), problem.x)


def open_part(phi: FeatureMap, apart: Tensor, x: Tensor) -> Tensor:
    """At most the rounding of the slope that each coordinate of x feels: (n, ...) in the shape of x.

    Entry by entry through the steps of the map; where it mixes coordinates, or has no steps, by Hoelder's
    inequality: ``max_j apart_j Lip_1``.
    """
    graph = Graph(torch.float64)
    try:
        phi.rounding_steps(graph, 0)
    except UserError:
        return _felt_by_all(phi, apart, x)
    if graph.mixes:
        return _felt_by_all(phi, apart, x)
    _, steps = graph.forward(Ball.exact(x[:1]), Mode(FLOAT64, relaxed=False))
    return graph.pull(apart, steps.shapes)


def _felt_by_all(phi: FeatureMap, apart: Tensor, x: Tensor) -> Tensor:
    most = apart.flatten(1).amax(1) * constant(phi, 1, 1)
    return most.reshape(-1, *[1] * (x.ndim - 1)).expand(x.shape)
