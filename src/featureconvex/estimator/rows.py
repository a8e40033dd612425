"""Rows as scikit-learn hands them over, dense or sparse, and as torch takes them."""

import warnings
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from scipy.sparse import issparse

from featureconvex.given import rows_tensor


def column_range(x: Any) -> NDArray[np.float64]:
    """(2, d): the ends of each column."""
    ends = [dense(end) for end in (x.min(axis=0), x.max(axis=0))]
    return np.array([np.asarray(end, dtype=np.float64).reshape(-1) for end in ends])


def dense(x: Any) -> Any:
    """A sparse matrix as an array; all else as it is."""
    return x.toarray() if issparse(x) else x


def shared(x: NDArray[Any]) -> torch.Tensor:
    """``x`` as a tensor in the same memory, which nobody writes to."""
    with warnings.catch_warnings():
        # torch warns of arrays that cannot be written to, memory-mapped ones for instance.
        warnings.filterwarnings("ignore", "The given NumPy array is not writable")
        return torch.from_numpy(x) if x.dtype.isnative and min(x.strides) >= 0 else rows_tensor(x)
