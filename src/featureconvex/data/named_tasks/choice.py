"""What a reader of many classes is told to take of them."""

from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray

from featureconvex.data.task import Loads


class Choice(Protocol[Loads]):
    """Some classes, and what is asked of them."""

    def rows(self, labels: NDArray[Any]) -> NDArray[np.int64]:
        """The numbers of the rows that are taken, in the order of the file."""

    def dataset(
        self,
        train: tuple[NDArray[Any], NDArray[Any]],
        test: tuple[NDArray[Any], NDArray[Any]],
        **known: Any,
    ) -> Loads:
        """Their data set, from inputs (n, ...) and labels (n,) of all classes and what else is known."""
