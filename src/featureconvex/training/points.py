"""Labelled points."""

from collections.abc import Iterator

import torch
from torch import Tensor

from featureconvex.training.sparse import SparseRows


class Points:
    """Inputs (n, ...) as the model takes them, and labels (n,): 1 sensitive, 0 other.

    A subset shares the memory of the points it was taken from, so that splitting a large set doubles
    nothing. Its ``x`` is a copy, made at every look; :meth:`take` and :meth:`batches` copy a part.

    Args:
        x: (m, ...), where the inputs are, also as rows of a sparse matrix.
        y: (n,), the labels.
        rows: (n,) int64, which rows of ``x`` they are; None: all, in order.
        weight: (n,), what each point counts in loss and threshold; None: all the same.
    """

    def __init__(
        self,
        x: Tensor | SparseRows,
        y: Tensor,
        rows: Tensor | None = None,
        weight: Tensor | None = None,
    ) -> None:
        self._x, self.y, self._rows, self.weight = x, y, rows, weight

    def __len__(self) -> int:
        return len(self.y)

    @property
    def x(self) -> Tensor:
        """(n, ...)."""
        return self._x[:] if self._rows is None else self._x[self._rows]

    @property
    def row_shape(self) -> tuple[int, ...]:
        """The shape of one input."""
        return tuple(self._x.shape[1:])

    def take(self, index: Tensor) -> Tensor:
        """The inputs at ``index`` (k,): (k, ...)."""
        return self._x[index if self._rows is None else self._rows[index]]

    def subset(self, mask: Tensor) -> "Points":
        """The points where ``mask`` (n,) is true, in order."""
        rows = mask.nonzero().squeeze(1)
        weight = None if self.weight is None else self.weight[mask]
        return Points(
            self._x, self.y[mask], rows if self._rows is None else self._rows[rows], weight
        )

    def batches(self, size: int) -> Iterator[Tensor]:
        """The inputs in order, ``size`` at a time."""
        for index in torch.split(torch.arange(len(self), device=self.y.device), size):
            yield self.take(index)

    def to(self, device: torch.device) -> "Points":
        """The same points there."""
        rows = None if self._rows is None else self._rows.to(device)
        weight = None if self.weight is None else self.weight.to(device)
        return Points(self._x.to(device), self.y.to(device), rows, weight)
