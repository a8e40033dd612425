"""Learned linear maps with constant 1 between two norms, whatever training does to their weights."""

import math
from typing import Any

from torch import nn

from featureconvex.features.learned_linear import LearnedLinear
from featureconvex.features.nonexpansive.weights import (
    BoundedColumns,
    BoundedEntries,
    BoundedRows,
    Orthogonal,
    hold_fresh,
)
from featureconvex.given import one_of, yes_or_no
from featureconvex.nn.constraint import Constraint
from featureconvex.norms import widening

# The set of weights, and the norms between which it has constant 1.
SETS: dict[str, tuple[type[Constraint], float, float]] = {
    "orthogonal": (Orthogonal, 2.0, 2.0),
    "entries": (BoundedEntries, 1.0, math.inf),
    "rows": (BoundedRows, math.inf, math.inf),
    "columns": (BoundedColumns, 1.0, 1.0),
}


class NonexpansiveLinear(LearnedLinear):
    """``phi(x) = W x + b`` with ``W`` held to a set: (n, inputs) -> (n, outputs).

    ============== ================================== ============
    ``weights``    the set                            constant 1
    ============== ================================== ============
    ``orthogonal`` orthonormal rows or columns        l2 to l2
    ``entries``    entries in [-1, 1]                 l1 to linf
    ``rows``       absolute sums of rows at most 1    linf to linf
    ``columns``    absolute sums of columns at most 1 l1 to l1
    ============== ================================== ============

    The constants that certify are measured on the weights in use
    (:mod:`featureconvex.rounding.operator_norm`), for every pair of norms.

    Args:
        inputs, outputs: sizes.
        weights: the set.
        bias: whether ``b`` is learned, too; 0 otherwise.

    >>> phi = NonexpansiveLinear(3, 2, "entries")
    >>> phi.lipschitz(1, math.inf) <= 1
    True
    """

    def __init__(
        self, inputs: int, outputs: int, weights: str = "orthogonal", bias: bool = True
    ) -> None:
        super().__init__(inputs, outputs, yes_or_no("bias", bias))
        self.weights = one_of("weights", weights, tuple(SETS))
        kind, self._from, self._to = SETS[self.weights]
        nn.init.normal_(self.linear.weight, std=max(self.inputs, self.outputs) ** -0.5)
        hold_fresh(self.linear, kind())

    def by_construction(self, p: float, s: float) -> float:
        """1 between the set's own norms, and what follows for others."""
        return widening(self.inputs, self._from, p) * widening(self.outputs, s, self._to)

    def config(self) -> dict[str, Any]:
        """Sizes and the set; the numbers are parameters."""
        return {
            "inputs": self.inputs,
            "outputs": self.outputs,
            "weights": self.weights,
            "bias": self.biased,
        }
