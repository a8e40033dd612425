"""The sets that hold the weights of learned feature maps."""

import torch
from torch import Tensor, nn

from featureconvex.errors import UserError
from featureconvex.features.nonexpansive.cayley import cayley, cayley_inverse
from featureconvex.nn.constraint import Constraint, Remembering, hold

# An assigned weight may miss its set by rounding; what certifies is measured anyway.
TOLERANCE = 1e-3


def hold_fresh(layer: nn.Linear, constraint: Constraint) -> None:
    """Hold the weight of a layer to a set, starting from its present one, moved into the set."""
    with torch.no_grad():
        layer.weight.copy_(constraint(layer.weight))
        if layer.bias is not None:
            layer.bias.zero_()
    hold(layer, "weight", constraint)
    if isinstance(constraint, Remembering):
        constraint.forget()


def _refuse(what: str, found: float) -> UserError:
    return UserError(
        f"the weight must be {what}; this one is {found:.6g} at its largest. Divide it by that, or train "
        "the layer instead of assigning to it"
    )


class Orthogonal(Remembering):
    """Matrices with orthonormal rows or columns, by the Cayley transform: l2 to l2."""

    def into(self, raw: Tensor) -> Tensor:
        """``cayley(raw)``, in memory as a stored weight is: products round by the order of their sums."""
        return cayley(raw).contiguous()

    def back(self, weight: Tensor) -> Tensor:
        """The inverse transform."""
        return cayley_inverse(weight)

    def check(self, weight: Tensor) -> None:
        """Rows or columns are orthonormal."""
        q = weight.detach().double()
        gram = q @ q.mT if q.shape[0] <= q.shape[1] else q.mT @ q
        defect = (gram - torch.eye(len(gram), dtype=q.dtype, device=q.device)).abs().amax()
        if not bool(defect <= TOLERANCE):
            raise UserError(
                f"the weight must have orthonormal rows or columns; their products are off by {defect:.3g}"
            )


class BoundedEntries(Constraint):
    """Entries in [-1, 1]: l1 to linf."""

    def forward(self, raw: Tensor) -> Tensor:
        """Clamped."""
        return raw.clamp(-1.0, 1.0)

    def right_inverse(self, weight: Tensor) -> Tensor:
        """Itself."""
        largest = float(weight.detach().abs().amax())
        if not largest <= 1 + TOLERANCE:
            raise _refuse("at most 1 in every entry", largest)
        return weight

    @torch.no_grad()
    def project_(self, raw: Tensor) -> None:
        """Clamp: outside the set the gradient vanishes."""
        raw.clamp_(-1.0, 1.0)


class BoundedRows(Remembering):
    """Absolute sums of rows at most 1: linf to linf."""

    dim = 1

    def into(self, raw: Tensor) -> Tensor:
        """Rows that are too long are divided by their length."""
        return raw / raw.abs().sum(self.dim, keepdim=True).clamp_min(1.0)

    def back(self, weight: Tensor) -> Tensor:
        """Itself."""
        return weight

    def check(self, weight: Tensor) -> None:
        """No row is too long."""
        largest = float(weight.detach().abs().sum(self.dim).amax())
        if not largest <= 1 + TOLERANCE:
            raise _refuse(f"at most 1 in the absolute sums over dimension {self.dim}", largest)


class BoundedColumns(BoundedRows):
    """Absolute sums of columns at most 1: l1 to l1."""

    dim = 0


class Contraction(Remembering):
    """``V = T^(-1/2) W``, ``T_i = sum_j |W W^T|_ij``: norm at most 1 in l2.

    ``T - W W^T`` is diagonally dominant, hence positive semidefinite (Araujo et al., ICLR 2023, arXiv
    2303.03169, with all q equal).
    """

    def into(self, raw: Tensor) -> Tensor:
        """Rescaled rows."""
        return raw * (raw @ raw.mT).abs().sum(1, keepdim=True).clamp_min(1e-12).rsqrt()

    def back(self, weight: Tensor) -> Tensor:
        """Itself: rescaling it again changes little."""
        return weight

    def check(self, weight: Tensor) -> None:
        """The spectral norm is at most 1."""
        largest = float(torch.linalg.matrix_norm(weight.detach().double(), 2))
        if not largest <= 1 + TOLERANCE:
            raise _refuse("at most 1 in spectral norm", largest)
