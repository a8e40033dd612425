"""The rows of a table as numbers."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from featureconvex.data.tables.cells import (
    column_words,
    is_text,
    no_cells,
    read_numbers,
    row_words,
    text_of,
)
from featureconvex.data.tables.columns import Column
from featureconvex.data.tables.whole_numbers import fractions, no_whole_number
from featureconvex.errors import UserError
from featureconvex.scalars import listed

if TYPE_CHECKING:
    import pandas as pd


@dataclass(frozen=True)
class Encoded:
    """Rows as numbers.

    Attributes:
        x: float64 (n, d); the features of a missing cell, or of a category that training never saw,
            are NaN, so no number stands for what is not known.
        unknown: bool (n,): rows with a category that training never saw.
        remarks: one sentence per column with such a category.
        unreadable: bool (n,): rows with a cell that says nothing that the column could hold.
        error: what is wrong with the first of these, or None.
    """

    x: NDArray[np.float64]
    unknown: NDArray[np.bool_]
    remarks: tuple[str, ...]
    unreadable: NDArray[np.bool_]
    error: UserError | None = None


def encode(frame: "pd.DataFrame", columns: Sequence[Column], origin: str) -> Encoded:
    """The rows of a table as the features of ``columns``, found by name; other columns are ignored.

    Raises:
        UserError: a column is missing, or holds text where training had numbers.
    """
    found = encode_rows(frame, columns, origin, whole=True)
    if found.error is not None:
        raise found.error
    return found


def encode_rows(
    frame: "pd.DataFrame", columns: Sequence[Column], origin: str, whole: bool = False
) -> Encoded:
    """As :func:`encode`, but a cell that cannot be read costs its own row only.

    Args:
        frame: the rows.
        columns: what they mean.
        origin: where the rows come from, for messages.
        whole: these are all rows of ``origin``, so that a message can name one by its number.

    Raises:
        UserError: a column is missing, or none of its cells could be read whatever they say.
    """
    missing = [column.name for column in columns if column.name not in frame.columns]
    if missing:
        one = len(frame.columns) == 1 and len(columns) > 1
        letters = not one and not all(map(str.isascii, missing))
        raise UserError(
            f"{origin} lacks {len(missing)} of the {len(columns)} columns that the model was trained "
            f"on: {listed(missing, 5)}"
            + "; it has a single one: if something else separates its columns, --sep says what"
            * one
            + "; if its letters are read wrong, --encoding names another encoding" * letters
        )
    blocks: list[NDArray[np.float64]] = []
    unknown, unreadable = (np.zeros(len(frame), dtype=bool) for _ in range(2))
    remarks, first = [], None
    for column in columns:
        cells = frame[column.name]
        if column.kind != "category":
            values, odd, error = read_numbers(
                cells, column.kind, column_words(origin, column.name), whole
            )
            if column.whole and (parts := fractions(values)).any():
                error = error or no_whole_number(
                    values, parts, column_words(origin, column.name), whole
                )
                odd, values = odd | parts, np.where(parts, np.nan, values)
            unreadable |= odd
            first = first or error
            values = values[:, None]
            if column.fill is not None:
                gap = np.isnan(values)
                values = np.hstack((np.where(gap, column.fill, values), gap))
            blocks.append(values)
            continue
        if cells.dtype == object and not is_text(cells):
            raise no_cells(cells, column_words(origin, column.name))
        text = text_of(cells)
        block, seen = _one_hot(text, column)
        blocks.append(block)
        new = ~seen & (text != "").astype(bool)
        unknown |= new
        if new.any():
            known = [word or "an empty cell" for word in column.categories]
            remarks.append(
                f"{column_words(origin, column.name)}: categories that training never saw; their rows have "
                f"no certificate (such as {str(text[new.argmax()])!r}; known are "
                f"{listed(known, None)})"
            )
    x = np.hstack(blocks)
    x[unreadable] = np.nan
    return Encoded(x, unknown & ~unreadable, tuple(remarks), unreadable, first)


def _one_hot(
    text: NDArray[np.object_], column: Column
) -> tuple[NDArray[np.float64], NDArray[np.bool_]]:
    """(n, categories), NaN in rows of no category; and bool (n,) which rows have one."""
    places = {word: place for place, word in enumerate(column.categories)}
    other = -1 if column.rare is None else places[column.rare]
    codes = [places.get(word, other if word else -1) for word in text.tolist()]
    place = np.array(codes, dtype=np.int64)
    seen = place >= 0
    block = np.zeros((len(text), len(column.categories)))
    block[seen, place[seen]] = 1.0
    block[~seen] = np.nan
    return block, seen


def check_complete(
    x: NDArray[np.float64], columns: Sequence[Column], origin: str, schema: bool = False
) -> None:
    """Refuse training rows with gaps, or with numbers that a float32 cannot hold, naming the first column.

    Args:
        x: (n, d) encoded rows.
        columns: what they mean.
        origin: where the rows come from, for messages.
        schema: the user described the columns, and can say there what a gap means.

    Raises:
        UserError: a value is missing, not finite, or too large.
    """
    most = float(np.finfo(np.float32).max)
    ends = np.cumsum([column.width for column in columns])
    for column, end in zip(columns, ends, strict=True):
        gaps = ~np.isfinite(x[:, end - column.width : end]).all(axis=1)
        if gaps.any():
            said = _gaps_in_schema(column) if schema else ""
            raise UserError(
                f"{column_words(origin, column.name)}: {gaps.sum()} missing or non-finite values (first: "
                f"{row_words(int(gaps.argmax()))}); {said}fill them in, drop the rows, or have them "
                "dropped with --missing drop"
            )
        large = (np.abs(x[:, end - column.width : end]) > most).any(axis=1)
        if large.any():
            raise UserError(
                f"{column_words(origin, column.name)}: {large.sum()} of {len(x)} numbers are beyond "
                f"{most:.1e}, the largest that the model's arithmetic holds (first: "
                f"{row_words(int(large.argmax()))}); "
                "give the column in a larger unit, or as logarithms"
            )


def _gaps_in_schema(column: Column) -> str:
    """What a schema can say of the gaps of such a column."""
    if column.kind == "category":
        return 'write missing = "level" for it in the schema, '
    if column.kind == "boolean":
        return 'write type = "category" and missing = "level" for it in the schema, '
    return 'write missing = "median" for it in the schema, '
