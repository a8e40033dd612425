"""Reading a CSV or Parquet file into a data frame, nothing lost and nothing guessed."""

import gzip
import io
import re
import sys
import warnings
import zlib
from collections.abc import Collection
from pathlib import Path
from typing import TYPE_CHECKING

from featureconvex.errors import UserError

if TYPE_CHECKING:
    import pandas as pd

CSV_SUFFIXES = (".csv", ".csv.gz")
PARQUET_SUFFIXES = (".parquet", ".pq")
STANDARD_INPUT = Path("-")
"""Stands for a CSV table on standard input."""
SEPARATORS = {";": "';'", "\t": "a tab", "|": "'|'"}
"""What some programs write between columns instead of commas, and what to call it."""


def is_table(path: Path) -> bool:
    """Whether the name ends like a table's, or means standard input."""
    return path == STANDARD_INPUT or path.name.lower().endswith(CSV_SUFFIXES + PARQUET_SUFFIXES)


def read_frame(path: Path, text: Collection[str] = ()) -> "pd.DataFrame":
    """The file as a data frame with distinct column names, all texts, and at least one row.

    In a CSV file only an empty cell is missing here; what ``NA`` means depends on its column, see
    :mod:`featureconvex.data.tables.cells`. An index that a Parquet file names is a column of it;
    ``frame.attrs["index"]`` lists those.

    Args:
        path: the file, or ``-`` for CSV on standard input.
        text: columns of a CSV file whose cells stay as they are written.

    Raises:
        UserError: it is missing, damaged, empty, its rows differ in length, two columns have one
            name, or its columns are not separated by commas.
    """
    import pandas as pd

    csv = path == STANDARD_INPUT or path.name.lower().endswith(CSV_SUFFIXES)
    try:
        if csv:
            content = _csv_bytes(path)
            _check_separator(content, path)
            # As written: the names of the frame are made distinct by a suffix.
            head = pd.read_csv(
                io.BytesIO(content), header=None, nrows=1, dtype=str, keep_default_na=False
            )
            with warnings.catch_warnings():
                warnings.simplefilter("error", pd.errors.ParserWarning)
                frame = pd.read_csv(
                    io.BytesIO(content),
                    index_col=False,
                    low_memory=False,
                    dtype=dict.fromkeys(text, "str"),
                    keep_default_na=False,
                    na_values=[""],
                )
            names = head.iloc[0][head.iloc[0] != ""]
        else:
            frame = pd.read_parquet(path)
            named = [level for level in frame.index.names if level is not None]
            # Nameless levels number the rows.
            frame = frame.reset_index(named).reset_index(drop=True)
            frame.columns = pd.Index([str(name) for name in frame.columns], dtype=object)
            frame.attrs["index"] = [str(level) for level in named]
            names = frame.columns.to_series()
    except (OSError, EOFError, ValueError, zlib.error, pd.errors.ParserWarning) as error:
        if isinstance(error, UserError):
            raise
        reason = " ".join(str(error).split()) or type(error).__name__
        remedy = (
            "save it as UTF-8" if isinstance(error, UnicodeDecodeError) else "correct or replace it"
        )
        raise UserError(f"cannot read {path} as a table: {reason}; {remedy}") from error
    if frame.empty:
        raise UserError(f"{path} has no rows or no columns; a table needs both")
    if not names.is_unique:
        raise UserError(
            f"{path} has two columns named {names[names.duplicated()].iloc[0]!r}; rename one"
        )
    return frame


def _csv_bytes(path: Path) -> bytes:
    if path == STANDARD_INPUT:
        return sys.stdin.buffer.read()
    content = path.read_bytes()
    return gzip.decompress(content) if path.name.lower().endswith(".gz") else content


def _check_separator(content: bytes, path: Path) -> None:
    """Refuse a CSV file whose first line is split by something else: read on, it is one odd column."""
    line = content.partition(b"\n")[0].decode("utf-8", errors="replace")
    header = re.sub(r'"[^"]*"', "", line)  # quoted names may hold anything
    for separator, name in SEPARATORS.items():
        if separator in header and "," not in header:
            raise UserError(
                f"{path}: the separator looks like {name}, not a comma; save the table with commas "
                "between columns (and points in decimal numbers)"
            )
