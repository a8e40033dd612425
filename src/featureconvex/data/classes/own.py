"""Classes of the user's own data, each of which is to stay what it is."""

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from featureconvex.data.classes.dataset import ClassDataset, ClassSplit
from featureconvex.data.classes.sides import Halves


@dataclass(frozen=True)
class OwnClasses:
    """Classes each of which is to stay what it is.

    Attributes:
        names: of the labels 0, 1, ...
    """

    names: tuple[str, ...]

    def remark(self, labels: NDArray[Any]) -> str:
        """Nothing: every label is what it is."""
        return ""

    def dataset(
        self, x: NDArray[Any], labels: NDArray[Any], halves: Halves, **known: Any
    ) -> ClassDataset:
        """The data set."""
        number = {name: k for k, name in enumerate(self.names)}
        found, where = np.unique(labels, return_inverse=True)
        y = np.array([number[str(name)] for name in found], dtype=np.int64)[where]
        train, test = (ClassSplit(x[rows], y[rows]) for rows in halves)
        return ClassDataset(train=train, test=test, classes=self.names, **known)
