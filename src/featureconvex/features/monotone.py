"""Monotone maps: nonnegative weights, and activations that bend both ways."""

import math
from typing import Any

import torch
from torch import Tensor
from torch.nn.functional import elu

from featureconvex.features.base import FeatureMap
from featureconvex.features.learned_linear import LearnedLinear
from featureconvex.nn.nonnegative import constrain_
from featureconvex.norms import check_exponent
from featureconvex.rounding.elementwise import Monotone
from featureconvex.rounding.graph import Graph


class MonotoneLinear(LearnedLinear):
    """``phi(x) = A x + b`` with ``A >= 0``: (n, inputs) -> (n, outputs), nondecreasing in every coordinate.

    With :class:`ThreeWays` between, and a monotone network after, the model's worst point in a box is one
    of its corners, and its radius in linf is exact (:mod:`featureconvex.certificates.levels.corner`). No
    step of training, load or assignment makes a weight negative. Constants are measured on the weights in
    use; nothing bounds them by construction.

    Args:
        inputs, outputs: sizes. Fresh weights are ``|N(0, 1)| / inputs``: a sum of nonnegative terms stays
            of the inputs' size.

    >>> bool((MonotoneLinear(3, 2).linear.weight >= 0).all())
    True
    """

    def __init__(self, inputs: int, outputs: int) -> None:
        super().__init__(inputs, outputs)
        constrain_(self.linear)
        with torch.no_grad():
            self.linear.weight = torch.randn(self.outputs, self.inputs).abs() / self.inputs
            self.linear.bias.uniform_(-1, 1)

    def config(self) -> dict[str, Any]:
        """Sizes; the numbers are parameters."""
        return {"inputs": self.inputs, "outputs": self.outputs}


class ThreeWays(FeatureMap):
    """ELU on a third of the coordinates, ``-ELU(-h)`` on another, ``h`` cut to [-1, 1] on the rest.

    With nonnegative weights a convex activation alone makes a convex function; convex, concave and bounded
    units together approximate every monotone one (Runje and Shankaranarayana, ICML 2023, arXiv 2205.11775).
    All slopes lie in [0, 1], so the constant is 1 from l_p to l_p.

    >>> ThreeWays()(torch.tensor([[-2.0, -2.0, -2.0]])).round(decimals=3)
    tensor([[-0.8650, -2.0000, -1.0000]])
    """

    coordinatewise = True

    def forward(self, x: Tensor) -> Tensor:
        """(n, k) -> (n, k), nondecreasing in every entry."""
        convex, concave, bounded = x.tensor_split(3, dim=1)
        return torch.cat((elu(convex), -elu(-concave), bounded.clamp(-1, 1)), dim=1)

    def lipschitz(self, p: float, s: float | None = None) -> float:
        """1, also to every larger norm."""
        return 1.0 if check_exponent(p if s is None else s) >= check_exponent(p) else math.inf

    def rounding_steps(self, graph: Graph, node: int) -> int:
        """``expm1`` is right to 8 units of roundoff of its value, which is at most ``|x|``."""
        return graph.apply(Monotone(self.forward, 1.0, 8.0, 0.0), node)

    def config(self) -> dict[str, Any]:
        """No arguments."""
        return {}
