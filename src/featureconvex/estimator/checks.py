"""What a classifier takes: columns of numbers, and labels that name classes."""

from typing import Any

import numpy as np
from numpy.typing import NDArray

from featureconvex.data.tables.frame import as_pandas, check_unique
from featureconvex.errors import UserError
from featureconvex.given import check_unmasked


def check_columns(X: Any) -> None:
    """Refuse masked cells, and what is no number in a table of pandas or polars, by its column's name.

    Raises:
        UserError: with the first such column, and how to encode it.
    """
    check_unmasked("X", X)
    X = as_pandas(X)
    if type(X).__module__.partition(".")[0] != "pandas" or getattr(X, "ndim", 0) != 2:
        return
    import pandas as pd

    check_unique(X.columns, "X")
    for place, name in enumerate(X.columns):
        cells = X.iloc[:, place]
        if pd.api.types.is_numeric_dtype(cells.dtype):
            continue
        remedy = (
            "encode it, for example with sklearn.preprocessing.OneHotEncoder, or give the whole table to "
            "`featureconvex run`, which encodes categories"
        )
        if pd.api.types.is_datetime64_any_dtype(cells.dtype) or cells.dtype.kind in "mM":
            remedy = "give a number instead, such as the days since a fixed date"
        else:
            odd = pd.to_numeric(cells.astype(object), errors="coerce").isna() & cells.notna()
            if not odd.any():
                continue
            cells = cells[odd]
        raise UserError(
            f"X: the column {str(name)!r} holds {cells.iloc[0]!r} ({cells.dtype}), the classifier takes "
            f"numbers; {remedy}"
        )


def check_labels(y: Any) -> None:
    """Refuse labels that scikit-learn would refuse without a remedy, or that a model file cannot hold.

    Raises:
        UserError: masked or missing labels, texts among numbers, bytes, dates, fractions.
    """
    check_unmasked("y", y)
    if y is None:
        return
    typed = hasattr(y, "dtype")
    labels = np.asarray(y, dtype=None if typed else object)
    remedy = "give texts, whole numbers or bools, all of one type, such as y.astype(str)"
    if labels.ndim == 1 and labels.dtype.kind == "O":
        gaps = [label is None or str(label) in ("<NA>", "nan") for label in labels]
        if any(gaps) and not all(isinstance(label, str) for label in labels):
            row = gaps.index(True)
            raise UserError(
                f"y has no label in row {row} ({labels[row]!r}); drop the {sum(gaps)} rows without one"
            )
        odd = [label for label in labels if not isinstance(label, str)]
        # "Unknown label type" are scikit-learn's own words, here and below.
        if odd and (typed or len(odd) < len(labels)):
            raise UserError(
                f"Unknown label type: unknown. y holds {odd[0]!r}, an object of type "
                f"{type(odd[0]).__name__}, as a label; {remedy}"
            )
        if not odd:
            return
        labels = np.asarray(y)
    if labels.dtype.kind in "SmM":
        raise UserError(f"y holds values of type {labels.dtype}, which name no class; {remedy}")
    if labels.dtype.kind == "f":
        fractions = labels[np.isfinite(labels) & (labels != np.rint(labels))]
        if len(fractions):
            raise UserError(
                f"Unknown label type: continuous. y holds fractions such as {fractions[0]}, which name no "
                f"class; {remedy}"
            )


def check_counts(classes: NDArray[Any], numbers: NDArray[np.intp]) -> None:
    """Refuse a class of a single row: one is trained on, and another held out.

    Args:
        classes: the labels.
        numbers: (n,) the place of each row's label among them.

    Raises:
        UserError: with the rarest label.
    """
    counts = np.bincount(numbers, minlength=len(classes))
    if counts.min() < 2:
        (rarest,) = classes[[counts.argmin()]].tolist()
        raise UserError(
            f"class {rarest!r} has fewer than 2 points; give each class more, or leave it out"
        )
