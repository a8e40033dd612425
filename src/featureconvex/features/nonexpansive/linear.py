"""Learned linear maps with constant 1 between two norms, whatever training does to their weights."""

import math
from typing import Any

from torch import Tensor, nn
from torch.nn.functional import linear

from featureconvex.errors import UserError
from featureconvex.features.base import FeatureMap
from featureconvex.features.nonexpansive.weights import (
    BoundedColumns,
    BoundedEntries,
    BoundedRows,
    Orthogonal,
    hold_fresh,
)
from featureconvex.given import one_of, whole_number, yes_or_no
from featureconvex.nn.constraint import Constraint
from featureconvex.norms import check_exponent, widening
from featureconvex.rounding.graph import Graph
from featureconvex.rounding.operator_norm import costed, operator_norm
from featureconvex.rounding.operators import Dense
from featureconvex.rounding.steps import Affine

# The set of weights, and the norms between which it has constant 1.
SETS: dict[str, tuple[type[Constraint], float, float]] = {
    "orthogonal": (Orthogonal, 2.0, 2.0),
    "entries": (BoundedEntries, 1.0, math.inf),
    "rows": (BoundedRows, math.inf, math.inf),
    "columns": (BoundedColumns, 1.0, 1.0),
}


class NonexpansiveLinear(FeatureMap):
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

    affine = True
    learned = True

    def __init__(
        self, inputs: int, outputs: int, weights: str = "orthogonal", bias: bool = True
    ) -> None:
        super().__init__()
        self.inputs, self.outputs = (
            whole_number("inputs", inputs, 1),
            whole_number("outputs", outputs, 1),
        )
        self.weights = one_of("weights", weights, tuple(SETS))
        self.linear = nn.Linear(self.inputs, self.outputs, yes_or_no("bias", bias))
        kind, self._from, self._to = SETS[self.weights]
        nn.init.normal_(self.linear.weight, std=max(self.inputs, self.outputs) ** -0.5)
        hold_fresh(self.linear, kind())

    def forward(self, x: Tensor) -> Tensor:
        """(n, inputs) -> (n, outputs).

        Raises:
            UserError: rows of another shape.
        """
        if x.ndim != 2 or x.shape[1] != self.inputs:
            raise UserError(
                f"NonexpansiveLinear takes rows of {self.inputs} numbers, got {tuple(x.shape[1:])}; "
                "flatten images with features.Flatten(shape) first"
            )
        return linear(x, self.linear.weight, self.linear.bias)

    def lipschitz(self, p: float, s: float | None = None) -> float:
        """At least ``||W||`` from l_p to l_s, measured on the weights in use."""
        return operator_norm(
            self.linear.weight, check_exponent(p), check_exponent(p if s is None else s)
        )

    def lipschitz_per_cost(self, cost: Tensor, p: float, s: float | None = None) -> float:
        """At least ``||W diag(1 / cost)||`` from l_p to l_s."""
        rows = costed(self.linear.weight, cost.expand(self.inputs))
        return operator_norm(rows, check_exponent(p), check_exponent(p if s is None else s))

    def by_construction(self, p: float, s: float) -> float:
        """1 between the set's own norms, and what follows for others."""
        return widening(self.inputs, self._from, p) * widening(self.outputs, s, self._to)

    def pullback(self, v: Tensor) -> Tensor:
        """``W^T v``."""
        return v @ self.linear.weight.to(v.dtype)

    def rounding_steps(self, graph: Graph, node: int) -> int:
        """A matrix and a translation."""
        weight = self.linear.weight.detach().double()
        if not self.config()["bias"]:
            return graph.apply(Affine(Dense(weight)), node)
        shift = self.linear.bias.detach().double()
        return graph.apply(Affine(Dense(weight), shift, shift.abs()), node)

    def config(self) -> dict[str, Any]:
        """Sizes and the set; the numbers are parameters."""
        return {
            "inputs": self.inputs,
            "outputs": self.outputs,
            "weights": self.weights,
            "bias": self.linear.bias is not None,
        }
