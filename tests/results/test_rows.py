from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest

from featureconvex.certificates import Status
from featureconvex.errors import UserError
from featureconvex.results.rows import STATUSES, read_rows, validate_rows, write_rows

MakeRows = Callable[..., pd.DataFrame]


def test_a_round_trip_keeps_every_value(tmp_path: Path, make_rows: MakeRows) -> None:
    rows = make_rows(levels=("domain", "tight", "sound"))
    rows.loc[rows["predicted"] == 1, "radius_l2"] = np.inf
    write_rows(rows, tmp_path / "rows.parquet")
    pd.testing.assert_frame_equal(read_rows(tmp_path / "rows.parquet"), rows)
    assert [p.name for p in tmp_path.iterdir()] == ["rows.parquet"]


def _first_unflagged(rows: pd.DataFrame) -> int:
    return int(np.argmax((rows["predicted"] == 0).to_numpy()))


@pytest.mark.parametrize(
    ("column", "value", "message"),
    [
        ("label", 2, "'label' must hold 0 or 1"),
        ("predicted", -1, "'predicted' must hold 0 or 1"),
        ("index", 7, "distinct whole numbers"),
        ("margin", 3.0, "'predicted' must be 1 exactly where 'margin' is positive"),
        ("status", "certain", "unknown status certain"),
        ("radius_l1", np.nan, "never NaN"),
        ("radius_l1", -1.0, "must be 0 or larger"),
        ("radius_linf", 0.5, "certifies a point that is not predicted sensitive"),
        ("slope_l2", np.nan, "'slope_l2' must be 0 or larger"),
    ],
)
def test_names_the_fault(column: str, value: Any, message: str, make_rows: MakeRows) -> None:
    rows = make_rows()
    place = _first_unflagged(rows)
    values = rows[column].to_numpy().copy()
    values[place] = value
    if column == "index":
        values[place + 1] = value
    with pytest.raises(UserError, match=message):
        validate_rows(rows.assign(**{column: values}))


def test_names_missing_columns_and_empty_frames(make_rows: MakeRows) -> None:
    with pytest.raises(UserError, match="lack the columns margin, slope_linf"):
        validate_rows(make_rows().drop(columns=["margin", "slope_linf"]))
    with pytest.raises(UserError, match="no test point"):
        validate_rows(make_rows().iloc[:0])


@pytest.mark.parametrize(("label", "kind"), [(1, "sensitive"), (0, "other")])
def test_needs_both_classes(label: int, kind: str, make_rows: MakeRows) -> None:
    rows = make_rows()
    with pytest.raises(UserError, match=f"no {kind} test point"):
        validate_rows(rows[rows["label"] != label])


@pytest.mark.parametrize("column", ["margin", "radius_l2", "slope_l1"])
def test_needs_floating_point(column: str, make_rows: MakeRows) -> None:
    rows = make_rows()
    whole = np.zeros(len(rows), dtype=np.int64)
    with pytest.raises(UserError, match=f"'{column}' must be floating point"):
        validate_rows(rows.assign(**{column: whole}))


def test_a_non_finite_row_may_have_no_slope(make_rows: MakeRows) -> None:
    rows = make_rows()
    place = _first_unflagged(rows)
    for column, value in (("margin", np.nan), ("slope_l1", np.nan), ("status", "non_finite")):
        rows.loc[place, column] = value
    assert validate_rows(rows) is rows


def test_a_missing_or_truncated_file_is_named(tmp_path: Path, make_rows: MakeRows) -> None:
    path = tmp_path / "rows.parquet"
    with pytest.raises(UserError, match=r"rows\.parquet is missing; `featureconvex run TASK"):
        read_rows(path)
    write_rows(make_rows(), path)
    path.write_bytes(path.read_bytes()[:-100])
    with pytest.raises(UserError, match=r"rows\.parquet cannot be read as Parquet"):
        read_rows(path)


def test_invalid_rows_are_never_written(tmp_path: Path, make_rows: MakeRows) -> None:
    with pytest.raises(UserError):
        write_rows(make_rows().drop(columns="label"), tmp_path / "rows.parquet")
    assert not list(tmp_path.iterdir())


def test_knows_every_status_of_a_certificate() -> None:
    assert set(STATUSES) == {status.value for status in Status}
