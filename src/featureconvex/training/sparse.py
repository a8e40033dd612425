"""Rows of a sparse matrix, dense one batch at a time."""

from typing import Any

import numpy as np
import torch
from torch import Tensor

from featureconvex.features import Scale, standardise

# Columns that are dense at once, and rows.
COLUMNS, ROWS = 64, 4096


class SparseRows:
    """What :class:`~featureconvex.training.points.Points` asks of a tensor (n, d), of a CSR matrix.

    Args:
        matrix: of finite numbers, in float64 or float32.
    """

    def __init__(self, matrix: Any) -> None:
        self._matrix = matrix.tocsr()
        self.shape = tuple(self._matrix.shape)

    def __len__(self) -> int:
        return int(self.shape[0])

    def __getitem__(self, rows: Any) -> Tensor:
        rows = rows.cpu().numpy() if isinstance(rows, Tensor) else rows
        return torch.from_numpy(self._matrix[rows].toarray())

    def to(self, device: torch.device) -> "SparseRows":
        """Itself: a batch is moved when it is dense."""
        return self

    def standardised(self) -> Scale:
        """As :func:`featureconvex.features.standardise` of all rows."""
        columns = self._matrix.tocsc()
        found = [
            standardise(torch.from_numpy(columns[:, start : start + COLUMNS].toarray()))
            for start in range(0, self.shape[1], COLUMNS)
        ]
        return Scale(
            np.concatenate([part.scale.numpy() for part in found]),
            np.concatenate([part.shift.numpy() for part in found]),
        )
