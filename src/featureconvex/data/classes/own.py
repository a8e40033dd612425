"""Classes of the user's own data, each of which is to stay what it is."""

import math
from collections.abc import Iterable
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

    @staticmethod
    def of(classes: Iterable[str]) -> "OwnClasses":
        """In order: of numbers that of their values, otherwise that of the alphabet.

        >>> OwnClasses.of(["10", "9", "1"]).names
        ('1', '9', '10')
        """
        return OwnClasses(tuple(_in_order(list(classes))))

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


def _in_order(names: list[str]) -> list[str]:
    """Sorted, by their values where all are numbers."""
    try:
        values = [float(name) for name in names]
    except ValueError:
        return sorted(names)
    if not all(map(math.isfinite, values)):
        return sorted(names)
    return [name for _, name in sorted(zip(values, names, strict=True))]
