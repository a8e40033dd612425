"""A table in pieces of bounded size, of which every row can be told apart, readable or not."""

import csv
import gzip
import io
import sys
import zlib
from collections.abc import Collection, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from typing import IO, TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from featureconvex.data.schema.form import TableForm
from featureconvex.data.tables.frame import (
    PARQUET_SUFFIXES,
    STANDARD_INPUT,
    WIDE,
    check_header,
    damage,
    parse_csv,
    reading_remedy,
    with_named_index,
)
from featureconvex.data.tables.records import (
    LONGEST,
    QUOTE,
    is_blank,
    lines_of,
    mark_of,
    quoted,
    records,
)
from featureconvex.errors import UserError

if TYPE_CHECKING:
    import pandas as pd

BLOCK = 2**18
"""Bytes of CSV per piece, about."""
BATCH = 2**13
"""Rows of Parquet per piece."""


@dataclass(frozen=True)
class CsvBlock:
    """Whole records of a CSV file, with its header.

    Attributes:
        header: the first record.
        body: some of the others.
        form: how they are written.
    """

    header: bytes
    body: bytes
    form: TableForm

    def parse(self, text: Collection[str] = ()) -> "tuple[pd.DataFrame, NDArray[np.bool_]]":
        """The records that can be read, and bool (n,) which of all n these are.

        The others have more or fewer cells than the header, or bytes that are no text.

        Args:
            text: columns whose cells stay as they are written.

        Raises:
            UserError: the records of these bytes cannot be told apart.
        """
        cells, lines = records(self.body, self.form)
        width = records(self.header, self.form)[0][0]
        good = (cells == width) & _decoded(lines, self.body, self.form.encoding)
        body = b"".join(x for x, y in zip(lines, good, strict=True) if y)
        try:
            frame = parse_csv(self.header + body, self.form, text)
        except ValueError:
            frame = None
        if frame is None or len(frame) != good.sum():
            # Quotation marks in the middle of cells: written again, they are where they belong.
            try:
                frame = parse_csv(_rewritten(self.header + body, self.form), self.form, text)
            except ValueError as error:
                raise UserError(
                    f"{good.sum()} records cannot be read ({' '.join(str(error).split())}); correct the "
                    "quotation marks and line ends"
                ) from error
        if len(frame) != good.sum():
            raise UserError(
                f"{good.sum()} records look like {len(frame)} rows; a quotation mark or a line end is "
                "missing nearby"
            )
        return frame, good


def csv_blocks(path: Path, form: TableForm | None) -> Iterator[tuple[CsvBlock, int]]:
    """The blocks of a CSV file, or of standard input for ``-``, each with its length in bytes as stored.

    Args:
        path: the file; ``.gz`` is unpacked on the way.
        form: how it is written; None: commas, decimal points and UTF-8.

    Raises:
        UserError: it cannot be read, has no rows, two columns of one name, or another separator.
    """
    known = form or TableForm(encoding="utf-8")
    wide = known.encoding.lower().startswith(WIDE)
    encoding = known.encoding
    if wide:
        known = replace(known, encoding="utf-8")
    header, rest, read, told, any_row = b"", b"", 0, 0, False
    with _opened(path) as (stream, packed):
        text = io.TextIOWrapper(stream, encoding, newline="") if wide else None
        while content := (stream.read(BLOCK) if text is None else text.read(BLOCK).encode()):
            rest += content
            # As stored, where that is known.
            read = read + len(content) if packed is None else packed.tell()
            if not header:
                end = _first_record(rest, known)
                header, rest = rest[:end], rest[end:]
                if header:
                    check_header(header, known, path, form is None)
            end = _whole(rest, known) if header else 0
            if not is_blank(rest[:end], known):
                yield CsvBlock(header, rest[:end], known), read - told
                told, any_row = read, True
            rest = rest[end:]
            if len(rest) > LONGEST:
                raise UserError(
                    f"a record of {path} is longer than {LONGEST // 2**20} MiB; a quotation mark is not "
                    "closed"
                )
    if not header:
        header, rest = rest, b""
        check_header(header, known, path, form is None)
    if not is_blank(rest, known):
        yield CsvBlock(header, rest, known), read - told
    elif not any_row:
        raise UserError(f"{path} has no rows or no columns; a table needs both")


def parquet_batches(path: Path) -> "Iterator[tuple[pd.DataFrame, int]]":
    """Frames of bounded size, each with how many rows it has.

    Raises:
        UserError: the file cannot be read, has no rows, or two columns of one name.
    """
    import pyarrow.parquet as pq

    try:
        with pq.ParquetFile(path, pre_buffer=False) as file:
            names = [str(name) for name in file.schema_arrow.names]
            if not file.metadata.num_rows or not names:
                raise UserError(f"{path} has no rows or no columns; a table needs both")
            twice = sorted({name for name in names if names.count(name) > 1})
            if twice:
                raise UserError(f"{path} has two columns named {twice[0]!r}; rename one")
            for batch in file.iter_batches(BATCH, use_threads=False):
                yield with_named_index(batch.to_pandas()), batch.num_rows
    except damage(csv=False) as error:
        if isinstance(error, UserError):
            raise
        raise UserError(
            f"cannot read {path} as a table: {' '.join(str(error).split())}; correct or replace it"
        ) from error


def is_parquet(path: Path) -> bool:
    """Whether the name ends like a Parquet file's."""
    return path.name.lower().endswith(PARQUET_SUFFIXES)


@contextmanager
def _opened(path: Path) -> Iterator[tuple[Any, IO[bytes] | None]]:
    """Unpacked bytes, and the file as stored; None for standard input."""
    try:
        if path == STANDARD_INPUT:
            yield sys.stdin.buffer, None
            return
        with path.open("rb") as raw:
            yield gzip.GzipFile(fileobj=raw) if path.name.lower().endswith(".gz") else raw, raw
    except (OSError, EOFError, zlib.error, UnicodeDecodeError) as error:
        raise UserError(
            f"cannot read {path} as a table: {error}; {reading_remedy(error)}"
        ) from error


def _rewritten(body: bytes, form: TableForm) -> bytes:
    """The same cells, quoted where they have to be."""
    mark = mark_of(form).decode("latin-1")
    text = io.StringIO(newline="")
    csv.writer(text, delimiter=mark).writerows(row for _, row in quoted(body, form))
    return text.getvalue().encode("latin-1")


def _whole(body: bytes, form: TableForm) -> int:
    """How many bytes hold whole records; the last one may go on."""
    if QUOTE not in body:
        return max(body.rfind(b"\n"), body.rfind(b"\r")) + 1
    ends = [line for line, _ in quoted(body, form)]
    if len(ends) < 2:
        return 0
    return sum(map(len, lines_of(body)[: ends[-2]]))


def _first_record(body: bytes, form: TableForm) -> int:
    """The bytes of the first record that is not blank; 0 where it may go on."""
    lines = lines_of(body)
    if QUOTE not in body:
        full = (n for n, line in enumerate(lines) if not is_blank(line, form))
        start = next(full, len(lines))
        found = lines[: start + 1]
        return sum(map(len, found)) if found and found[-1].endswith((b"\n", b"\r")) else 0
    start, ends = 0, []
    for end, _ in quoted(body, form):
        if not is_blank(b"".join(lines[start:end]), form):
            ends.append(end)
        start = end
    return sum(map(len, lines[: ends[0]])) if len(ends) > 1 else 0


def _decoded(lines: list[bytes], body: bytes, encoding: str) -> NDArray[np.bool_]:
    """Which lines are text."""
    good = np.ones(len(lines), dtype=bool)
    try:
        body.decode(encoding)
    except UnicodeDecodeError:
        for place, line in enumerate(lines):
            try:
                line.decode(encoding)
            except UnicodeDecodeError:
                good[place] = False
    return good
