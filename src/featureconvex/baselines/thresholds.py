"""Thresholds of methods that score: balanced on validation points, the same way for all."""

import numpy as np
import torch
from torch import Tensor

from featureconvex.training.calibration import balanced


def balanced_threshold(scores: Tensor, y: Tensor) -> float:
    """The ``tau`` for which ``score + tau > 0`` is equally accurate on both classes.

    Args:
        scores: (n,) finite, larger for the sensitive class.
        y: (n,), 1 sensitive, 0 other.
    """
    return balanced(scores.double().cpu().numpy(), y.cpu().numpy().astype(np.int64)).tau


@torch.no_grad()
def accuracy(margins: Tensor, y: Tensor) -> float:
    """The share of points whose margin (n,) has the sign of their label."""
    return float(((margins > 0).cpu() == (y > 0).cpu()).double().mean())
