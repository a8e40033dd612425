"""The paper's feature map for images, ``(u, |u|)``."""

import math
from typing import Any

import torch
from torch import Tensor

from featureconvex.features.base import FeatureMap, per_cost
from featureconvex.features.kinked_form import Around, KinkedForm
from featureconvex.norms import check_exponent, dual_exponent, vector_norm
from featureconvex.rounding.graph import Graph
from featureconvex.rounding.steps import AbsStack


class AbsConcat(FeatureMap):
    """``phi(u) = (u, |u|)``, stacked on the channel axis (dimension 1).

    Constant ``2^(1/p)``: 2 for l1, sqrt 2 for l2, 1 for linf (the paper, section 2).
    Compose it after :class:`Center` for the paper's ``(x - mu, |x - mu|)``.

    >>> AbsConcat()(torch.tensor([[1.0, -2.0]]))
    tensor([[ 1., -2.,  1.,  2.]])
    """

    coordinatewise = True

    def forward(self, x: Tensor) -> Tensor:
        """(n, c, ...) -> (n, 2c, ...)."""
        return torch.cat((x, x.abs()), dim=1)

    def lipschitz(self, p: float, s: float | None = None) -> float:
        """``2^(1/s)``: each half is nonexpansive, and to every larger norm."""
        s = check_exponent(p if s is None else s)
        return float(2 ** (1 / s)) if s >= check_exponent(p) else math.inf

    def sensitivity(self, v: Tensor, p: float, cost: Tensor | None = None) -> Tensor:
        """``2^(1/p) ||v / (cost, cost)||_q``: the cost repeats on both halves."""
        v = v.double()
        if cost is not None:
            # One (n, 2, c, ...) view pairs the halves, so that a cost of one input broadcasts.
            v = per_cost(torch.stack(v.chunk(2, dim=1), dim=1), cost)
        return self.lipschitz(p) * vector_norm(v, dual_exponent(p))

    def kinked_form(self, v: Tensor, around: Around) -> KinkedForm:
        """``<v, (x, |x|)>`` is ``<w, x> + <b, |x|>``."""
        w, b = v.chunk(2, dim=1)
        return KinkedForm(w, b, v.new_zeros(()), exact=True)

    def rounding_steps(self, graph: Graph, node: int) -> int:
        """Exact."""
        return graph.apply(AbsStack(), node)

    def config(self) -> dict[str, Any]:
        """No arguments."""
        return {}
