"""The rows of a run of several classes: one per test point, in ``rows.parquet``.

Columns: ``index`` (position in the test split, from 0), ``row`` (where the point comes from, as the
record's ``rows_from`` says), columns the user kept, ``label`` and ``predicted`` (names of classes),
``margin`` (the predicted class's score less the next largest one), ``status`` (of the closed-form
certificate), and for every threat and unit

* ``radius_...``, at every level: the budget below which the point stays in the class *predicted*, whether
  that is its own or not; NaN where a level covers the first points only;
* ``rival_...``: the class that it is nearest to, by the closed form.
"""

from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pandas as pd
from numpy.typing import NDArray
from pandas.api.types import is_float_dtype, is_integer_dtype

from featureconvex.errors import UserError
from featureconvex.files import replacing
from featureconvex.results.columns import CLOSED_FORM, RadiusColumn, radius_columns
from featureconvex.results.rows import STATUSES, parquet_rows

REQUIRED = ("index", "label", "predicted", "margin", "status")


def validate_class_rows(
    rows: pd.DataFrame, classes: Sequence[str], where: str = "the rows"
) -> pd.DataFrame:
    """Return ``rows`` unchanged after checking every column's type and range.

    Raises:
        UserError: the first fault found, naming the column and the remedy.
    """
    missing = [name for name in REQUIRED if name not in rows.columns]
    columns = radius_columns(map(str, rows.columns))
    if missing or not columns:
        lacking = ", ".join(missing or ["radius_l2"])
        raise UserError(f"{where} lack the columns {lacking}; run the task again with this version")
    if rows.empty:
        raise UserError(f"{where} hold no test point; run the task again")
    if not is_integer_dtype(rows["index"]) or rows["index"].duplicated().any():
        raise UserError(f"{where}: column 'index' must hold distinct whole numbers")
    rivals = [column.rival for column in columns if column.level == CLOSED_FORM]
    for name in ("label", "predicted", *rivals):
        if name not in rows or not rows[name].isin(classes).all():
            raise UserError(f"{where}: column {name!r} must hold names of the record's classes")
    if not rows["status"].isin(STATUSES).all() or not is_float_dtype(rows["margin"]):
        raise UserError(f"{where}: a status is unknown, or a margin is no floating-point number")
    for column in columns:
        _check_radius(rows, column, where)
    return rows


def _check_radius(rows: pd.DataFrame, column: RadiusColumn, where: str) -> None:
    if not is_float_dtype(rows[column.name]):
        raise UserError(f"{where}: column {column.name!r} must be floating point")
    radius = rows[column.name].to_numpy()
    known = ~np.isnan(radius)
    if not (radius[known] >= 0).all() or (column.level == CLOSED_FORM and not known.all()):
        raise UserError(
            f"{where}: column {column.name!r} must be 0 or larger, and NaN only above the closed form"
        )


def write_class_rows(rows: pd.DataFrame, classes: Sequence[str], path: Path) -> None:
    """Write ``rows`` as Parquet to ``path``, whole or not at all.

    Raises:
        UserError: the rows do not follow the schema; nothing is written.
    """
    validate_class_rows(rows, classes)
    with replacing(path) as temporary:
        rows.to_parquet(temporary, index=False)


def read_class_rows(path: Path, classes: Sequence[str]) -> pd.DataFrame:
    """Read and check the rows at ``path``.

    Raises:
        UserError: the file is missing, is no Parquet file, is truncated, or breaks the schema.
    """
    return validate_class_rows(parquet_rows(path), classes, str(path))


def right(rows: pd.DataFrame) -> NDArray[np.bool_]:
    """Mask (n,) of the points that are predicted as their own class."""
    mask: NDArray[np.bool_] = (rows["label"] == rows["predicted"]).to_numpy()
    return mask
