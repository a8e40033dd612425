"""One row per test point: the schema, its checks, and the file ``rows.parquet``.

Columns: ``index`` (position in the test split, from 0), ``row`` (where the point comes from: the source
row's number from 0, or the file's name; the record's ``rows_from`` says of what; missing in older
runs), columns the user kept, ``label`` (1: sensitive), ``predicted``, ``margin``
(``g(phi(x)) + tau``, positive for sensitive), ``status`` (of the closed-form certificate), one
``radius_...`` column per threat, level and unit (0 where nothing is certified, ``inf`` allowed) and
``slope_l1``, ``slope_l2``, ``slope_linf``: the constant ``K = Lip_p(phi) ||v||_q`` of every point, by
which the closed form divides the margin. With it the radius at any other threshold follows without
the model. Tables add ``radius_std_...`` and ``slope_std_...``: training standard deviations.
"""

from pathlib import Path

import numpy as np
import pandas as pd
from numpy.typing import NDArray
from pandas.api.types import is_float_dtype, is_integer_dtype

from featureconvex.certificates.certificate import Status
from featureconvex.errors import UserError
from featureconvex.files import replacing
from featureconvex.norms import NORM_NAMES
from featureconvex.results.columns import RadiusColumn, radius_columns

ROWS_FILE = "rows.parquet"
STATUSES = tuple(str(status) for status in Status)
REQUIRED = (
    *("index", "label", "predicted", "margin", "status"),
    *(RadiusColumn(norm).name for norm in NORM_NAMES),
    *(RadiusColumn(norm).slope for norm in NORM_NAMES),
)


def validate_rows(rows: pd.DataFrame, where: str = "the rows") -> pd.DataFrame:
    """Return ``rows`` unchanged after checking every column's type and range.

    Raises:
        UserError: the first fault found, naming the column, the row and the remedy.
    """
    missing = [name for name in REQUIRED if name not in rows.columns]
    if missing:
        raise UserError(
            f"{where} lack the columns {', '.join(missing)}; run the task again with this version"
        )
    if rows.empty:
        raise UserError(f"{where} hold no test point; run the task again")
    _check_labels(rows, where)
    _check_margins(rows, where)
    for column in radius_columns(map(str, rows.columns)):
        _check_radius(rows, column, where)
    for name in rows.columns:
        if str(name).startswith("slope_"):
            _check_slope(rows, str(name), where)
    return rows


def write_rows(rows: pd.DataFrame, path: Path) -> None:
    """Write ``rows`` as Parquet to ``path``, whole or not at all.

    Raises:
        UserError: the rows do not follow the schema; nothing is written.
    """
    validate_rows(rows)
    with replacing(path) as temporary:
        rows.to_parquet(temporary, index=False)


def read_rows(path: Path) -> pd.DataFrame:
    """Read and check the rows at ``path``.

    Raises:
        UserError: the file is missing, is no Parquet file, is truncated, or breaks the schema.
    """
    return validate_rows(parquet_rows(path), str(path))


def parquet_rows(path: Path) -> pd.DataFrame:
    """The rows at ``path``, unchecked.

    Raises:
        UserError: the file is missing, is no Parquet file, or is truncated.
    """
    if not path.is_file():
        raise UserError(
            f"{path} is missing; `featureconvex run TASK --out {path.parent}` writes it"
        )
    try:
        return pd.read_parquet(path)
    except (ValueError, OSError, KeyError) as error:
        reason = str(error).splitlines()[0] if str(error) else type(error).__name__
        raise UserError(
            f"{path} cannot be read as Parquet (truncated or another format?): {reason}"
        ) from error


def sensitive(rows: pd.DataFrame) -> NDArray[np.bool_]:
    """Mask (n,) of the test points whose label is the sensitive class."""
    mask: NDArray[np.bool_] = rows["label"].to_numpy() == 1
    return mask


def flagged(rows: pd.DataFrame) -> NDArray[np.bool_]:
    """Mask (n,) of the test points predicted sensitive."""
    mask: NDArray[np.bool_] = rows["predicted"].to_numpy() == 1
    return mask


def _check_labels(rows: pd.DataFrame, where: str) -> None:
    if not is_integer_dtype(rows["index"]) or rows["index"].duplicated().any():
        raise UserError(f"{where}: column 'index' must hold distinct whole numbers")
    for name in ("label", "predicted"):
        if not is_integer_dtype(rows[name]) or not rows[name].isin([0, 1]).all():
            raise UserError(f"{where}: column {name!r} must hold 0 or 1 (1: the sensitive class)")
    for label, kind in ((1, "sensitive"), (0, "other")):
        if not (rows["label"] == label).any():
            raise UserError(
                f"{where} hold no {kind} test point (label {label}); "
                f"accuracy and false-positive rate need both"
            )


def _check_margins(rows: pd.DataFrame, where: str) -> None:
    if not is_float_dtype(rows["margin"]):
        raise UserError(
            f"{where}: column 'margin' must be floating point, got {rows['margin'].dtype}"
        )
    unknown = sorted({str(value) for value in rows["status"]} - set(STATUSES))
    if unknown:
        raise UserError(
            f"{where}: unknown status {', '.join(unknown)}; known are {', '.join(STATUSES)}"
        )
    margin = rows["margin"].to_numpy()
    wrong = np.isfinite(margin) & ((margin > 0) != flagged(rows))
    if wrong.any():
        raise UserError(
            f"{where}: 'predicted' must be 1 exactly where 'margin' is positive; "
            f"row {int(np.argmax(wrong))} has margin {margin[np.argmax(wrong)]:g}"
        )


def _check_radius(rows: pd.DataFrame, column: RadiusColumn, where: str) -> None:
    if not is_float_dtype(rows[column.name]):
        raise UserError(
            f"{where}: column {column.name!r} must be floating point, got {rows[column.name].dtype}"
        )
    radius = rows[column.name].to_numpy()
    for bad, what in (
        (~(radius >= 0), "must be 0 or larger and never NaN (0 where nothing is certified)"),
        ((radius > 0) & ~flagged(rows), "certifies a point that is not predicted sensitive"),
    ):
        if bad.any():
            raise UserError(
                f"{where}: column {column.name!r} {what}; see row {int(np.argmax(bad))}"
            )


def _check_slope(rows: pd.DataFrame, name: str, where: str) -> None:
    if not is_float_dtype(rows[name]):
        raise UserError(f"{where}: column {name!r} must be floating point, got {rows[name].dtype}")
    finite = np.isfinite(rows["margin"].to_numpy()) & (rows["status"] != "non_finite").to_numpy()
    bad = finite & ~(rows[name].to_numpy() >= 0)
    if bad.any():
        raise UserError(
            f"{where}: column {name!r} must be 0 or larger (NaN only in rows of status non_finite); "
            f"see row {int(np.argmax(bad))}"
        )
