"""What in a data set makes its numbers look better than they are."""

import hashlib
import unicodedata
from collections.abc import Iterable
from typing import Any

import numpy as np
from numpy.typing import NDArray

from featureconvex.data.dataset import LabelledData

SMALLEST_INDEX = 10
"""Among fewer rows, whole numbers in order are no sign of an index."""


def data_warnings(dataset: LabelledData) -> list[str]:
    """One sentence for exact duplicates across the split, one per pair of classes that may be one, and one
    per column that looks like an id.
    """
    families = [half for half in (dataset.train_family, dataset.test_family) if half is not None]
    classes = {*dataset.class_names, *np.concatenate([*families, []]).tolist()}
    found = [
        f"The classes {first!r} and {second!r} differ only in case, blanks, accents' encoding or leading "
        "zeros, and are taken as two; if they are one, write them alike."
        for first, second in look_alikes(map(str, classes))
    ]
    twins = duplicates(dataset.train.x, dataset.test.x)
    if twins:
        found.append(
            f"{twins} of {len(dataset.test)} test samples are exact duplicates of training samples, so "
            "the numbers here say less about new samples; remove the duplicates to see how much less."
        )
    if dataset.kind == "table":
        names = dataset.feature_names or []
        found += [
            f"The column {names[number]!r} looks like an index or an id (distinct whole numbers in "
            "order): the detector may have learnt the order of the file. Drop it, or keep it beside "
            "the features with --keep."
            for number in index_like(_in_order(dataset))
        ]
    return found


def look_alikes(names: Iterable[str]) -> list[tuple[str, str]]:
    """Pairs of names that a person may have meant as one.

    >>> look_alikes(["spam", "ham", "Spam", "01", "1", "0"])
    [('01', '1'), ('Spam', 'spam')]
    """
    alike: dict[str, list[str]] = {}
    for name in sorted(set(names)):
        plain = "".join(unicodedata.normalize("NFKC", name).casefold().split())
        alike.setdefault(plain.lstrip("0") or plain[-1:], []).append(name)
    return [(group[0], other) for group in alike.values() for other in group[1:]]


def duplicates(train: NDArray[Any], test: NDArray[Any]) -> int:
    """How many test inputs are also training inputs, number by number.

    >>> duplicates(np.array([[0.0], [1.0]]), np.array([[1.0], [-0.0], [2.0]]))
    2
    """
    known = {_digest(row) for row in train}
    return sum(_digest(row) in known for row in test)


def index_like(x: NDArray[np.float64]) -> list[int]:
    """The columns of (n, d) with distinct whole numbers in rising or falling order, or with all of a
    range in any order.

    >>> index_like(np.column_stack([np.arange(12.0), np.arange(12.0) % 5]))
    [0]
    """
    if len(x) < SMALLEST_INDEX:
        return []
    whole = (x == np.rint(x)).all(axis=0)
    steps = np.diff(x, axis=0)
    ordered = (steps > 0).all(axis=0) | (steps < 0).all(axis=0)
    gaps = np.diff(np.sort(x, axis=0), axis=0)
    return [int(column) for column in np.flatnonzero(whole & (ordered | (gaps == 1).all(axis=0)))]


def _in_order(dataset: LabelledData) -> NDArray[np.float64]:
    """The table as the file has it, where the source rows are known."""
    x = np.concatenate([dataset.train.x, dataset.test.x])
    if dataset.train_rows is None or dataset.test_rows is None:
        return x
    return x[np.argsort(np.concatenate([dataset.train_rows, dataset.test_rows]), kind="stable")]


def _digest(row: NDArray[Any]) -> bytes:
    # Adding zero makes -0.0 the 0.0 it equals.
    plain = row + 0.0 if row.dtype.kind == "f" else row
    return hashlib.blake2b(np.ascontiguousarray(plain).tobytes(), digest_size=16).digest()
