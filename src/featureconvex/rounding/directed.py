"""Upper and lower bounds on real numbers, computed with ordinary rounding to nearest.

The model of floating point (Higham, Accuracy and Stability of Numerical Algorithms, section 2.2):
``fl(a op b) = (a op b)(1 + d) + e`` with ``|d| <= u``, ``|e| <= eta``, where ``eta`` only matters for
products and quotients that underflow. A sum of n products, in any order, with or without fused
multiply-add, then errs by at most ``gamma_n sum |a_i b_i| + 2 n eta`` with
``gamma_n = n u / (1 - n u)`` (ibid., section 3.1).
"""

import math
from dataclasses import dataclass

import torch
from torch import Tensor

from featureconvex.errors import UserError


@dataclass(frozen=True)
class Rounding:
    """An arithmetic.

    Attributes:
        name: as users call it.
        unit: unit roundoff ``u`` of round to nearest.
        underflow: ``eta``: the smallest normal number, so that flushing results to zero is covered.
        largest: numbers below this do not overflow; half the largest number.
    """

    name: str
    unit: float
    underflow: float
    largest: float

    def gamma(self, operations: int) -> float:
        """``gamma_n = n u / (1 - n u)``, rounded up.

        Raises:
            UserError: ``n u`` is so large that nothing useful can be proved.
        """
        product = operations * self.unit
        if product > 0.25:
            raise UserError(
                f"sums of {operations} terms have no useful error bound in {self.name}; "
                "use arithmetic='real', or 'float64' for a model in double precision"
            )
        return product / (1 - product) * (1 + 2**-50)

    def absolute(self, operations: int) -> float:
        """At most what ``operations`` underflows add to a sum."""
        return 2.0 * operations * self.underflow


FLOAT32 = Rounding("float32", 2.0**-24, 2.0**-126, 2.0**127)
FLOAT64 = Rounding("float64", 2.0**-53, 2.0**-1022, 2.0**1023)
DTYPES = {torch.float32: FLOAT32, torch.float64: FLOAT64}

# Above n eta for any sum that fits into a computer, and far below any radius's meaning.
TINY = 2.0**-960


def upper(computed: Tensor, operations: int, live: Tensor | None = None) -> Tensor:
    """At least the exact value of what was ``computed`` in float64 from nonnegative numbers.

    Without subtractions every rounding is relative, ``computed >= exact (1 - u)^n - n eta``, so
    ``computed (1 + 2 gamma_n) + TINY >= exact`` for ``gamma_n <= 1/4``.

    Args:
        computed: any shape, from at most ``operations`` roundings along any path.
        operations: their number.
        live: bool, false where the exact value is known to be zero; broadcastable. None: nowhere.
    """
    raised = computed * (1 + 2 * FLOAT64.gamma(operations + 2))
    return raised.add_(TINY if live is None else live.double() * TINY)


def difference_down(a: Tensor, b: Tensor) -> Tensor:
    """At most ``a - b``: rounding to nearest is off by less than one step to the next number."""
    return torch.nextafter(a - b, torch.full_like(a, -torch.inf))


def quotient_down(a: Tensor, b: Tensor) -> Tensor:
    """At most ``a / b`` for ``a >= 0, b > 0``, finite even where the quotient overflows."""
    quotient = (a / b).clamp(max=torch.finfo(torch.float64).max)
    return torch.nextafter(quotient, torch.zeros_like(quotient))


def dual_norm_up(w: Tensor, p: float) -> Tensor:
    """At least ``||w_i||_q``, ``1/p + 1/q = 1``, of every row of nonnegative numbers: (n, ...) -> (n,).

    Rows are scaled by their maximum, so nothing over- or underflows. ``q`` is rounded down, which
    only raises the norm; ``pow`` is taken to be right to 2^-42.
    """
    w = w.flatten(1)
    if p == 2:
        return euclidean_up(w)
    if p == 1:
        return w.amax(dim=1)
    if p == math.inf:
        return upper(w.sum(dim=1), w.shape[1], (w > 0).any(dim=1))
    top = w.amax(dim=1)
    scaled = upper(w / top.clamp_min(TINY).unsqueeze(1), 1)
    q = max(1.0, p / (p - 1) * (1 - 2**-50))
    power = scaled.pow(q) * (1 + 2**-40)
    root = upper(power.sum(dim=1), w.shape[1] + 1).pow(1 / q * (1 + 2**-50))
    # max(top, TINY) and not top: scaled is only an upper bound of w / top where top was clamped.
    norm = upper(top.clamp_min(TINY) * root * (1 + 2**-40), 2)
    return torch.where(top == 0, 0.0, norm)


def euclidean_up(w: Tensor) -> Tensor:
    """At least ``||w_i||_2`` over the last dimension: (..., d) -> (...); exactly 0 where ``w_i`` is.

    Between 2^-300 and 2^300 the squares that under- or overflow do not matter; other rows are scaled.
    """
    count = w.shape[-1]
    norm: Tensor = torch.linalg.vector_norm(w, dim=-1)
    if not bool(((norm >= 2.0**-300) & (norm <= 2.0**300)).all()):
        top = w.abs().amax(dim=-1)
        divisor = top.clamp_min(TINY)
        scaled = upper(w.abs() / divisor.unsqueeze(-1), 1)
        norm = divisor * upper(torch.linalg.vector_norm(scaled, dim=-1), count + 4)
        # Not where(norm == 0): a product that underflows is not zero.
        return upper(norm, 2).where(top != 0, 0.0)
    return upper(norm, count + 4)


def check_gradual_underflow() -> None:
    """Refuse to prove anything while the processor flushes small numbers to zero.

    Raises:
        UserError: ``torch.set_flush_denormal(True)`` is in force.
    """
    if not bool(torch.tensor([2.0**-1074], dtype=torch.float64) * 1.0 > 0):
        raise UserError(
            "level 'sound' needs gradual underflow; call torch.set_flush_denormal(False) first"
        )
