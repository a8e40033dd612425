"""Whole numbers in a table: cells that must be some, and those that float64 cannot tell apart."""

from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from featureconvex.data.tables.cells import row_words
from featureconvex.errors import UserError

if TYPE_CHECKING:
    import pandas as pd

EXACT = 2**53
"""Beyond it float64 does not hold every whole number."""


def check_digits(column: "pd.Series[Any]", values: NDArray[np.float64], where: str) -> None:
    """Refuse whole numbers that float64 cannot tell apart: as features they would be other numbers.

    Args:
        column: as it was read.
        values: the same as float64 (n,).
        where: for messages.

    Raises:
        UserError: different cells became equal.
    """
    if not (np.abs(values) > EXACT).any():
        return
    cells = column.dropna()
    if cells.nunique() > len(np.unique(values[~np.isnan(values)])):
        raise UserError(
            f"{where}: whole numbers beyond 2^53 (such as {cells.iloc[0]}), of which different ones become "
            "equal as floating-point numbers; if it is an id keep it beside the features with --keep, else "
            "subtract a constant first"
        )


def fractions(values: NDArray[np.float64]) -> NDArray[np.bool_]:
    """Which numbers are not whole: no gaps, and no infinities."""
    odd: NDArray[np.bool_] = np.isfinite(values) & (values != np.rint(values))
    return odd


def no_whole_number(
    values: NDArray[np.float64], odd: NDArray[np.bool_], where: str, whole: bool
) -> UserError:
    """That a column of whole numbers has others; with ``whole``, in which row of the table."""
    at = f" in {row_words(int(odd.argmax()))}" if whole else ""
    return UserError(
        f"{where}: {values[odd.argmax()]:g}{at} is no whole number; its type in the schema is integer"
    )
