"""Rows of a data frame as a run's model sees them, and back."""

import warnings
from collections.abc import Sequence
from dataclasses import replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from featureconvex.certificates import AttackResult
from featureconvex.data.meaning import Meaning
from featureconvex.data.tables.columns import Column
from featureconvex.data.tables.frame import as_pandas
from featureconvex.data.tables.restore import restored


def with_table(
    found: AttackResult, rows: Any, before: Any, columns: Sequence[Column] | None
) -> AttackResult:
    """With the evading rows as a table, where rows of a data frame were attacked.

    Args:
        found: the result.
        rows: as a caller gave them.
        before: (n, d) the same as numbers.
        columns: what these are made of, where it is known.
    """
    table = as_pandas(rows)
    if columns is None or not (hasattr(table, "columns") and hasattr(table, "iloc")):
        return found
    start = np.asarray(before).astype(found.adversarial.dtype)
    end = np.where(found.found[:, None], found.adversarial, start)
    between = _between_levels(columns, end, start)
    if between is not None:
        warnings.warn(
            f"{found.threat.name} moves {between!r} to numbers between its levels, which no row of a "
            "table holds, so the result has no table; fc.Edits changes one level into another",
            UserWarning,
            stacklevel=4,
        )
        return found
    return replace(found, table=restored(table, columns, start, end))


def _between_levels(
    columns: Sequence[Column], end: NDArray[Any], start: NDArray[Any]
) -> str | None:
    """A category or boolean that a point takes to something else than 0 and 1."""
    at = 0
    for column in columns:
        new, old = (points[:, at : at + column.width] for points in (end, start))
        at += column.width
        broken = (new != 0) & (new != 1) & (new != old) & ~np.isnan(new)
        if column.kind in ("category", "boolean") and broken.any():
            return column.name
    return None


def columns_of(meaning: Meaning) -> tuple[Column, ...] | None:
    """Of a table; where only names are known and none can be part of a category, numbers."""
    names = meaning.names or ()
    plain = len(set(names)) == len(names) > 0 and not any("=" in name for name in names)
    if meaning.columns is None and meaning.kind == "table" and meaning.files is None and plain:
        return tuple(Column(name, "number") for name in names)
    return meaning.columns
