"""One class against another: a line below the difference of their scores.

The score of the predicted class k lies above its tangent, the score of a rival j rises with a slope between
two ends (:mod:`.slopes`). So for x' in the region, in exact arithmetic,

    f_k(x') - f_j(x') >= f_k(x) - f_j(x) + <v_k - w, phi(x') - phi(x)>    for some w in the range of j.

With a single w per rival this is the line of a linear classifier, ``(f_k - f_j) / ||w_k - w_j||``; with
the range's ends it is never less than ``(f_k - f_j) / (||v_k|| + Lip_j)``. It has the form of
:class:`~featureconvex.certificates.levels.sound.line.SoundLine`, whose slope may be off by an error,
so level ``sound``'s radii, in any domain and for any threat, apply as they are.

Both scores of a deployed model are off by what :mod:`..levels.sound.deployed` bounds, thresholds included:
they are added in float64, where scores that are nearly alike may become equal, so each counts as one
more sum in the deployed arithmetic. Within the radius the computed score of ``k`` is the larger one.
"""

from dataclasses import dataclass, field, replace

import torch
from torch import Tensor

from featureconvex.certificates.levels.sound.deployed import (
    DeployedError,
    check_deployment,
    deployed_errors,
)
from featureconvex.certificates.levels.sound.line import (
    DEPLOYED,
    SoundLine,
    graphs,
    less_error,
    line_of,
    network_graph,
    slope_of,
)
from featureconvex.certificates.multi_class.slopes import EXACT, Region, slope_range
from featureconvex.models.model import FeatureConvexModel
from featureconvex.rounding.ball import Ball, plus
from featureconvex.rounding.directed import FLOAT64, upper
from featureconvex.rounding.graph import Graph
from featureconvex.rounding.steps import Mode, Translation


@dataclass(frozen=True)
class Rivals:
    """The scores of all classes at some inputs, enclosed, and how they can move.

    Attributes:
        features: the steps of ``phi``.
        networks: the steps of every class.
        by_norms: whether ``phi`` is bounded by its constants between norms; else coordinate by coordinate.
        u: what ``features`` makes of the inputs.
        shapes: of its nodes.
        scores: of every class, (n,) each.
        everywhere: the slopes of every class between any two inputs, one row each.
        errors: of the deployed scores, one for each class; None: the scores are the exact ones.
        tangents: the slopes at the inputs of the classes that were asked for.
    """

    features: Graph
    networks: list[Graph]
    by_norms: bool
    u: Ball
    shapes: list[torch.Size]
    scores: list[Ball]
    everywhere: list[Ball]
    errors: list[DeployedError] | None = None
    tangents: dict[int, Ball] = field(default_factory=dict)

    @staticmethod
    def at(
        models: list[FeatureConvexModel], x: Tensor, pulled: bool = True, arithmetic: str = "real"
    ) -> "Rivals":
        """Of frozen models that share their feature map, at inputs (n, ...), n >= 1.

        Args:
            models: one per class.
            x: the inputs.
            pulled: learned affine maps at the end of ``phi`` are the networks' first layers: exact for
                scores with a single slope; a range of slopes says less after a matrix than in front of it.
            arithmetic: in which the scores are compared, ``"real"`` or that of a deployed model; the models
                are in its dtype.

        Raises:
            UserError: a part without a rounding rule, or a deployed pass that rounds in a way not covered.
        """
        features, first = graphs(models[0], pulled)
        networks = [first, *(network_graph(model, pulled) for model in models[1:])]
        by_norms = features.between_norms or (not pulled and models[0].feature_map.learned)
        wide = x.detach().double()
        u, trace = features.forward(Ball.exact(wide), EXACT)
        scores = [
            plus(network.forward(u, EXACT)[0], Ball.exact(model.tau.expand(len(x))), FLOAT64)
            for network, model in zip(networks, models, strict=True)
        ]
        everywhere = [slope_range(network, u) for network in networks]
        errors = None
        if arithmetic in DEPLOYED:
            rounding = DEPLOYED[arithmetic]
            convolves = features.convolves or any(network.convolves for network in networks)
            check_deployment(convolves, models[0].device, rounding)
            ending = [_shifted(net, model.tau) for net, model in zip(networks, models, strict=True)]
            errors = deployed_errors(features, ending, wide, rounding)
        return Rivals(features, networks, by_norms, u, trace.shapes, scores, everywhere, errors)

    def near(self, j: int, p: float, cost: Tensor | None, budget: Tensor) -> Ball:
        """The slopes of class j within a budget (n,) in the costed l_p norm."""
        region = Region(self.u, self._reach(p, cost, budget))
        return slope_range(self.networks[j], self.u, region)

    def _reach(self, p: float, cost: Tensor | None, budget: Tensor) -> dict[float, Tensor]:
        if len(self.features.nodes) == 1:  # nothing in front: the identity
            scale = 1.0 if cost is None else float((1 / cost).max()) * (1 + 2.0**-40)
            constants = {p: scale, torch.inf: scale}
        else:
            constants = self.features.constants(p, cost, self.shapes[0])
        return {
            s: upper(budget * factor, 2, budget * factor > 0)
            for s, factor in constants.items()
            if factor < torch.inf or s == torch.inf
        }

    def rows(self, index: Tensor) -> "Rivals":
        """Some of the inputs."""
        u = Ball(self.u.centre[index], self.u.radius[index])
        scores = [Ball(ball.centre[index], ball.radius[index]) for ball in self.scores]
        errors = None if self.errors is None else [error.rows(index) for error in self.errors]
        return replace(self, u=u, scores=scores, errors=errors, tangents={})

    def line(self, k: int, j: int, rise: Ball) -> SoundLine:
        """Below ``f_k - f_j``, wherever the slopes of class j are in ``rise``."""
        value = plus(self.scores[k], _negative(self.scores[j]), FLOAT64).lower()
        slope = plus(self._tangent(k), _negative(rise), FLOAT64)
        shapes = [torch.Size((len(value), *shape[1:])) for shape in self.shapes]
        line = line_of(value, slope, self.features, shapes, self.by_norms)
        return (
            line if self.errors is None else less_error(line, self.errors[k].plus(self.errors[j]))
        )

    def _tangent(self, k: int) -> Ball:
        if k not in self.tangents:
            out, trace = self.networks[k].forward(self.u, Mode(FLOAT64, relaxed=True))
            self.tangents[k] = slope_of(self.networks[k], trace, out)
        return self.tangents[k]


def _shifted(network: Graph, tau: Tensor) -> Graph:
    """With the threshold as a last step, in the arithmetic of the others."""
    last = len(network.nodes) - 1
    return Graph(network.dtype, [*network.nodes, (Translation(tau.reshape(1)), (last,))])


def _negative(ball: Ball) -> Ball:
    return Ball(-ball.centre, ball.radius)
