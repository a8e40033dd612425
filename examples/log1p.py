"""A feature map: the logarithm of counts and lengths, whose spread would drown everything else."""

from typing import Any

import torch
from torch import Tensor

from featureconvex.features import Elementwise


class Log1p(Elementwise):
    """``phi(x)_i = log(1 + max(x_i, 0))``.

    The slope at t > 0 is ``1 / (1 + t)``: a certificate in a box counts large coordinates far less than the
    constant 1 does.

    >>> Log1p()(torch.tensor([[-1.0, 0.0, 1.718281828]]))
    tensor([[0., 0., 1.]])
    >>> Log1p().lipschitz(2) - 1 < 1e-15
    True
    """

    def forward(self, x: Tensor) -> Tensor:
        """(n, ...) -> the same shape."""
        return torch.log1p(x.clamp_min(0))

    def steepest(self, a: Tensor, b: Tensor) -> Tensor:
        """``1 / (1 + max(a, 0))``, rounded up; 0 where the whole interval is negative."""
        # Two operations, each right to one unit of roundoff.
        slope = (1 + 2.0**-50) / (1 + a.clamp_min(0))
        return torch.where(b <= 0, 0.0, slope)

    def rounding(self) -> tuple[float, float]:
        """``log1p`` is right to 8 units of roundoff of its value, which is at most ``|x|``."""
        return 8.0, 0.0

    def config(self) -> dict[str, Any]:
        """No arguments."""
        return {}
