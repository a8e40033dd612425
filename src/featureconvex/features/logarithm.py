"""The logarithm of counts, whose spread would drown everything else."""

import math
from typing import Any

import torch
from torch import Tensor

from featureconvex.features.elementwise import Elementwise
from featureconvex.features.stretches import Stretch

# Tangents touch, and chords end, where 1 + x has grown or shrunk by this; so many of them.
RATIO, TANGENTS, CHORDS = 4.0, 9, 13
# A few units of roundoff, on the safe side.
UP, DOWN = 1 + 2.0**-48, 1 - 2.0**-48


class Log1p(Elementwise):
    """``phi(x)_i = log(1 + max(x_i, 0))``; constant 1 for every p.

    Threats to files (:class:`featureconvex.Append` and its like) know its curves: the more bytes of a kind
    are appended, the less each of them counts.

    >>> Log1p()(torch.tensor([[-1.0, 0.0, 1.718281828]]))
    tensor([[0., 0., 1.]])
    """

    def forward(self, x: Tensor) -> Tensor:
        """(n, ...) -> the same shape."""
        return torch.log1p(x.clamp_min(0))

    def steepest(self, a: Tensor, b: Tensor) -> Tensor:
        """``1 / (1 + max(a, 0))``, rounded up; 0 where the whole interval is negative."""
        slope = (1 + 2.0**-50) / (1 + a.clamp_min(0))
        return torch.where(b <= 0, 0.0, slope)

    def rounding(self) -> tuple[float, float]:
        """``log1p`` is right to 8 units of roundoff of its value, which is at most ``|x|``."""
        return 8.0, 0.0

    def stretches(self, x: Tensor, way: int) -> list[Stretch]:
        """Up: tangents, below which a concave function stays. Down: chords, below which a convex one does.

        The tangents at ``a = (1 + x) R^j`` and ``R a`` meet at ``a R log(R) / (R - 1)``; with ends rounded
        up, what follows them stays above every tangent. Between ``(1 + x) R^-j`` and the next such place a
        chord has slope ``log(R) / ((1 + x) R^-j (1 - 1 / R))``; ends are rounded down, to where the slope
        is less. Further down, where ``1 + x`` is below ``R^-CHORDS`` of what it was, the slope is at most
        1.
        """
        base = 1 + x.double().clamp_min(0)
        found = []
        if way > 0:
            meets = RATIO * math.log(RATIO) / (RATIO - 1)
            for j in range(TANGENTS):
                end = base * (meets * RATIO**j - 1) * UP
                found.append(Stretch(end, UP * RATIO**-j / base))
            found.append(Stretch(torch.full_like(base, torch.inf), UP * RATIO**-TANGENTS / base))
            return found
        for j in range(CHORDS):
            end = base * (1 - RATIO ** -(j + 1)) * DOWN
            slope = UP * math.log(RATIO) * RATIO**j / (1 - 1 / RATIO) / base
            found.append(Stretch(end, slope))
        found.append(Stretch(torch.full_like(base, torch.inf), torch.ones_like(base)))
        return found

    def config(self) -> dict[str, Any]:
        """No arguments."""
        return {}
