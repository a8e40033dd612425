"""How steep a network can be, entry by entry: everywhere, or near an input.

For two inputs in a region, ``g(u') - g(u) = <w, u' - u>`` for a ``w`` between the ends that a pass back
through the network finds. An activation changes by ``a (h' - h)``, ``a`` between its slopes at the ends of
the interval of ``h``, which are in order since it is convex; a maximum of affine pieces by a convex
combination of their slopes; linear parts multiply such slopes by their matrix. So ``w`` bounds how far a
*convex* score can rise, which no minorant does.
"""

from collections.abc import Mapping
from dataclasses import dataclass

import torch
from torch import Tensor

from featureconvex.errors import UserError
from featureconvex.rounding.activation import Activation
from featureconvex.rounding.ball import Ball, plus
from featureconvex.rounding.directed import FLOAT64, dual_norm_up, upper
from featureconvex.rounding.graph import Graph
from featureconvex.rounding.maxima import PieceMaximum
from featureconvex.rounding.operators import Dense
from featureconvex.rounding.steps import Affine, Mode, Reshape, Step

EXACT = Mode(FLOAT64, relaxed=False)
# Beyond any number that an activation sees; computed slopes are right to far better than the margin.
FAR, SLOPE_ERROR = 1e300, 2.0**-40


@dataclass(frozen=True)
class Region:
    """The inputs of a network that come into question.

    Attributes:
        u: the input (n, ...) at the centre, as known.
        reach: by exponent, at least how far the others are from it in that norm: (n,) each, with linf
            among them.
    """

    u: Ball
    reach: Mapping[float, Tensor]


def slope_range(network: Graph, like: Ball, region: Region | None = None) -> Ball:
    """The ball of all ``w`` that connect two inputs of the region, in the shape of the input.

    Args:
        network: steps from the input to (n,).
        like: an input (n, ...), for its shape.
        region: None: everywhere, and the answer has one row.

    Raises:
        UserError: a step that is neither affine, an activation nor a maximum of affine pieces.
    """
    rows = 1 if region is None else len(like.centre)
    shapes, inside = _pass(network, like, region)
    pending = {
        len(network.nodes) - 1: Ball.exact(torch.ones_like(like.centre.flatten(1)[:rows, 0]))
    }
    for k in range(len(network.nodes) - 1, 0, -1):
        step, parents = network.nodes[k]
        here = pending.pop(k)
        for node in parents:
            shape = torch.Size((rows, *shapes[node][1:]))
            back = here if step is None else _back(step, here, shape, inside.get(node))
            pending[node] = plus(pending[node], back, FLOAT64) if node in pending else back
    return pending[0]


def _pass(
    network: Graph, like: Ball, region: Region | None
) -> tuple[list[torch.Size], dict[int, Ball]]:
    """The shapes of all nodes, and what they hold for all inputs of the region."""
    if region is None:
        one = Ball(like.centre[:1], like.radius[:1])
        return network.forward(one, EXACT)[1].shapes, {}
    values, raw = {0: region.u}, {0}
    widest = _everywhere(region)
    boxes = {0: widest}
    for k, (step, parents) in enumerate(network.nodes[1:], start=1):
        if step is None:
            values[k] = plus(values[parents[0]], values[parents[1]], FLOAT64)
            boxes[k] = plus(boxes[parents[0]], boxes[parents[1]], FLOAT64)
            continue
        at = parents[0]
        values[k] = step.forward(values[at], EXACT, None)[0]
        boxes[k] = _box(step, boxes[at])
        if at in raw and isinstance(step, Reshape):
            raw.add(k)
        if at in raw and isinstance(step, Affine) and isinstance(step.operator, Dense):
            boxes[k] = _narrower(boxes[k], _by_norms(step.operator, values[k], region))
    return [value.centre.shape for value in values.values()], boxes


def _everywhere(region: Region) -> Ball:
    """The region's box."""
    far = region.reach[torch.inf].view(-1, *[1] * (region.u.centre.ndim - 1))
    radius = region.u.radius + far
    return Ball(region.u.centre, upper(radius, 1, radius > 0))


def _box(step: Step, x: Ball) -> Ball:
    """What a step makes of a box of inputs."""
    if not isinstance(step, Activation):
        return step.forward(x, EXACT, None)[0]
    curve, u = step.curve, FLOAT64.unit
    low, high = x.lower(), -Ball(-x.centre, x.radius).lower()
    ends = []
    for z, way in ((low, -1.0), (high, 1.0)):
        error = u * (curve.relative * z.abs() + curve.absolute)
        ends.append(curve.value(z) + way * upper(error, 3, error > 0))
    return _between(ends[0], ends[1])


def _by_norms(operator: Dense, at: Ball, region: Region) -> Ball:
    """By Hoelder's inequality: rows of a matrix in the dual of every norm in which the reach is known."""
    rows = operator.weight.abs()
    ways = [dual_norm_up(rows, s) * far[:, None] for s, far in region.reach.items()]
    way = torch.stack([way.nan_to_num(torch.inf, posinf=torch.inf) for way in ways]).amin(0)
    return Ball(at.centre, upper(at.radius + way, 2, way + at.radius > 0))


def _narrower(a: Ball, b: Ball) -> Ball:
    """Two enclosures of the same numbers about nearly the same centre: the smaller one, entry by entry."""
    first = a.radius < b.radius
    return Ball(torch.where(first, a.centre, b.centre), torch.where(first, a.radius, b.radius))


def _back(step: Step, g: Ball, shape: torch.Size, inside: Ball | None) -> Ball:
    """Weights of a step's input, from those of its output."""
    if isinstance(step, Activation):
        return _activated(step, g, shape, inside)
    if isinstance(step, PieceMaximum):
        return _scaled(g.reshape(-1, 1), *_pieces(step))
    if isinstance(step, Affine):
        count = max(step.operator.terms, step.operator.transposed_terms) + step.extra + 2
        centre = step.operator.transposed(g.centre, shape)
        size = g.radius * (1 + 2 * FLOAT64.gamma(count)) + FLOAT64.gamma(count) * g.centre.abs()
        radius = step.magnitude.transposed(size, shape)
        return Ball(centre, upper(radius + FLOAT64.absolute(count), count + 6))
    if step.chooses:
        raise UserError(
            f"certificates of several classes know no bound on how far a {type(step).__name__} can rise; "
            "use networks of affine layers and activations, such as ConvexMLP, or one sensitive class"
        )
    return step.backward(g, shape, None)


def _activated(step: Activation, g: Ball, shape: torch.Size, inside: Ball | None) -> Ball:
    """The slopes of a convex curve grow from one end of the interval to the other."""
    if inside is None:
        ends = (
            torch.full(shape, -FAR, dtype=torch.float64),
            torch.full(shape, FAR, dtype=torch.float64),
        )
        low, high = (end.to(g.centre.device) for end in ends)
    else:
        low, high = inside.lower(), -Ball(-inside.centre, inside.radius).lower()
    least = step.curve.slope(low).double() - SLOPE_ERROR
    most = step.curve.slope(high).double() + SLOPE_ERROR
    if step.curve.relative == 0:  # slopes that are 0 or 1 are exact
        least, most = least + SLOPE_ERROR, most - SLOPE_ERROR
    return _scaled(g, least.clamp(0.0, 1.0), most.clamp(0.0, 1.0))


def _pieces(step: PieceMaximum) -> tuple[Tensor, Tensor]:
    """(1, d) each: the ends of all convex combinations of the rows."""
    return step.weight.amin(0, keepdim=True), step.weight.amax(0, keepdim=True)


def _scaled(g: Ball, least: Tensor, most: Tensor) -> Ball:
    """Products of numbers of a ball with numbers between two ends."""
    low, high = g.lower(), -Ball(-g.centre, g.radius).lower()
    corners = torch.stack(
        [torch.where(a == 0, 0.0, a * b) for a in (least, most) for b in (low, high)]
    )
    return _between(corners.amin(0), corners.amax(0), products=1)


def _between(low: Tensor, high: Tensor, products: int = 0) -> Ball:
    """The ball around an interval whose ends were computed with so many roundings each."""
    centre = low / 2 + high / 2
    size = torch.maximum(low.abs(), high.abs())
    error = (products + 3) * 2 * FLOAT64.unit * size
    radius = (high - low) / 2 + error
    return Ball(centre, upper(radius, 4, (radius > 0) | (size > 0)))
