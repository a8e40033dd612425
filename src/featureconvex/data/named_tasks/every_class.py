"""All classes of a named data set, each of which is to stay what it is."""

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from featureconvex.data.classes.dataset import ClassDataset, ClassSplit


@dataclass(frozen=True)
class EveryClass:
    """Every row with its own label.

    Attributes:
        names: what labels 0, 1, ... mean.
    """

    names: tuple[str, ...]

    def rows(self, labels: NDArray[Any]) -> NDArray[np.int64]:
        """The numbers of all rows."""
        return np.arange(len(labels), dtype=np.int64)

    def dataset(
        self,
        train: tuple[NDArray[Any], NDArray[Any]],
        test: tuple[NDArray[Any], NDArray[Any]],
        **known: Any,
    ) -> ClassDataset:
        """The data set of all classes; arguments as for :meth:`Pair.dataset`."""
        halves = [ClassSplit(x, labels.astype(np.int64)) for x, labels in (train, test)]
        return ClassDataset(train=halves[0], test=halves[1], classes=self.names, **known)
