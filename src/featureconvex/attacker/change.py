"""What was done to a row of a table, in the user's words and units."""

from collections.abc import Iterator

import numpy as np
from numpy.typing import NDArray

from featureconvex.attacker.attacker import Attacker
from featureconvex.data.schema import ColumnSchema
from featureconvex.data.tables.columns import Column

Row = NDArray[np.float64]


# Parts of a smaller share of the whole price are counted, not named: searches leave such dust.
LEAST = 1e-3


def change_in_words(attacker: Attacker, x: Row, changed: Row) -> str:
    """From one row to another, dearest part first: ``links 2 → 5, merchant "a" → "b"``.

    Args:
        attacker: whose prices order the parts.
        x, changed: (d,), the features of the two rows.

    Returns:
        ``""`` where nothing changed.
    """
    parts = sorted(_parts(attacker, x, changed), key=lambda part: -part[0])
    whole = sum(price for price, _ in parts)
    named = [words for price, words in parts if price >= LEAST * whole]
    dust = len(parts) - len(named)
    if dust:
        named.append(f"{dust} smaller move{'' if dust == 1 else 's'}")
    return ", ".join(named)


def _parts(attacker: Attacker, x: Row, changed: Row) -> Iterator[tuple[float, str]]:
    cost = attacker.unit_costs
    for said, column, places in attacker.placed:
        at = list(places)
        if (x[at] == changed[at]).all():
            continue
        price = float((cost[at] * np.abs(changed[at] - x[at])).max())
        yield (
            price,
            f"{said.name} {_cell(said, column, x[at])} → {_cell(said, column, changed[at])}",
        )


def _cell(said: ColumnSchema, column: Column, values: Row) -> str:
    if column.kind == "category":
        return f'"{column.categories[int(values.argmax())]}"'
    if said.type == "boolean" or column.kind == "boolean":
        return "yes" if values[0] > 0.5 else "no"
    if said.type == "date" or column.kind == "date":
        return str(np.datetime64(0, "D") + np.timedelta64(int(values[0]), "D"))
    return f"{float(values[0]):.6g}"
