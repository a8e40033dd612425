"""What the classes that were found are to a task, and the data set that they make."""

from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray

from featureconvex.data.task import Loads

Halves = tuple[NDArray[np.int64], NDArray[np.int64]]
"""The numbers of the rows for training, and of those for testing."""


class Sides(Protocol[Loads]):
    """What classes that were found are to a task."""

    def remark(self, labels: NDArray[Any]) -> str:
        """What a reader should know of how labels (n,) were taken; may be empty."""

    def dataset(self, x: NDArray[Any], labels: NDArray[Any], halves: Halves, **known: Any) -> Loads:
        """The data set of inputs (n, ...) and labels (n,), with other fields that are known."""
