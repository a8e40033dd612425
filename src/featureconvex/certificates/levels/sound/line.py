"""Affine minorants that hold in exact real arithmetic, or for the decision a machine computes."""

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from functools import partial

import torch
from torch import Tensor

from featureconvex.certificates.levels.sound import deployed
from featureconvex.certificates.levels.sound.deployed import DeployedError
from featureconvex.errors import UserError
from featureconvex.features import FeatureMap
from featureconvex.models.frozen import frozen_model, in_precision
from featureconvex.models.model import FeatureConvexModel
from featureconvex.nn.card import rounding_steps
from featureconvex.rounding.ball import Ball, plus
from featureconvex.rounding.directed import (
    DTYPES,
    FLOAT32,
    FLOAT64,
    check_gradual_underflow,
    difference_down,
    dual_norm_up,
    euclidean_up,
    upper,
)
from featureconvex.rounding.graph import Graph, Trace
from featureconvex.rounding.steps import Mode

ARITHMETICS = ("real", "float32", "float64")
DEPLOYED = {"float32": FLOAT32, "float64": FLOAT64}
"""The arithmetics of deployed models."""


@dataclass(frozen=True)
class SoundLine:
    """For every row x and every real x' with ``max |x' - x| <= reach``,

        margin(x') >= value + <slope, phi(x') - phi(x)> - sum_i slack_i |x'_i - x_i| - slack_2 ||x' - x||_2,

    where ``margin`` is the exact one (arithmetic ``real``) or a number whose sign is that of the
    decision computed in float32 or float64, and everything on the right is an exact real number.

    Attributes:
        value: (n,) float64.
        slope: (n, ...) float64 in the shape of ``phi(x)``.
        slack: (n, ...) float64 in the shape of ``x``, >= 0.
        reach: inf for arithmetic ``real``; otherwise beyond it the forward pass might overflow.
        features: the steps of ``phi``.
        shapes: of its nodes.
        slack_2: (n,) float64, >= 0; for feature maps that mix coordinates, None (0) for others.
        slope_error: (n, ...) float64 in the shape of ``slope``, >= 0: what the slope may be off by, where
            only constants between norms bound the map; elsewhere it is in ``slack`` and ``slack_2``.
    """

    value: Tensor
    slope: Tensor
    slack: Tensor
    reach: float
    features: Graph
    shapes: list[torch.Size]
    slack_2: Tensor | None = None
    slope_error: Tensor | None = None

    def steepness(self, p: float, cost: Tensor | None) -> Tensor:
        """(n,): at least how fast the right-hand side can fall per unit of ``||cost * (x' - x)||_p``.

        With ``P`` such that ``|phi(x') - phi(x)| <= P |x' - x|`` entrywise, it is
        ``||(P^T |v| + slack) / cost||_q`` by Hoelder's inequality. For ``(u, |u|)`` this is never
        more than the paper's ``2^(1/p) ||v||_q``. A map that mixes coordinates has its constant in
        l_p or, if that proves more, in l2: ``Lip_p ||v||_q max 1 / cost``, and its slack_2.
        """
        if self.slope_error is not None:
            return self._between_norms(self.slope_error, p, cost)
        rate, factor = self.features.rates(self.slope.abs(), self.shapes, p)
        if factor is None:
            rate = rate + self.slack
            return dual_norm_up(_dearer(upper(rate, 1, rate > 0), cost), p)
        assert self.slack_2 is not None
        cheapest = _dearer(torch.ones_like(self.slack[:1]), cost).amax()
        # ||d||_2 <= ||d||_p for p <= 2, and n^(1/2 - 1/p) ||d||_p above.
        longest = self.slack[:1].numel() ** max(0.0, 0.5 - 1 / p) * (1 + 2.0**-40)
        falls = factor * _dearer(rate, cost).flatten(1).amax(1)
        if p != 2:
            rate, euclidean = self.features.rates(self.slope.abs(), self.shapes, 2.0)
            assert euclidean is not None
            euclidean = euclidean * _dearer(rate, cost).flatten(1).amax(1) * longest
            falls = torch.minimum(falls, euclidean)
        falls = falls + self.slack_2 * (longest * cheapest)
        return upper(falls, 6, falls > 0)

    def _between_norms(self, slope_error: Tensor, p: float, cost: Tensor | None) -> Tensor:
        """``L_(p, s) ||v||_(s*)`` for the best s, and the slack by Hoelder's inequality."""
        steep = self.slope.abs() + slope_error
        steep = upper(steep, 1, steep > 0)
        constants = self.features.constants(p, cost, self.shapes[0])
        falls = [
            upper(factor * dual_norm_up(steep, s), 2, (steep > 0).flatten(1).any(1))
            for s, factor in constants.items()
            if factor < torch.inf
        ]
        found = torch.stack(falls).amin(0)
        if bool((self.slack > 0).any()):
            found = found + dual_norm_up(_dearer(self.slack, cost), p)
        if self.slack_2 is not None:
            longest = self.slack[:1].numel() ** max(0.0, 0.5 - 1 / p) * (1 + 2.0**-40)
            cheapest = _dearer(torch.ones_like(self.slack[:1]), cost).amax()
            found = found + self.slack_2 * (longest * cheapest)
        return upper(found, 6, found > 0)


def _dearer(rate: Tensor, cost: Tensor | None) -> Tensor:
    """At least ``rate / cost``; 0 where the cost is infinite."""
    if cost is None:
        return rate
    costs = cost.to(rate.device)
    return upper(rate / costs, 1, rate > 0).masked_fill(torch.isinf(costs), 0.0)


def sound_line(
    model: FeatureConvexModel,
    x: Tensor,
    arithmetic: str = "real",
    choices: Sequence[Tensor] | None = None,
) -> SoundLine:
    """The affine minorant of a model at ``x`` with all rounding errors accounted for.

    Args:
        model: a model; it is frozen first if it is not.
        x: (n, ...), n >= 1, in any dtype: these floats are the exact input.
        arithmetic: ``"real"``: the margin in exact arithmetic. ``"float32"``, ``"float64"``: the
            decision of ``model.to(dtype)(x'.to(dtype))`` for every real x'.
        choices: the minorant of every nonlinear step in the order of evaluation; None: tangents at x.

    Raises:
        UserError: unknown arithmetic, a module or feature map without a rule, or settings under
            which the deployed pass rounds in a way not covered.
    """
    check_gradual_underflow()
    model = frozen_model(model)
    if arithmetic not in ARITHMETICS:
        raise UserError(f"unknown arithmetic {arithmetic!r}; use one of {', '.join(ARITHMETICS)}")
    with torch.no_grad(), plain_convolutions():
        model = in_arithmetic(model, arithmetic)
        features, network = graphs(model)
        wide = x.detach().double()
        line = _exact_line(features, network, wide, model.tau, choices)
        if arithmetic == "real":
            return line
        rounding = DEPLOYED[arithmetic]
        deployed.check_deployment(features.convolves or network.convolves, model.device, rounding)
        (error,) = deployed.deployed_errors(features, [network], wide, rounding)
        return less_error(line, error)


def less_error(line: SoundLine, error: DeployedError) -> SoundLine:
    """The line of the computed number, from that of the exact one and how far apart they can be."""
    here, growth, slack, slack_2 = error.here, error.growth, line.slack, line.slack_2
    if error.by_norms:
        # Row by row the bound that takes least off the value at about the distance that is certified.
        far = line.value / line.steepness(2.0, None)
        far = far.where(torch.isfinite(far) & (far > 0), 1.0)
        euclidean = torch.zeros_like(here)
        kept = euclidean_up(growth.flatten(1)).expand_as(here)
        for at, rate in error.by_norms:
            better = at + rate * far < here + kept * far
            here = torch.where(better, at, here)
            kept = torch.where(better, rate, kept)
            euclidean = torch.where(better, rate, euclidean)
            growth = growth.masked_fill(better.view(-1, *[1] * (slack.ndim - 1)), 0.0)
        slack_2 = euclidean if slack_2 is None else upper(slack_2 + euclidean, 1)
    if line.slack_2 is None:
        slack = upper(slack + growth, 1)
    else:
        assert slack_2 is not None
        slack_2 = upper(slack_2 + line.features.felt(growth), 1)
    value = difference_down(line.value, here)
    return replace(line, value=value, slack=slack, slack_2=slack_2, reach=error.reach)


def _exact_line(
    features: Graph,
    network: Graph,
    x: Tensor,
    tau: Tensor,
    choices: Sequence[Tensor] | None,
) -> SoundLine:
    """Value by a forward pass, slope by a backward pass, the slope's error pulled back to ``x``."""
    phi, inner = features.forward(Ball.exact(x), Mode(FLOAT64, relaxed=False))
    out, outer = network.forward(phi, Mode(FLOAT64, relaxed=True), choices)
    margin = plus(out, Ball.exact(tau.to(x.device).expand_as(out.centre)), FLOAT64)
    slope = slope_of(network, outer, out)
    return line_of(margin.lower(), slope, features, inner.shapes, features.between_norms)


def line_of(
    value: Tensor, slope: Ball, features: Graph, shapes: list[torch.Size], by_norms: bool
) -> SoundLine:
    """The line of a value (n,), rounded down, and a slope known up to its radius, in exact arithmetic.

    Args:
        value: at x.
        slope: (n, ...) in the shape of ``phi(x)``.
        features: the steps of ``phi``.
        shapes: of its nodes, for n rows.
        by_norms: whether to bound ``phi`` by its constants between norms.
    """
    none = torch.zeros(shapes[0], dtype=torch.float64, device=value.device)
    if by_norms:
        mixed = torch.zeros_like(value) if features.mixes else None
        return SoundLine(
            value, slope.centre, none, torch.inf, features, shapes, mixed, slope.radius
        )
    slack, slack_2 = features.pull(slope.radius, shapes), None
    if features.mixes:
        slack, slack_2 = none, features.felt(slack)
    return SoundLine(value, slope.centre, slack, torch.inf, features, shapes, slack_2)


def slope_of(network: Graph, trace: Trace, out: Ball) -> Ball:
    """The exact slope of the relaxed network lies in this ball."""
    return network.backward(Ball.exact(torch.ones_like(out.centre)), trace)


def graphs(model: FeatureConvexModel, pulled: bool = True) -> tuple[Graph, Graph]:
    """The steps of the feature map and of the network, each with its output as the last node.

    Args:
        model: a frozen model.
        pulled: whether affine maps at the end of the feature map may count as the network's.

    Raises:
        UserError: a part has no rule.
    """
    phi = split_affine(model.feature_map)[0] if pulled else model.feature_map.parts()
    features = _graph([part.rounding_steps for part in phi], model.dtype)
    return features, network_graph(model, pulled)


def network_graph(model: FeatureConvexModel, pulled: bool = True) -> Graph:
    """The second of :func:`graphs`, for models that share a feature map."""
    affine = split_affine(model.feature_map)[1] if pulled else []
    network = partial(rounding_steps, model.convex_net)
    return _graph([*(part.rounding_steps for part in affine), network], model.dtype)


def _graph(modules: list[Callable[[Graph, int], int]], dtype: torch.dtype) -> Graph:
    graph, node = Graph(dtype), 0
    for steps in modules:
        node = steps(graph, node)
        if node != len(graph.nodes) - 1:
            raise UserError("the steps of a module must end with its output")
    return graph


def split_affine(phi: FeatureMap) -> tuple[list[FeatureMap], list[FeatureMap]]:
    """The maps of ``phi``, and those at its end that are better taken as the network's first layers.

    Affine maps that mix coordinates: a slope pulled back through a matrix says more than its constant.
    """
    parts = phi.parts()
    if not phi.learned and all(part.coordinatewise for part in parts if part.affine):
        return parts, []
    start = len(parts)
    while start and parts[start - 1].affine:
        start -= 1
    return parts[:start], parts[start:]


def in_arithmetic(model: FeatureConvexModel, arithmetic: str) -> FeatureConvexModel:
    """The frozen model as deployed: itself, or one with its weights in the dtype asked for."""
    if arithmetic == "real":
        if model.dtype not in DTYPES:
            raise UserError(f"level 'sound' knows float32 and float64 models, got {model.dtype}")
        return model
    dtype = torch.float32 if arithmetic == "float32" else torch.float64
    return in_precision(model, dtype)


@contextmanager
def plain_convolutions() -> Iterator[None]:
    """Without cuDNN torch convolves float64 by unfolding and matrix products on every device."""
    with torch.backends.cudnn.flags(enabled=False):
        yield
