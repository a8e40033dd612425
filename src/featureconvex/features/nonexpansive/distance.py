"""Layers of distances: nonexpansive from l_p to linf by the triangle inequality, whatever their weights."""

import math
from typing import Any

import torch
from torch import Tensor, nn

from featureconvex.distances import distances
from featureconvex.errors import UserError
from featureconvex.features.base import FeatureMap
from featureconvex.features.nonexpansive.smooth_distance import smooth_distance
from featureconvex.given import whole_number
from featureconvex.norms import check_exponent, widening
from featureconvex.rounding.graph import Graph
from featureconvex.rounding.nonexpansive import to_points
from featureconvex.rounding.steps import Translation

SCALE = 0.3
"""Standard deviation of fresh weights, for inputs that span about 1."""
# Sharpness of the smooth distance at the start and at the end of training.
BLUNT, SHARP = 4.0, 60.0


class Distances(FeatureMap):
    """``||x - w_j||_p - m_j`` for every neuron j: (n, inputs) -> (n, neurons).

    A distance moves by at most ``||x - x'||_p``, and so does the largest of many: the constant is 1 from
    l_p to linf (Zhang, Cai, Lu, He and Wang, ICML 2021, arXiv 2102.05363, for p = inf). ``m`` only centres
    the outputs: it is their mean over training points, set by :meth:`settle`.

    For p = inf training uses a smooth distance, which :meth:`anneal` sharpens;
    what is evaluated and certified is the distance itself.

    Args:
        inputs, neurons: sizes.
        p: exponent of the distance.

    >>> Distances(3, 2).lipschitz(math.inf)
    1.0
    """

    learned = True
    mean: Tensor

    def __init__(self, inputs: int, neurons: int, p: float = math.inf) -> None:
        super().__init__()
        self.inputs, self.neurons = (
            whole_number("inputs", inputs, 1),
            whole_number("neurons", neurons, 1),
        )
        self.p = check_exponent(p)
        self.weight = nn.Parameter(torch.randn(self.neurons, self.inputs) * SCALE)
        self.register_buffer("mean", torch.zeros(self.neurons))
        self.sharpness = BLUNT

    def forward(self, x: Tensor) -> Tensor:
        """(n, inputs) -> (n, neurons); in training smooth, and centred by the batch.

        Raises:
            UserError: rows of another shape.
        """
        if x.ndim != 2 or x.shape[1] != self.inputs:
            raise UserError(
                f"Distances was built for rows of {self.inputs} numbers, got {tuple(x.shape[1:])}; flatten "
                "images with features.Flatten(shape) first"
            )
        if self.training and x.shape[0] > 1:
            out = (
                smooth_distance(x, self.weight, self.sharpness)
                if math.isinf(self.p)
                else distances(x, self.weight, self.p)
            )
            return out - out.mean(dim=0)
        return distances(x, self.weight, self.p) - self.mean

    def anneal(self, done: float) -> None:
        """Sharpen geometrically."""
        self.sharpness = BLUNT * (SHARP / BLUNT) ** min(1.0, max(0.0, done))

    @torch.no_grad()
    def settle(self, x: Tensor) -> Tensor:
        """Centre the outputs over ``x``."""
        out = distances(x, self.weight, self.p)
        self.mean.copy_(out.mean(dim=0))
        return out - self.mean

    def lipschitz(self, p: float, s: float | None = None) -> float:
        """1 from the distance's own norm to linf, and what follows for others."""
        s = check_exponent(p if s is None else s)
        return widening(self.inputs, self.p, check_exponent(p)) * widening(
            self.neurons, s, math.inf
        )

    def rounding_steps(self, graph: Graph, node: int) -> int:
        """The distances, and a translation by their means."""
        node = graph.apply(to_points(self.weight.detach().double(), self.p), node)
        return graph.apply(Translation(-self.mean.detach().double()), node)

    def config(self) -> dict[str, Any]:
        """Sizes and the exponent; the numbers are parameters and a buffer."""
        return {
            "inputs": self.inputs,
            "neurons": self.neurons,
            "p": "inf" if math.isinf(self.p) else self.p,
        }
