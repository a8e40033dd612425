"""The maximum of affine functions: convex without any constraint on a weight."""

from typing import Any

from torch import Tensor, nn

from featureconvex.errors import UserError
from featureconvex.given import whole_number
from featureconvex.nn.card import Card, card
from featureconvex.nn.convexity import curvature
from featureconvex.nn.curvature import CONVEX, Curvature
from featureconvex.nn.minorants import Maximum
from featureconvex.nn.torch_modules.affine import dense_step
from featureconvex.rounding.graph import Graph
from featureconvex.rounding.maxima import PieceMaximum
from featureconvex.rounding.steps import Reshape


class MaxAffine(nn.Module):
    """``g(u) = max_k <w_k, u> + b_k`` over ``pieces`` affine functions.

    Any convex function is a limit of these. The exact robust radius of one is an LP, which makes it
    the library's favourite oracle.

    Shape: (n, ...) with ``in_features`` numbers per row -> (n,).
    """

    def __init__(self, in_features: int, pieces: int = 64) -> None:
        super().__init__()
        self.in_features = whole_number("in_features", in_features, 1)
        self.pieces = whole_number("pieces", pieces, 1)
        self.affine = nn.Linear(self.in_features, self.pieces)

    def forward(self, u: Tensor) -> Tensor:
        """(n, ...) -> (n,). On a tie the gradient is the mean of the tied pieces', a subgradient."""
        u = u.flatten(1)
        if u.shape[1] != self.in_features:
            raise UserError(f"expected {self.in_features} features per row, got {u.shape[1]}")
        out: Tensor = self.affine(u)
        return out.amax(dim=1)

    def config(self) -> dict[str, Any]:
        """Constructor arguments, as plain values for a model file."""
        return {"in_features": self.in_features, "pieces": self.pieces}


@card(MaxAffine)
class MaxAffineCard(Card[MaxAffine]):
    """Above each of its pieces."""

    def curvature(self, module: MaxAffine) -> Curvature:
        """A maximum of affine functions is convex."""
        curvature(module.affine)
        return CONVEX

    def minorants(self, module: MaxAffine) -> Maximum:
        """Choices are weights (n, pieces)."""

        def pieces(z: Tensor) -> Tensor:
            values: Tensor = module.affine(z.flatten(1))
            return values

        return Maximum(pieces)

    def rounding_steps(self, module: MaxAffine, graph: Graph, node: int) -> int:
        """One step on flat rows."""
        u = graph.apply(Reshape(1, (-1,)), node)
        return graph.apply(
            PieceMaximum(dense_step(module.affine), module.affine.weight.detach().double()), u
        )
