"""Rows of inputs, a batch at a time."""

import math
from collections.abc import Iterator
from typing import Any

import torch
from torch import Tensor

from featureconvex.given import rows_tensor

# Input numbers per batch: bounds the memory of a forward and backward pass for any number of rows.
BATCH_NUMBERS = 2**20


def rows_per_batch(x: Any) -> int:
    """As many rows of (n, ...) as keep memory bounded, at least one."""
    numbers: int = math.prod(x.shape[1:])
    return max(1, BATCH_NUMBERS // max(1, numbers))


def batches(x: Any, size: int, device: torch.device, dtype: torch.dtype) -> Iterator[Tensor]:
    """Slices of ``x`` on a device and in a dtype; one empty batch for no rows."""
    for start in range(0, max(1, len(x)), size):
        batch = rows_tensor(x[start : start + size]).to(device, dtype)
        # Gradients can be taken at a copy only.
        yield batch.clone() if batch.is_inference() else batch


def finite_rows(values: Tensor) -> Tensor:
    """(n, ...) -> (n,): whether all numbers of a row are finite."""
    rows = values.flatten(1)
    if not rows.shape[1]:
        return torch.ones(len(rows), dtype=torch.bool, device=rows.device)
    # A sum is the cheapest look at a row; it may overflow, and then the two ends tell.
    finite = torch.isfinite(rows.sum(dim=1))
    if not bool(finite.all()):
        finite = torch.isfinite(rows.amax(dim=1)) & torch.isfinite(rows.amin(dim=1))
    return finite
