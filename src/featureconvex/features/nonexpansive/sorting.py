"""Sorting: the nonlinearity of learned feature maps, nonexpansive in every norm."""

import math
from typing import Any

import torch
from torch import Tensor

from featureconvex.errors import UserError
from featureconvex.features.base import FeatureMap
from featureconvex.norms import check_exponent
from featureconvex.rounding.graph import Graph
from featureconvex.rounding.nonexpansive import SortPairs


class MaxMin(FeatureMap):
    """Channel i against channel i + k: their maximum, and their minimum (GroupSort of size 2).

    Sorting is a permutation on each of finitely many pieces, so its constant is 1 from l_p to l_p for every
    p (Anil, Lucas and Grosse 2019, arXiv 1811.05381), and unlike ReLU it keeps lengths.

    >>> MaxMin()(torch.tensor([[1.0, 2.0, 3.0, 0.0]]))
    tensor([[3., 2., 1., 0.]])
    """

    def forward(self, x: Tensor) -> Tensor:
        """(n, 2 k, ...) -> the same shape.

        Raises:
            UserError: an odd number of channels.
        """
        if x.ndim < 2 or x.shape[1] % 2:
            raise UserError(
                f"MaxMin pairs the channels of (n, 2 k, ...), got shape {tuple(x.shape)}; "
                "use an even number"
            )
        a, b = x.chunk(2, dim=1)
        return torch.cat((torch.maximum(a, b), torch.minimum(a, b)), dim=1)

    def lipschitz(self, p: float, s: float | None = None) -> float:
        """1 from l_p to l_p, and to every larger norm."""
        return 1.0 if check_exponent(p if s is None else s) >= check_exponent(p) else math.inf

    def rounding_steps(self, graph: Graph, node: int) -> int:
        """One step, without any rounding."""
        return graph.apply(SortPairs(), node)

    def config(self) -> dict[str, Any]:
        """No arguments."""
        return {}
