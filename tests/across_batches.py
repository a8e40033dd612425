"""How far a row's own margin and radius may differ between two batches that hold it.

A batch of another size is summed in another order (see ``sum_order.py``). Two sums of the same n numbers
in any order differ by at most ``2 gamma_n`` times the sum of their magnitudes (Higham, section 3.1): a
few units in the last place of the largest intermediate number, and not of the result. So, with ``slack``
that size (:func:`featureconvex.testing.weights.answers` measures it), a margin moves by at most
``2 slack``; the slope's relative error is of the same kind, and the radius is their quotient.
"""

import copy

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from featureconvex import FeatureConvexModel
from featureconvex.testing.weights import answers


@torch.no_grad()
def margins_apart(model: FeatureConvexModel, x: Tensor) -> float:
    """How far margins of the same row in two batches may differ, for the worst of (n, ...) inputs."""
    wide = copy.deepcopy(model).double().eval()
    return 2 * next(a.slack for a in answers(wide, x.double()) if a.dtype == model.dtype)


@torch.no_grad()
def radii_apart(model: FeatureConvexModel, x: Tensor) -> NDArray[np.float64]:
    """(n,): relative differences of radii between two batches that rounding can explain; at most 1."""
    wide = copy.deepcopy(model).double().eval()
    margin = wide(x.double()).abs().clamp_min(torch.finfo(torch.float64).tiny)
    share: NDArray[np.float64] = (2 * margins_apart(model, x) / margin).clamp(max=1.0).numpy()
    return share
