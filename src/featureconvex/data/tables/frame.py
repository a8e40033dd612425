"""Reading a CSV or Parquet file into a data frame, nothing lost and nothing guessed."""

import gzip
import io
import re
import sys
import warnings
import zlib
from collections.abc import Collection, Iterable
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from featureconvex.data.schema.form import TableForm
from featureconvex.data.tables.cells import row_words
from featureconvex.data.tables.records import records
from featureconvex.errors import UserError

if TYPE_CHECKING:
    import pandas as pd

CSV_SUFFIXES = (".csv", ".csv.gz")
PARQUET_SUFFIXES = (".parquet", ".pq")
STANDARD_INPUT = Path("-")
"""Stands for a CSV table on standard input."""
WIDE = ("utf-16", "utf-32")
"""Encodings in which a comma is several bytes."""
TAB = "\t"
SEPARATORS = {";": "';'", TAB: "a tab", "|": "'|'"}
"""What some programs write between columns instead of commas, and what to call it."""


def is_table(path: Path) -> bool:
    """Whether the name ends like a table's, or means standard input."""
    return path == STANDARD_INPUT or path.name.lower().endswith(CSV_SUFFIXES + PARQUET_SUFFIXES)


def read_frame(
    path: Path, text: Collection[str] = (), form: TableForm | None = None
) -> "pd.DataFrame":
    """The file as a data frame with distinct column names, all texts, and at least one row.

    In a CSV file only an empty cell is missing here; what ``NA`` means depends on its column, see
    :mod:`featureconvex.data.tables.cells`. An index that a Parquet file names is a column of it;
    ``frame.attrs["index"]`` lists those.

    Args:
        path: the file, or ``-`` for CSV on standard input.
        text: columns of a CSV file whose cells stay as they are written.
        form: how a CSV file is written; None: commas, decimal points and UTF-8, anything else is refused.

    Raises:
        UserError: it is missing, damaged, empty, its rows differ in length, two columns have one
            name, or its columns are not separated by commas.
    """
    import pandas as pd

    csv = path == STANDARD_INPUT or path.name.lower().endswith(CSV_SUFFIXES)
    try:
        if csv:
            content = csv_bytes(path)
            known = form or TableForm(encoding="utf-8")
            names = check_header(content, known, path, form is None)
            frame = parse_csv(content, known, text)
            _check_lengths(content, known, frame, path)
        else:
            frame = with_named_index(pd.read_parquet(path))
            names = frame.columns.to_series()
    except damage(csv) as error:
        if isinstance(error, UserError):
            raise
        raise _not_read(path, error) from error
    if frame.empty:
        raise UserError(f"{path} has no rows or no columns; a table needs both")
    _check_distinct(names, path)
    return frame


def parse_csv(content: bytes, form: TableForm, text: Collection[str] = ()) -> "pd.DataFrame":
    """A CSV file's content as a data frame.

    Raises:
        pandas.errors.ParserError: rows of other lengths.
    """
    import pandas as pd

    with warnings.catch_warnings():
        warnings.simplefilter("error", pd.errors.ParserWarning)
        try:
            frame: pd.DataFrame = pd.read_csv(
                io.BytesIO(content),
                index_col=False,
                low_memory=False,
                dtype=dict.fromkeys(text, "str"),
                decimal=form.decimal,
                na_values=["", *form.missing],
                **_given(form),
            )
        except pd.errors.ParserWarning as warning:
            raise pd.errors.ParserError(str(warning)) from warning
    if form.decimal == ",":
        _with_points(frame, text)
    return frame


def check_header(content: bytes, form: TableForm, path: Path, plain: bool) -> "pd.Series[Any]":
    """The names in the first line of a CSV file, as written: those of a frame are made distinct.

    Args:
        content: of the file, or its first line.
        form: how it is written.
        path: the file, for messages.
        plain: nobody said that it is written with anything but commas.

    Raises:
        UserError: two names alike, or no commas.
    """
    import pandas as pd

    if plain:
        _check_separator(content, path)
    try:
        head = pd.read_csv(io.BytesIO(content), header=None, nrows=1, dtype=str, **_given(form))
    except (ValueError, pd.errors.ParserWarning) as error:
        raise _not_read(path, error) from error
    first: pd.Series[Any] = head.iloc[0]
    names = first[first != ""]
    _check_distinct(names, path)
    return names


def _check_lengths(content: bytes, form: TableForm, frame: "pd.DataFrame", path: Path) -> None:
    """Refuse a row with fewer cells than the header, whose last ones would look empty.

    Raises:
        UserError: naming the first.
    """
    if not frame.shape[1] or not frame.iloc[:, -1].isna().any():
        return
    if form.encoding.lower().startswith(WIDE):
        content, form = content.decode(form.encoding).encode(), replace(form, encoding="utf-8")
    try:
        cells, _ = records(content, form)
    except UserError:  # quotation marks that pandas takes another way
        return
    short = cells[1:] < cells[0]
    if len(short) == len(frame) and short.any():
        row = int(short.argmax())
        raise UserError(
            f"{path}: {row_words(row)} has {cells[1 + row]} of {cells[0]} cells; complete or remove it "
            f"({short.sum()} such rows)"
        )


def with_named_index(frame: "pd.DataFrame") -> "pd.DataFrame":
    """A Parquet file's frame with its named index levels as columns, which ``attrs["index"]`` lists."""
    import pandas as pd

    named = [level for level in frame.index.names if level is not None]
    # Nameless levels number the rows.
    frame = frame.reset_index(named).reset_index(drop=True)
    frame.columns = pd.Index([str(name) for name in frame.columns], dtype=object)
    frame.attrs["index"] = [str(level) for level in named]
    return frame


def _given(form: TableForm) -> dict[str, Any]:
    return {"sep": form.separator, "encoding": form.encoding, "keep_default_na": False}


def _check_distinct(names: "pd.Series[Any]", path: Path) -> None:
    if not names.is_unique:
        raise UserError(
            f"{path} has two columns named {names[names.duplicated()].iloc[0]!r}; rename one"
        )


def _not_read(path: Path, error: Exception) -> UserError:
    reason = " ".join(str(error).split()) or type(error).__name__
    return UserError(f"cannot read {path} as a table: {reason}; {reading_remedy(error)}")


def reading_remedy(error: Exception) -> str:
    """What to do about a table that cannot be read."""
    if isinstance(error, UnicodeDecodeError):
        return (
            "save it as UTF-8, or name its encoding: --encoding cp1252 for most exports of Windows, or "
            "encoding below [file] in a schema"
        )
    return "correct or replace it"


def damage(csv: bool) -> tuple[type[Exception], ...]:
    """What libraries raise when a table is damaged: much more where the metadata of Parquet are."""
    import pyarrow as pa

    reading = (OSError, EOFError, ValueError, zlib.error)
    metadata = (LookupError, TypeError, AttributeError, OverflowError, NotImplementedError)
    return reading if csv else (*reading, *metadata, pa.ArrowException)


def csv_bytes(path: Path) -> bytes:
    """The content of a CSV file, unpacked; of standard input for ``-``."""
    if path == STANDARD_INPUT:
        return sys.stdin.buffer.read()
    content = path.read_bytes()
    return gzip.decompress(content) if path.name.lower().endswith(".gz") else content


_DECIMAL_COMMA = re.compile(r"\s*[+-]?\d*,\d+(?:[eE][+-]?\d+)?\s*")


def _with_points(frame: "pd.DataFrame", text: Collection[str]) -> None:
    """Numbers with a decimal comma as numbers with a point, in columns that hold words as well."""
    for name in frame.columns:
        if frame[name].dtype.kind != "f" and name not in text:
            cells = frame[name]
            frame[name] = [
                cell.replace(",", ".")
                if isinstance(cell, str) and _DECIMAL_COMMA.fullmatch(cell)
                else cell
                for cell in cells
            ]


def _check_separator(content: bytes, path: Path) -> None:
    """Refuse a CSV file whose first line is split by something else: read on, it is one odd column."""
    line = content.partition(b"\n")[0].decode("utf-8", errors="replace")
    header = re.sub(r'"[^"]*"', "", line)  # quoted names may hold anything
    for separator, name in SEPARATORS.items():
        if separator in header and "," not in header:
            raise UserError(
                f"{path}: the separator looks like {name}, not a comma; save the table with commas "
                "between columns (and points in decimal numbers), or say how it is written: --sep "
                f"{'tab' if separator == TAB else repr(separator)}, with --decimal , for decimal commas"
            )


def check_unique(names: Iterable[Any], origin: str) -> None:
    """Refuse two columns of one name, since columns are found by it.

    Raises:
        UserError: naming the first.
    """
    seen: set[str] = set()
    for name in map(str, names):
        if name in seen:
            raise UserError(f"{origin} has two columns named {name!r}; rename one")
        seen.add(name)


def as_pandas(x: Any) -> Any:
    """A polars frame as one of pandas, which then holds the same cells; anything else as it is.

    Raises:
        UserError: a lazy frame.
    """
    if type(x).__module__.partition(".")[0] != "polars":
        return x
    if hasattr(x, "collect"):
        raise UserError("x is a lazy frame, whose rows are not there yet; give x.collect()")
    return x.to_pandas() if hasattr(x, "to_pandas") and hasattr(x, "columns") else x.to_numpy()
