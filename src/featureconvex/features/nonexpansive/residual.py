"""Learned residual maps that are nonexpansive in l2."""

import math
from typing import Any

from torch import Tensor, nn
from torch.nn.functional import linear, relu

from featureconvex.errors import UserError
from featureconvex.features.base import FeatureMap
from featureconvex.features.nonexpansive.weights import Contraction, hold_fresh
from featureconvex.given import whole_number
from featureconvex.norms import ROUND_UP, check_exponent, widening
from featureconvex.rounding.graph import Graph
from featureconvex.rounding.nonexpansive import Residual
from featureconvex.rounding.operator_norm import operator_norm


class NonexpansiveResidual(FeatureMap):
    """``x - 2 V^T relu(V x + b)`` with ``||V||_2 <= 1``: (n, width) -> (n, width).

    The SDP-based layer of Araujo et al. (ICLR 2023, arXiv 2303.03169), theorem 3: constant 1 from l2 to l2.
    The constant that certifies is measured on ``V`` as it is.

    Args:
        width: of input and output.
        hidden: rows of ``V``; default the width.

    >>> NonexpansiveResidual(3).lipschitz(2) <= 1 + 1e-5
    True
    """

    learned = True

    def __init__(self, width: int, hidden: int | None = None) -> None:
        super().__init__()
        self.width = whole_number("width", width, 1)
        self.hidden = self.width if hidden is None else whole_number("hidden", hidden, 1)
        self.linear = nn.Linear(self.width, self.hidden)
        nn.init.xavier_normal_(self.linear.weight)
        hold_fresh(self.linear, Contraction())

    def forward(self, x: Tensor) -> Tensor:
        """(n, width) -> (n, width).

        Raises:
            UserError: rows of another shape.
        """
        if x.ndim != 2 or x.shape[1] != self.width:
            raise UserError(
                f"NonexpansiveResidual was built for rows of {self.width} numbers, got {tuple(x.shape[1:])}"
            )
        v = self.linear.weight
        return x - 2 * relu(linear(x, v, self.linear.bias)) @ v

    def lipschitz(self, p: float, s: float | None = None) -> float:
        """At least the constant from l_p to l_s, through l2."""
        s = check_exponent(p if s is None else s)
        bound = residual_bound(operator_norm(self.linear.weight, 2.0, 2.0))
        return bound * self.by_construction(p, s) * ROUND_UP

    def by_construction(self, p: float, s: float) -> float:
        """1 from l2 to l2, and what follows for others."""
        return widening(self.width, 2.0, check_exponent(p)) * widening(self.width, s, 2.0)

    def rounding_steps(self, graph: Graph, node: int) -> int:
        """One step."""
        weight, bias = self.linear.weight.detach().double(), self.linear.bias.detach().double()
        return graph.apply(Residual.of(weight, bias, self.lipschitz(2.0)), node)

    def config(self) -> dict[str, Any]:
        """Sizes; the numbers are parameters."""
        return {"width": self.width, "hidden": self.hidden}


def residual_bound(norm: float) -> float:
    """At least the Lipschitz constant of ``x - 2 V^T relu(V x + b)`` in l2: ``max(1, 2 c - 1)``.

    Between any two points the map is ``J = I - 2 V^T D V`` with a diagonal ``0 <= D <= I``, and
    ``J^T J = I - 4 V^T D V + 4 V^T D V V^T D V``. As ``V V^T <= c I`` for ``c = ||V||^2``, that is at
    most ``I - 4 V^T (D - c D^2) V``, and ``D - c D^2 >= min(0, 1 - c)``. So the square of the constant is
    at most ``1`` for ``c <= 1`` and ``1 + 4 c (c - 1) = (2 c - 1)^2`` beyond.

    Args:
        norm: at least ``||V||``.

    >>> residual_bound(0.9), round(residual_bound(1.1), 6)
    (1.0, 1.42)
    """
    return max(1.0, (2 * norm * norm - 1) * (1 + 1e-14)) if norm < math.inf else math.inf
