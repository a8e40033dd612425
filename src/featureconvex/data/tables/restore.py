"""Features of a table as its cells again: what a changed row looks like in the user's columns."""

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from featureconvex.data.tables.cells import TRUTH, is_text
from featureconvex.data.tables.columns import Column

if TYPE_CHECKING:
    import pandas as pd


def restored(
    frame: "pd.DataFrame",
    columns: Sequence[Column],
    before: NDArray[Any],
    after: NDArray[Any],
) -> "pd.DataFrame":
    """A copy of a table in which the cells are new whose features changed; all others stay as they are.

    Categories are words, whole numbers whole, truth values and dates written as they were; a missing cell
    is NaN.

    Args:
        frame: the rows, with any further columns.
        columns: what the features are made of, in their order.
        before: (n, d) its features in the model's precision.
        after: (n, d) the same of the changed rows.

    >>> import pandas as pd
    >>> table = pd.DataFrame({"id": [7], "n": [2], "shop": ["a"]})
    >>> columns = [Column("n", "number", whole=True), Column("shop", "category", ("a", "b"))]
    >>> restored(table, columns, np.array([[2.0, 1, 0]]), np.array([[5.0, 0, 1]]))
       id  n shop
    0   7  5    b
    """
    found = frame.copy()
    end = 0
    for column in columns:
        start, end = end, end + column.width
        old, new = before[:, start:end], after[:, start:end]
        # A gap is NaN in both.
        rows = np.flatnonzero(((old != new) & ~(np.isnan(old) & np.isnan(new))).any(axis=1))
        if len(rows):
            found[column.name] = _cells(frame[column.name], column, new[rows], rows)
    return found


def _cells(
    cells: "pd.Series[Any]", column: Column, new: NDArray[Any], rows: NDArray[np.intp]
) -> "pd.Series[Any]":
    """A column with other cells in some rows, of its own type where that holds them."""
    import pandas as pd
    from pandas.api.types import is_bool_dtype, is_integer_dtype

    said: list[Any] = [_said(column, values) for values in new]
    if column.kind == "category":
        said = [word or np.nan for word in said]
    elif column.kind == "date" and cells.dtype.kind == "M":
        days = pd.to_timedelta(said, unit="D")
        said = [pd.Timestamp(0, tz=cells.dt.tz) + day for day in days]
    elif column.kind == "date":
        said = [_date(days) for days in said]
    elif is_bool_dtype(cells.dtype):
        said = [bool(value) for value in said]
    elif is_text(cells) and cells.astype("string").str.strip().str.lower().isin(TRUTH).any():
        said = [str(bool(value)).lower() for value in said]
    elif column.whole or (is_integer_dtype(cells.dtype) and all(v == int(v) for v in said)):
        said = [value if np.isnan(value) else int(value) for value in said]
    held = cells.astype(object)
    held.iloc[rows] = said
    return held.infer_objects() if cells.dtype != object else held


def _said(column: Column, values: NDArray[Any]) -> Any:
    """What the features of one cell say: a category's word, or a number."""
    if column.kind == "category":
        return column.categories[int(values.argmax())]
    if column.fill is not None and values[1] > 0.5:
        return np.nan
    # The shortest decimal that is the same number in the model's precision.
    return float(str(values[0]))


def _date(days: float) -> Any:
    if np.isnan(days):
        return np.nan
    moment = np.datetime64(0, "s") + np.timedelta64(round(days * 86400), "s")
    text = str(moment)
    return text.removesuffix("T00:00:00")
