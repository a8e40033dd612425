"""Two classes or sets of classes out of many: the first is the sensitive one."""

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from featureconvex.data.dataset import Dataset, Split


@dataclass(frozen=True)
class Pair:
    """The labels of the sensitive side and of the other one, and what they are called.

    Attributes:
        sensitive, other: a label, or several.
        sensitive_name, other_name: of each side.
    """

    sensitive: int | tuple[int, ...]
    other: int | tuple[int, ...]
    sensitive_name: str
    other_name: str

    def binary(self, labels: NDArray[Any]) -> NDArray[np.int8]:
        """1 where the label is a sensitive one, else 0: (n,) -> int8 (n,)."""
        return np.isin(labels, self.sensitive).astype(np.int8)

    def mask(self, labels: NDArray[Any]) -> NDArray[np.bool_]:
        """The rows of either class, (n,)."""
        return np.isin(labels, self.sensitive) | np.isin(labels, self.other)

    def rows(self, labels: NDArray[Any]) -> NDArray[np.int64]:
        """The numbers of the rows of either class, in the order of the file."""
        return np.flatnonzero(self.mask(labels)).astype(np.int64)

    def select(self, x: NDArray[Any], labels: NDArray[Any]) -> Split:
        """The rows of the two classes, in the order of the file.

        >>> split = Pair(3, 8, "3", "8").select(np.arange(3.0)[:, None], np.array([8, 1, 3]))
        >>> split.x.ravel(), split.y
        (array([0., 2.]), array([0, 1], dtype=int8))
        """
        keep = self.mask(labels)
        return Split(x[keep], self.binary(labels[keep]))

    def dataset(
        self,
        train: tuple[NDArray[Any], NDArray[Any]],
        test: tuple[NDArray[Any], NDArray[Any]],
        **known: Any,
    ) -> Dataset:
        """The data set of the two classes.

        Args:
            train, test: inputs (n, ...) and labels (n,) of all classes.
            known: other fields of :class:`~featureconvex.data.Dataset`.
        """
        return Dataset(
            train=self.select(*train),
            test=self.select(*test),
            sensitive_name=self.sensitive_name,
            other_name=self.other_name,
            **known,
        )
