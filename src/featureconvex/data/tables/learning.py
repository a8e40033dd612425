"""What the columns of a table are, learnt from its training rows."""

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from featureconvex.data.schema.schema import ColumnSchema
from featureconvex.data.tables.cells import (
    ColumnKind,
    column_words,
    is_text,
    kind_of,
    no_cells,
    numbers_of,
    text_of,
)
from featureconvex.data.tables.columns import Column
from featureconvex.data.tables.whole_numbers import check_digits, fractions, no_whole_number
from featureconvex.errors import UserError
from featureconvex.scalars import listed

if TYPE_CHECKING:
    import pandas as pd

MAX_CATEGORIES = 16
"""A text column with more distinct values is refused."""
OTHER = "other"
"""The level that stands for all rare ones."""


def learn_columns(frame: "pd.DataFrame", origin: str) -> tuple[Column, ...]:
    """What each column of a training table is: numbers, truth values, or up to 16 categories.

    Raises:
        UserError: no columns, dates, text with too many values, or a mix of numbers and text.
    """
    if not len(frame.columns):
        raise UserError(f"{origin} has no column besides the label; add the features")
    found = []
    for name in frame.columns:
        where = column_words(origin, name)
        kind = kind_of(frame[name], where)
        categories: tuple[str, ...] = ()
        if kind == "category":
            text = text_of(frame[name])
            categories = tuple(sorted(set(text) - {""}))
            if len(categories) > MAX_CATEGORIES:
                raise UserError(
                    f"{where}: text with {len(categories)} distinct values (such as {str(text[0])!r}) is "
                    f"neither a number nor a category of at most {MAX_CATEGORIES}; drop or encode it, "
                    "or keep it beside the features (--keep of run)"
                )
        elif kind == "number":
            check_digits(frame[name], numbers_of(frame[name], kind, where), where)
        found.append(Column(str(name), kind, categories))
    return tuple(found)


def columns_of_schema(
    frame: "pd.DataFrame", features: Sequence[ColumnSchema], origin: str
) -> tuple[Column, ...]:
    """The columns that a schema describes, with what only the training rows tell: levels and medians.

    Raises:
        UserError: no features, a column is missing or holds something else, or a category has no or too
            many levels.
    """
    if not features:
        raise UserError(
            f'{origin}: the schema has no feature; give a column that tells something role = "feature"'
        )
    found = []
    for said in features:
        where = column_words(origin, said.name)
        if said.name not in frame.columns:
            raise UserError(f"{where}: the schema describes it, but the table does not have it")
        cells = frame[said.name]
        if said.type == "category":
            found.append(_category(cells, said, where))
            continue
        kind: ColumnKind = "number"
        if said.type in ("boolean", "date"):
            kind = "boolean" if said.type == "boolean" else "date"
        values = numbers_of(cells, kind, where)
        if kind == "number":
            check_digits(cells, values, where)
        known = values[~np.isnan(values)]
        whole = said.type == "integer"
        if whole and (parts := fractions(values)).any():
            raise no_whole_number(values, parts, where, True)
        fill = None
        if said.missing == "median":
            if not len(known):
                raise UserError(f"{where}: every cell is missing, so there is no median; drop it")
            fill = float(np.median(known))
            fill = float(np.rint(fill)) if whole else fill
        found.append(Column(said.name, kind, fill=fill, whole=whole))
    return tuple(found)


def _category(cells: "pd.Series[Any]", said: ColumnSchema, where: str) -> Column:
    if cells.dtype == object and not is_text(cells):
        raise no_cells(cells, where)
    text = text_of(cells)
    levels = said.levels or tuple(sorted(set(text) - {""}))
    if said.missing == "level":
        levels = (*levels, "")
    rare = None
    if said.rare == "other":
        rare = OTHER
        levels = levels if rare in levels else (*levels, rare)
    elif unknown := set(text) - {*levels, ""}:
        known = listed((word for word in levels if word), None)
        raise UserError(
            f"{where}: {sorted(unknown)[0]!r} is not among its levels in the schema ({known}); "
            'add it, or write rare = "other"'
        )
    if len(levels) < 2:
        raise UserError(
            f'{where}: a category needs two levels, it has {levels}; write role = "drop"'
        )
    return Column(said.name, "category", levels, rare)
