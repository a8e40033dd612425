"""Rows of a data frame as a run's model sees them, and back."""

from collections.abc import Sequence
from dataclasses import replace
from typing import Any

import numpy as np

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
    return replace(found, table=restored(table, columns, start, end))


def columns_of(meaning: Meaning) -> tuple[Column, ...] | None:
    """Of a table; where only names are known and none can be part of a category, numbers."""
    names = meaning.names or ()
    plain = len(set(names)) == len(names) > 0 and not any("=" in name for name in names)
    if meaning.columns is None and meaning.kind == "table" and meaning.files is None and plain:
        return tuple(Column(name, "number") for name in names)
    return meaning.columns
