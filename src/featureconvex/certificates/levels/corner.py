"""Models that are monotone in every coordinate: the worst point of a box is one of its corners.

Theorem. Let the margin be nondecreasing in some coordinates and nonincreasing in all others. Of all points
of a box (a product of intervals) it is smallest at the corner where every coordinate is at its end against
its direction. So if the corner keeps the class, every point of the box does. A budget
``||c * delta||_p`` below ``r`` keeps every ``|delta_i|`` below ``r / c_i``: the radius is at least the
largest r whose corner, in the domain, keeps the class, and for p = inf exactly that. If the domain's own
corner keeps it, nothing in the domain flips the input, whatever the threat.

The margin at a corner is enclosed in a ball, corners are rounded outwards, and r is the largest number on a
grid at which the ball is positive, so the radius holds in exact arithmetic. For the decision of a machine
the rounding of a forward pass anywhere in the box is taken off as well.
"""

from dataclasses import dataclass, replace

import torch
from torch import Tensor

from featureconvex.certificates.levels.problem import Bound, Problem
from featureconvex.certificates.levels.sound import deployed
from featureconvex.certificates.levels.sound.line import graphs, in_arithmetic, plain_convolutions
from featureconvex.errors import UserError
from featureconvex.models.model import FeatureConvexModel
from featureconvex.nn.card import rounding_steps
from featureconvex.rounding.ball import Ball, plus
from featureconvex.rounding.directed import (
    FLOAT32,
    FLOAT64,
    Rounding,
    check_gradual_underflow,
    upper,
)
from featureconvex.rounding.directions import Directions
from featureconvex.rounding.graph import Graph
from featureconvex.rounding.steps import Mode

# A radius is looked for between 2^-50 and 2^40 of the unit, to 50 binary digits.
HALVINGS, DOUBLINGS = 50, 40
EXACT = Mode(FLOAT64, relaxed=False)


@torch.no_grad()
def with_corners(problem: Problem, bound: Bound, arithmetic: str = "real") -> Bound:
    """The bound with radii raised to what corners prove, where the model is monotone; else as it is.

    Affine models are left alone: their minorants are exact.
    """
    rows = ((problem.tangent.value > 0) & ~torch.isinf(bound.radius)).nonzero().squeeze(1)
    if not len(rows):
        return bound
    key = ("corners", arithmetic)
    if key not in problem.shared:
        problem.shared[key] = _corners_of(problem, arithmetic)
    corners = problem.shared[key]
    if not isinstance(corners, _Corners):
        return bound
    part = problem.rows(rows)
    with plain_convolutions():
        found = _radius(part, corners)
    radius = bound.radius.clone()
    # What was not computed stays so where corners prove nothing either.
    radius[rows] = torch.where(found > 0, torch.fmax(radius[rows], found), radius[rows])
    return replace(bound, radius=radius)


@dataclass(frozen=True)
class _Corners:
    """A monotone model as steps.

    Attributes:
        against: (1, ...) float64, -1 where the margin rises with a coordinate, 1 where it falls, else 0.
        rounding: of the machine's decision; None for exact arithmetic.
    """

    features: Graph
    network: Graph
    tau: Tensor
    against: Tensor
    rounding: Rounding | None

    def lowest(self, corner: Tensor) -> Tensor:
        """(n,): at most the exact margin."""
        phi, _ = self.features.forward(Ball.exact(corner), EXACT)
        out, _ = self.network.forward(phi, EXACT)
        return plus(out, Ball.exact(self.tau.expand_as(out.centre)), FLOAT64).lower()

    def lost(self, x: Tensor, moved: Tensor) -> Tensor:
        """(n,): at most what the machine's margin is off by within ``|x' - x| <= moved``; inf: unknown."""
        if self.rounding is None:
            return torch.zeros(len(x), dtype=torch.float64, device=x.device)
        here = deployed.error_here(self.features, self.network, x, self.rounding)
        weights = deployed.error_growth(self.features, self.network, x, self.rounding)
        reach = deployed.reach(self.features, self.network, x, self.rounding)
        if self.features.mixes:
            grown = self.features.felt(weights) * moved.flatten(1).norm(dim=1)
        else:
            grown = (weights * moved).flatten(1).sum(1)
        total = upper(here + grown, moved[:1].numel() + 8)
        return torch.where(moved.flatten(1).amax(1) <= reach, total, torch.inf)


def _corners_of(problem: Problem, arithmetic: str) -> _Corners | None:
    """The model's directions, or None where it is affine or not known to be monotone."""
    try:
        check_gradual_underflow()
        model: FeatureConvexModel = in_arithmetic(problem.model, arithmetic)
        if not _worth_it(model, problem.x[:1]):
            return None
        features, network = graphs(model)
        x = problem.x[:1].double()
        with plain_convolutions():
            phi, inner = features.forward(Ball.exact(x), EXACT)
            out, outer = network.forward(phi, EXACT)
        found = network.directions(Directions.rising(out.centre), outer.shapes)
        found = features.directions(found, inner.shapes)
    except UserError:
        return None
    if not found.monotone:
        return None
    against = found.down.double() - found.up.double()
    rounding = {"real": None, "float32": FLOAT32, "float64": FLOAT64}[arithmetic]
    return _Corners(features, network, model.tau.to(x.device), against, rounding)


def _worth_it(model: FeatureConvexModel, x: Tensor) -> bool:
    """Whether the network alone is monotone, and the model not affine: most are not, and cost no more.

    Raises:
        UserError: a part that is not known to be monotone.
    """
    network = Graph(model.dtype)
    rounding_steps(model.convex_net, network, 0)
    bent = any(step is not None and step.bends for step, _ in network.nodes)
    if not bent and model.feature_map.affine:
        return False
    u = model.feature_map(x.to(model.dtype)).double()
    with plain_convolutions():
        out, trace = network.forward(Ball.exact(u), EXACT)
    return network.directions(Directions.rising(out.centre), trace.shapes).monotone


def _radius(problem: Problem, corners: _Corners) -> Tensor:
    """(n,): proved radii, 0 where no corner keeps the class."""
    x, threat = problem.x.double(), problem.threat
    lo, hi = problem.bounds()
    cost = None if threat.exponent is None else threat.cost
    costs = torch.ones_like(x[:1]) if cost is None else cost.to(x.device).expand_as(x[:1])

    def kept(r: Tensor) -> Tensor:
        wide = r.view(-1, *[1] * (x.ndim - 1))
        move = torch.where(torch.isinf(costs), 0.0, wide / costs)
        move = torch.nextafter(move, torch.full_like(move, torch.inf))
        low, high = x - move, x + move
        low = torch.nextafter(low, torch.full_like(low, -torch.inf)).maximum(lo)
        high = torch.nextafter(high, torch.full_like(high, torch.inf)).minimum(hi)
        corner = torch.where(corners.against < 0, low, torch.where(corners.against > 0, high, x))
        near = torch.isfinite(corner).flatten(1).all(1)
        margin = corners.lowest(corner.where(torch.isfinite(corner), x))
        moved = torch.maximum(high - x, x - low).clamp_min(0)
        moved = torch.nextafter(moved, torch.full_like(moved, torch.inf))
        # A NaN, from an overflow on the way, proves nothing.
        return near & (margin > corners.lost(x, moved))

    none = torch.zeros(len(x), dtype=torch.float64, device=x.device)
    endless = kept(torch.full_like(none, torch.inf))
    if threat.exponent is None or bool(endless.all()):
        return torch.where(endless, torch.inf, none)
    # On one grid for every arithmetic, so that less rounding never proves less.
    high = torch.ones_like(none)
    for _ in range(DOUBLINGS):
        more = kept(high)
        if not bool(more.any()):
            break
        high = torch.where(more, 2 * high, high)
    low = torch.where(high > 1, high / 2, none)
    for _ in range(HALVINGS):
        middle = (low + high) / 2
        inside = kept(middle)
        low, high = torch.where(inside, middle, low), torch.where(inside, high, middle)
    return torch.where(endless, torch.inf, low)
