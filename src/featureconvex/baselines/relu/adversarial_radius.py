"""How far away an attack finds a point that is not flagged: an upper bound, proving nothing."""

from collections.abc import Sequence

import torch
from torch import Tensor

from featureconvex.baselines.relu.adversarial import attacked
from featureconvex.baselines.relu.network import Affine, scores

OCTAVES = 5
HALVINGS = 8
"""The radius is looked for in so many octaves above the start, to one part in 75."""


def attack_radius(layers: Sequence[Affine], x: Tensor, p: float, low: Tensor, steps: int) -> Tensor:
    """About the least radius at which projected gradient descent flips each point, (n,).

    Between ``low`` and 32 times that; 32 times where nothing was flipped.
    """
    high: Tensor = low * 2**OCTAVES
    for _ in range(HALVINGS):
        middle = (low * high).sqrt()
        found = scores(layers, _moved(layers, x, p, middle, steps)) <= 0
        high, low = torch.where(found, middle, high), torch.where(found, low, middle)
    return high


def _moved(layers: Sequence[Affine], x: Tensor, p: float, radius: Tensor, steps: int) -> Tensor:
    """Attacked points, each within its own radius (n,)."""
    start = x.to(radius)
    scale = radius.reshape(-1, *[1] * (x.ndim - 1))

    def score(unit: Tensor) -> Tensor:
        return scores(layers, start + scale * unit)

    unit = attacked(score, torch.zeros_like(start), torch.ones_like(radius), p, 1.0, steps)
    return start + scale * unit
