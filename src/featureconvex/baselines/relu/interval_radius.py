"""The largest radius at which a score's interval stays positive."""

from collections.abc import Sequence

import torch
from torch import Tensor

from featureconvex.baselines.relu.interval_bounds import interval_bounds
from featureconvex.baselines.relu.network import Affine

HALVINGS = 40
DOUBLINGS = 60


def interval_radius(layers: Sequence[Affine], x: Tensor, p: float) -> Tensor:
    """Proved radii in norm ``p``, (n,) float64: 0 where the score is not positive.

    The interval's lower end falls as the radius grows, so bisection finds its zero; what is
    returned was itself seen to be positive.

    Args:
        layers: in float64, the threshold in the last bias.
        x: (n, *shape).
        p: exponent of the ball.
    """
    x = x.to(layers[0][0])

    def holds(radius: Tensor) -> Tensor:
        positive: Tensor = interval_bounds(layers, x, radius, p)[-1][0][:, 0] > 0
        return positive

    low = torch.zeros(len(x)).to(x)
    flagged, high = holds(low), torch.full_like(low, 1e-3)
    for _ in range(DOUBLINGS):
        rising = holds(high)
        if not bool(rising.any()):
            break
        low, high = torch.where(rising, high, low), torch.where(rising, 2 * high, high)
    for _ in range(HALVINGS):
        middle = (low + high) / 2
        kept = holds(middle)
        low, high = torch.where(kept, middle, low), torch.where(kept, high, middle)
    return torch.where(flagged, low, 0.0)
