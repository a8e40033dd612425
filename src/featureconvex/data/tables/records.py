"""The records of a CSV file: which bytes each has, and how many cells."""

import csv
from collections.abc import Iterator
from functools import lru_cache

import numpy as np
from numpy.typing import NDArray

from featureconvex.data.schema.form import TableForm
from featureconvex.errors import UserError

LONGEST = 2**26
"""Bytes that a record may have; more is a quotation mark that nobody closed."""
QUOTE = b'"'


def is_blank(body: bytes, form: TableForm) -> bool:
    """Whether lines have nothing but spaces and tabs, none of which separates columns: these are no rows.

    A form feed, a NUL byte or a byte order mark is something.
    """
    return not body.strip(_blanks(form))


@lru_cache
def _blanks(form: TableForm) -> bytes:
    return b"".join(blank for blank in (b" ", b"\t", b"\r", b"\n") if blank != mark_of(form))


def lines_of(body: bytes) -> list[bytes]:
    """The lines of some bytes, each with its end."""
    return body.splitlines(keepends=True)


def mark_of(form: TableForm) -> bytes:
    """What separates columns."""
    return form.separator.encode(form.encoding.replace("-sig", ""))


def quoted(body: bytes, form: TableForm) -> Iterator[tuple[int, list[str]]]:
    """Of a body with quotation marks: the last line of each record, counted from 1, and its cells."""
    mark = mark_of(form).decode("latin-1")
    reader = csv.reader((line.decode("latin-1") for line in lines_of(body)), delimiter=mark)
    csv.field_size_limit(LONGEST)
    try:
        for row in reader:
            yield reader.line_num, row
    except csv.Error as error:
        raise UserError(f"{error}; a quotation mark or a line end is missing nearby") from error


def records(body: bytes, form: TableForm) -> tuple[NDArray[np.int64], list[bytes]]:
    """Of each record that is not blank: how many cells it has, and its bytes."""
    lines = lines_of(body)
    mark = mark_of(form)
    if QUOTE not in body:
        blanks = _blanks(form)
        full = [line for line in lines if line.strip(blanks)]
        return np.array([line.count(mark) + 1 for line in full], dtype=np.int64), full
    found: list[bytes] = []
    cells, start = [], 0
    for end, row in quoted(body, form):
        record = b"".join(lines[start:end])
        if not is_blank(record, form):
            found.append(record)
            cells.append(len(row))
        start = end
    return np.array(cells, dtype=np.int64), found
