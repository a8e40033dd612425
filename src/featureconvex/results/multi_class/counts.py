"""How often points of each class are taken for each."""

from dataclasses import dataclass

import numpy as np
import pandas as pd
from numpy.typing import NDArray


@dataclass(frozen=True)
class ClassCounts:
    """A confusion matrix.

    Attributes:
        classes: names.
        table: (classes, classes) counts, a row per true class, a column per predicted one.
    """

    classes: list[str]
    table: NDArray[np.int64]

    @property
    def sizes(self) -> NDArray[np.int64]:
        """(classes,): points of each class."""
        found: NDArray[np.int64] = self.table.sum(axis=1)
        return found

    @property
    def accuracy(self) -> float:
        """The share of all points that are predicted as their own class."""
        return float(np.trace(self.table) / self.table.sum())

    @property
    def by_class(self) -> NDArray[np.float64]:
        """(classes,): the same of each class; NaN of one without points."""
        with np.errstate(invalid="ignore"):
            found: NDArray[np.float64] = np.diag(self.table) / self.sizes
        return found


def class_counts(points: pd.DataFrame, classes: list[str]) -> ClassCounts:
    """Of rows with names of classes in ``label`` and ``predicted``.

    >>> rows = pd.DataFrame({"label": ["a", "a", "b"], "predicted": ["a", "b", "b"]})
    >>> class_counts(rows, ["a", "b"]).table.tolist()
    [[1, 1], [0, 1]]
    """
    place = {name: number for number, name in enumerate(classes)}
    table = np.zeros((len(classes), len(classes)), dtype=np.int64)
    true, predicted = (points[name].map(place).to_numpy() for name in ("label", "predicted"))
    np.add.at(table, (true, predicted), 1)
    return ClassCounts(classes, table)
