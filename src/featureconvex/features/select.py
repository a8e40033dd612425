"""Some of the coordinates, in an order."""

import math
from collections.abc import Sequence
from typing import Any

import torch
from torch import Tensor

from featureconvex.errors import UserError
from featureconvex.features.base import FeatureMap
from featureconvex.given import whole_number
from featureconvex.norms import check_exponent
from featureconvex.rounding.graph import Graph
from featureconvex.rounding.operators import Dense
from featureconvex.rounding.steps import Affine


class Select(FeatureMap):
    """``phi(x)_j = x_(index_j)``: some coordinates of (n, d), each once; constant 1 for every p.

    Args:
        index: distinct coordinates, counted from 0.
        count: d.

    >>> Select([2, 0], 3)(torch.tensor([[1.0, 2.0, 3.0]]))
    tensor([[3., 1.]])
    """

    affine = True

    def __init__(self, index: Sequence[int], count: int) -> None:
        super().__init__()
        self.index = [whole_number("index", place, 0) for place in index]
        self.count = whole_number("count", count, 1)
        if not self.index or len(set(self.index)) < len(self.index) or max(self.index) >= count:
            raise UserError(
                f"Select takes distinct coordinates below {count}, each once, got {self.index}"
            )

    def forward(self, x: Tensor) -> Tensor:
        """(n, d) -> (n, len(index)).

        Raises:
            UserError: inputs of another shape.
        """
        if tuple(x.shape[1:]) != (self.count,):
            raise UserError(
                f"Select was built for rows of {self.count} numbers, got {tuple(x.shape[1:])}"
            )
        return x[:, self.index]

    def lipschitz(self, p: float, s: float | None = None) -> float:
        """1 from l_p to l_p, and to every larger norm."""
        return 1.0 if check_exponent(p if s is None else s) >= check_exponent(p) else math.inf

    def pullback(self, v: Tensor) -> Tensor:
        """Back to their places, 0 elsewhere."""
        out = v.new_zeros(len(v), self.count)
        out[:, self.index] = v
        return out

    def rounding_steps(self, graph: Graph, node: int) -> int:
        """A matrix of zeros and ones."""
        matrix = torch.zeros(len(self.index), self.count, dtype=torch.float64)
        matrix[torch.arange(len(self.index)), self.index] = 1
        return graph.apply(Affine(Dense(matrix)), node)

    def config(self) -> dict[str, Any]:
        """Both arguments."""
        return {"index": self.index, "count": self.count}
