"""The maximum of affine functions: convex without any constraint on a weight."""

from typing import Any

from torch import Tensor, nn

from featureconvex.errors import UserError
from featureconvex.given import whole_number


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
