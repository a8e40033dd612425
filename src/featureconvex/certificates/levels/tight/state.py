"""What a bracketing method knows about its open rows."""

from dataclasses import dataclass, fields

import torch
from torch import Tensor


@dataclass
class State:
    """What is known about each open row.

    Attributes:
        low: (n,) float64, the best radius proved.
        high: (n,) float64, the best attack's budget, inf where none.
        weights: (n, count) float64, the mixture that proves ``low``.
        mu: (n, count) float64, the master problem's multipliers.
        attack: (n, d), the best attack.
        deep: (n, d), the attack with the lowest margin.
        depth: (n,) float64, its margin; positive where none was found.
        tries: (n,) float64, rounds without any attack.
        score: (n, d), how much each coordinate has mattered, for the working set.
    """

    low: Tensor
    high: Tensor
    weights: Tensor
    mu: Tensor
    attack: Tensor
    deep: Tensor
    depth: Tensor
    tries: Tensor
    score: Tensor

    def rows(self, index: Tensor) -> "State":
        """Some of the rows."""
        return State(**{part.name: getattr(self, part.name)[index] for part in fields(self)})

    def closed(self, tolerance: float) -> Tensor:
        """(n,) bool: nothing left to find."""
        return (self.high - self.low <= tolerance * self.high) & torch.isfinite(self.high) | (
            torch.isinf(self.low)
        )
