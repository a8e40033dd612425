"""Columns that a user wants to see again, beside the rows that were made from them."""

import pandas as pd

from featureconvex.errors import UserError
from featureconvex.results.columns import PREFIXES


def beside(rows: pd.DataFrame, kept: pd.DataFrame | None, origin: str) -> pd.DataFrame:
    """``rows`` with the columns of ``kept``, after ``row``, under their own names.

    Args:
        rows: (n, ...) with a column ``row``.
        kept: n rows in the same order, or None.
        origin: where they come from, for messages.

    Raises:
        UserError: a kept column has the name of one of ours.
    """
    if kept is None:
        return rows
    for place, name in enumerate(kept.columns):
        if name in rows.columns or str(name).startswith(PREFIXES):
            raise UserError(
                f"{origin}: the column {name!r} cannot be kept, the rows have one of that name; rename it"
            )
        # As text unless a number: Parquet stores no mixture.
        cells = kept[name].reset_index(drop=True)
        rows.insert(
            list(rows.columns).index("row") + 1 + place,
            name,
            cells if pd.api.types.is_numeric_dtype(cells.dtype) else cells.astype("string"),
        )
    return rows
