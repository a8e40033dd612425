"""What the columns of a table mean, and the features they make."""

import json
from collections.abc import Iterable, Sequence
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np

from featureconvex.data.tables.cells import ColumnKind

MISSING = "missing"
"""The second feature of a number that may be missing."""


@dataclass(frozen=True)
class Column:
    """One column of a table and what its cells mean.

    Attributes:
        name: as the file has it.
        kind: ``"number"``, ``"boolean"`` (1 and 0), ``"category"`` (one-hot), ``"date"`` (days since
            1970-01-01), or ``"unstated"`` (numbers or truth values).
        categories: of a category; each makes one feature. ``""`` stands for an empty cell.
        rare: the one of them that every other word counts as, or None.
        fill: what stands for a missing number, and then a second feature says that it does; None: nothing
            does.
        whole: of a number: whole numbers only, as the user's schema says.
    """

    name: str
    kind: ColumnKind
    categories: tuple[str, ...] = ()
    rare: str | None = None
    fill: float | None = None
    whole: bool = False

    @property
    def width(self) -> int:
        """How many features the column makes."""
        if self.kind == "category":
            return len(self.categories)
        return 1 if self.fill is None else 2

    @property
    def features(self) -> tuple[str, ...]:
        """What distinguishes the column's features: a category each, or whether the cell is missing."""
        if self.kind == "category":
            return self.categories
        return () if self.fill is None else ("", MISSING)

    def stored(self) -> dict[str, Any]:
        """Plain JSON values."""
        return {**asdict(self), "categories": list(self.categories)}

    @staticmethod
    def from_stored(values: dict[str, Any]) -> "Column":
        """The inverse of :meth:`stored`; older files say less."""
        return Column(
            values["name"],
            values["kind"],
            tuple(values["categories"]),
            values.get("rare"),
            values.get("fill"),
            values.get("whole", False),
        )


def feature_names(columns: Sequence[Column]) -> list[str]:
    """A name for every feature, no two alike: the column's, or ``column=category``.

    Where two would be alike, the parts of the one-hot names are quoted.

    >>> feature_names([Column("a", "category", ("x",)), Column("a=x", "number")])
    ['"a"="x"', 'a=x']
    """
    taken = {column.name for column in columns if column.kind != "category"}
    one_hot = [(c.name, v) for c in columns for v in c.features if v or c.kind == "category"]
    plain = [f"{name}={value}" for name, value in one_hot]
    names: dict[tuple[str, str], str] = {}
    for (name, value), simple in zip(one_hot, plain, strict=True):
        shown = simple
        if simple in taken or plain.count(simple) > 1:
            shown = f"{_quoted(name)}={_quoted(value)}"
        while shown in taken or shown in names.values():
            shown += "'"
        names[name, value] = shown
    return [
        shown
        for c in columns
        for shown in [names.get((c.name, v), c.name) for v in c.features or ("",)]
    ]


def feature_groups(columns: Sequence[Column]) -> list[int] | None:
    """The number of the source column of every feature, or None if nothing is one-hot."""
    if all(column.width == 1 and column.kind != "category" for column in columns):
        return None
    return [number for number, column in enumerate(columns) for _ in range(column.width)]


def feature_blocks(columns: Sequence[Column]) -> dict[str, range]:
    """Where the features of each category, and of a number that may be missing, are among all features.

    >>> feature_blocks([Column("a", "number"), Column("b", "category", ("x", "y"))])
    {'b': range(1, 3)}
    """
    starts = np.cumsum([0, *(column.width for column in columns)]).tolist()
    return {
        column.name: range(start, start + column.width)
        for column, start in zip(columns, starts, strict=False)
        if column.kind == "category" or column.width > 1
    }


def columns_of_names(names: Sequence[str], present: Iterable[str]) -> tuple[Column, ...]:
    """The columns behind feature names of a model file that holds no more than those.

    A name that the table has is a column of numbers or truth values; ``column=category`` is one-hot if it
    has ``column``. A name it has neither way is a column of numbers, which will be called missing.
    """
    known, found = set(present), dict[str, Column]()
    for name in names:
        splits = [(name[:i], name[i + 1 :]) for i, letter in enumerate(name) if letter == "="]
        source = next((pair for pair in splits if pair[0] in known), None)
        if name in known or source is None:
            found[name] = Column(name, "unstated")
            continue
        before = found.get(source[0])
        categories = (*(before.categories if before else ()), source[1])
        found[source[0]] = Column(source[0], "category", categories)
    return tuple(found.values())


def _quoted(text: str) -> str:
    return json.dumps(text, ensure_ascii=False)
