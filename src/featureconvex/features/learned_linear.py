"""What learned linear maps share, whatever set their weights are held to."""

from abc import abstractmethod
from typing import Any

from torch import Tensor, nn
from torch.nn.functional import linear

from featureconvex.errors import UserError
from featureconvex.features.base import FeatureMap
from featureconvex.given import whole_number
from featureconvex.norms import check_exponent
from featureconvex.rounding.graph import Graph
from featureconvex.rounding.operator_norm import costed, operator_norm
from featureconvex.rounding.operators import Dense
from featureconvex.rounding.steps import Affine


class LearnedLinear(FeatureMap):
    """``phi(x) = W x + b``: (n, inputs) -> (n, outputs). A subclass holds ``W`` to its set.

    The constants that certify are measured on the weights in use
    (:mod:`featureconvex.rounding.operator_norm`), for every pair of norms.

    Args:
        inputs, outputs: sizes.
        bias: whether ``b`` is learned, too; 0 otherwise.
    """

    affine = True
    learned = True

    def __init__(self, inputs: int, outputs: int, bias: bool = True) -> None:
        super().__init__()
        self.inputs = whole_number("inputs", inputs, 1)
        self.outputs = whole_number("outputs", outputs, 1)
        self.biased = bias
        self.linear = nn.Linear(self.inputs, self.outputs, bias)

    def forward(self, x: Tensor) -> Tensor:
        """(n, inputs) -> (n, outputs).

        Raises:
            UserError: rows of another shape.
        """
        if x.ndim != 2 or x.shape[1] != self.inputs:
            raise UserError(
                f"{type(self).__name__} takes rows of {self.inputs} numbers, got {tuple(x.shape[1:])}; "
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

    def pullback(self, v: Tensor) -> Tensor:
        """``W^T v``."""
        return v @ self.linear.weight.to(v.dtype)

    def rounding_steps(self, graph: Graph, node: int) -> int:
        """A matrix and a translation."""
        weight = Dense(self.linear.weight.detach().double())
        if not self.biased:
            return graph.apply(Affine(weight), node)
        shift = self.linear.bias.detach().double()
        return graph.apply(Affine(weight, shift, shift.abs()), node)

    @abstractmethod
    def config(self) -> dict[str, Any]:
        """The arguments; the numbers are parameters."""
