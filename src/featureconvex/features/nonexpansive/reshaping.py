"""Maps that only move numbers."""

import math
from collections.abc import Sequence
from typing import Any

from torch import Tensor

from featureconvex.errors import UserError
from featureconvex.features.base import FeatureMap
from featureconvex.given import whole_number
from featureconvex.norms import check_exponent
from featureconvex.rounding.graph import Graph
from featureconvex.rounding.steps import Reshape


def permutation_constant(p: float, s: float | None) -> float:
    """From l_p to l_s (default p) of a map that moves numbers, and perhaps adds zeros.

    >>> permutation_constant(2, None), permutation_constant(2, 1)
    (1.0, inf)
    """
    return 1.0 if check_exponent(p if s is None else s) >= check_exponent(p) else math.inf


class Flatten(FeatureMap):
    """(n, *shape) -> (n, d); constant 1 for every p.

    Args:
        shape: of one input.
    """

    affine = True

    def __init__(self, shape: Sequence[int]) -> None:
        super().__init__()
        self.shape = tuple(whole_number("shape", size, 1) for size in shape)

    def forward(self, x: Tensor) -> Tensor:
        """Flat.

        Raises:
            UserError: inputs of another shape.
        """
        if tuple(x.shape[1:]) != self.shape:
            raise UserError(
                f"Flatten was built for inputs of shape {self.shape}, got {tuple(x.shape[1:])}"
            )
        return x.flatten(1)

    def lipschitz(self, p: float, s: float | None = None) -> float:
        """1 from l_p to l_p, and to every larger norm."""
        return permutation_constant(p, s)

    def pullback(self, v: Tensor) -> Tensor:
        """The shape of the input again."""
        return v.reshape(len(v), *self.shape)

    def rounding_steps(self, graph: Graph, node: int) -> int:
        """One step, without any rounding."""
        return graph.apply(Reshape(1, (-1,)), node)

    def config(self) -> dict[str, Any]:
        """The shape."""
        return {"shape": list(self.shape)}
