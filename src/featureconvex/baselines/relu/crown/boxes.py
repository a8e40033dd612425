"""Bounds on every hidden pre-activation over a ball: intervals and CROWN, slopes optimised."""

from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from featureconvex.baselines.relu.crown.ascent import Free, ascend
from featureconvex.baselines.relu.crown.bounds import (
    BoundProblem,
    ReluLines,
    affine_bound,
    first_slopes,
)
from featureconvex.baselines.relu.interval_bounds import propagated
from featureconvex.norms import dual_exponent, vector_norm

STEP = 0.3
"""First step of a slope."""
CHUNK = 4_000_000
"""Largest number of products ``row x input`` held at a time."""


def preactivation_bounds(
    problem: BoundProblem, radius: Tensor, steps: int
) -> tuple[Tensor, Tensor]:
    """``low, high``, (n, H) each: every hidden pre-activation within ``radius`` of each point.

    The first layer's are exact. After it, the tighter of interval propagation and CROWN; where the
    sign stays open, CROWN's slopes are optimised for each bound alone.

    Args:
        problem: n points.
        radius: (n,), >= 0.
        steps: of the optimisation; 0 for plain CROWN.
    """
    reach = radius[:, None] * vector_norm(problem.ball.matrix, dual_exponent(problem.ball.p))
    lows, highs = [problem.centre - reach], [problem.centre + reach]
    for weight, bias in problem.later[:-1]:
        low, high = propagated((lows[-1], highs[-1]), weight, bias)
        known = torch.cat(lows, dim=1), torch.cat(highs, dim=1)
        relaxation, slopes = ReluLines.over(*known), first_slopes(*known)
        layer = _Layer(problem, radius, relaxation, slopes, weight, bias)
        for rounds in (0, steps)[: 2 if steps else 1]:
            undecided = (low < 0) & (high > 0) if rounds else torch.ones_like(low, dtype=torch.bool)
            low = layer.raised(low, undecided, 1.0, rounds)
            high = -layer.raised(-high, undecided, -1.0, rounds)
        lows.append(low)
        highs.append(high)
    return torch.cat(lows, dim=1), torch.cat(highs, dim=1)


@dataclass(frozen=True)
class _Layer:
    """The pre-activations ``W a + b`` of one layer, given lines around the layers before it."""

    problem: BoundProblem
    radius: Tensor
    relaxation: ReluLines
    slopes: Tensor
    weight: Tensor
    bias: Tensor

    def raised(self, low: Tensor, chosen: Tensor, sign: float, steps: int) -> Tensor:
        """Lower bounds on ``sign (W a + b)``, (n, width): ``low``, better where ``chosen`` allows."""
        points, neurons = chosen.nonzero(as_tuple=True)
        size = max(1, CHUNK // self.problem.ball.matrix.shape[1])
        values = [
            self._bound(part, neuron, sign, steps)
            for part, neuron in zip(
                torch.split(points, size), torch.split(neurons, size), strict=True
            )
        ]
        if not values:
            return low
        raised = low.clone()
        raised[points, neurons] = torch.maximum(low[points, neurons], torch.cat(values))
        return raised

    def _bound(self, points: Tensor, neurons: Tensor, sign: float, steps: int) -> Tensor:
        problem, relaxation = self.problem.part(points), self.relaxation.rows(points)
        rows, constant = sign * self.weight[neurons], sign * self.bias[neurons]
        radius = self.radius[points]

        def bound(free: Sequence[Tensor]) -> tuple[Tensor, Tensor]:
            value, reach = affine_bound(problem, rows, constant, relaxation, free[0])
            lowest = value - radius * reach
            return lowest, lowest

        return ascend([Free(self.slopes[points], 1.0, STEP)], bound, steps)[0]
