"""What in a data set makes its numbers look better than they are."""

import hashlib
import unicodedata
from collections.abc import Iterable
from typing import Any

import numpy as np
from numpy.typing import NDArray

from featureconvex.data.dataset import LabelledData

SMALLEST_INDEX = 10
"""Among fewer rows, whole numbers in order are no sign of an index, nor equal columns of anything."""
NAMED = 3
"""So many of several pairs of columns are named."""


def data_warnings(dataset: LabelledData) -> list[str]:
    """One sentence for exact duplicates across the split, one per pair of classes that may be one, one per
    column that looks like an id or copies the label, and one for columns that are equal.
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
    if dataset.kind == "table" and dataset.files is None:
        found += _column_warnings(dataset)
    return found


def _column_warnings(dataset: LabelledData) -> list[str]:
    names = dataset.feature_names or []
    groups = dataset.feature_groups or list(range(len(names)))
    x = np.concatenate([dataset.train.x, dataset.test.x])
    y = np.concatenate([dataset.train.y, dataset.test.y])
    copies = {groups[number]: names[number] for number in reversed(label_copies(x, y))}
    found = [
        f"The column {name!r} has one number for each class, so it alone tells the label. If it is not "
        "known before a decision, drop it, or keep it beside the features with --keep."
        for _, name in sorted(copies.items())
    ]
    twins = [(a, b) for a, b in equal_columns(x) if groups[a] != groups[b]]
    if twins:
        pairs = ", ".join(f"{names[a]!r} and {names[b]!r}" for a, b in twins[:NAMED])
        more = f" (and {len(twins) - NAMED} more pairs)" if len(twins) > NAMED else ""
        found.append(
            f"Columns are equal in every row: {pairs}{more}. Whoever changes one may change the other with "
            "it, and certificates count two changes; drop one of them if they are one quantity."
        )
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


def label_copies(x: NDArray[np.float64], y: NDArray[Any]) -> list[int]:
    """The columns of (n, d) with one number for each class of y (n,), not the same for all.

    >>> x = np.column_stack([np.arange(12) % 2 * 5.0, np.arange(12.0)])
    >>> label_copies(x, np.arange(12) % 2)
    [0]
    """
    if len(x) < SMALLEST_INDEX:
        return []
    ends = [(half.min(axis=0), half.max(axis=0)) for half in (x[y == k] for k in np.unique(y))]
    single = np.all([low == high for low, high in ends], axis=0)
    lows = np.array([low for low, _ in ends])
    return [int(k) for k in np.flatnonzero(single & (lows.min(axis=0) < lows.max(axis=0)))]


def equal_columns(x: NDArray[np.float64]) -> list[tuple[int, int]]:
    """Pairs of columns of (n, d) with the same numbers, not all of them equal; each with the first.

    >>> equal_columns(np.column_stack([np.arange(12.0), np.ones(12), np.arange(12.0), np.ones(12)]))
    [(0, 2)]
    """
    if len(x) < SMALLEST_INDEX:
        return []
    varies = np.flatnonzero(x.min(axis=0) < x.max(axis=0)).tolist()
    first: dict[bytes, int] = {}
    pairs = [(first.setdefault(_digest(x[:, column]), column), column) for column in varies]
    return [(a, b) for a, b in pairs if a != b]


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
