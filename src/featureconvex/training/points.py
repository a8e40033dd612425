"""Labelled points."""

from dataclasses import dataclass

from torch import Tensor


@dataclass(frozen=True)
class Points:
    """Inputs (n, ...) as the model takes them, and labels (n,): 1 sensitive, 0 other."""

    x: Tensor
    y: Tensor

    def __len__(self) -> int:
        return len(self.y)
