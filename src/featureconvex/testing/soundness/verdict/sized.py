"""Numbers with a bound on their size and a count of roundings: a running error analysis.

Theorem. Give every number ``z`` on the way a size ``a >= |z|`` and a count ``k`` such that the computed
number errs by at most ``((1 + u)^k - 1) a``. Inputs: ``a = |x|, k = 0``. Then, with unit roundoff ``u``,

* ``sum of n products w z + b``: ``a' = sum |w| a + |b|``, ``k' = k + n + 1`` (Higham, section 3.1: the sum
  rounds by at most ``((1 + u)^n - 1) sum |w z^|``, and ``|z^| <= (1 + u)^k a``);
* a sum of two: ``a' = a1 + a2, k' = max(k1, k2) + 1``;
* a 1-Lipschitz activation with ``|s(z)| <= |z| + c``, computed with at most 16 relative roundings of
  ``|z| + c``: ``a' = a + c, k' = k + 16``;
* maxima, absolute values, copies: nothing rounds, ``|max z - max z^| <= max |z - z^|``.
"""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

Array = NDArray[Any]


def numbers(tensor: torch.Tensor, dtype: Any) -> Array:
    """A stored tensor as it is: ``dtype`` is float64 or finer."""
    return tensor.detach().double().cpu().numpy().astype(dtype)


@dataclass(frozen=True)
class Sized:
    """Computed numbers (n, ...), at least their exact sizes (n or 1, ...), and the roundings so far."""

    value: Array
    size: Array
    count: int

    def moved(self, how: Callable[[Array], Array]) -> "Sized":
        """Numbers in other places."""
        return Sized(how(self.value), how(self.size), self.count)

    def times(self, weight: Array) -> "Sized":
        """(n, ..., d) @ (d, m)."""
        return Sized(
            self.value @ weight, self.size @ np.abs(weight), self.count + weight.shape[0] + 1
        )

    def scaled(self, factor: Array, roundings: int = 1) -> "Sized":
        """Elementwise, by a factor right to one rounding less than ``roundings``."""
        return Sized(self.value * factor, self.size * np.abs(factor), self.count + roundings)

    def plus(self, other: "Sized | Array") -> "Sized":
        """A sum with numbers, or with constants that are exact."""
        if not isinstance(other, Sized):
            other = Sized(other, np.abs(other), 0)
        count = max(self.count, other.count) + 1
        return Sized(self.value + other.value, self.size + other.size, count)
