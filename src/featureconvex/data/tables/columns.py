"""The columns of a table as numbers: learnt from the training data, applied to new rows."""

import json
import re
from collections.abc import Iterable, Sequence
from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from featureconvex.data.schema.schema import ColumnSchema
from featureconvex.data.tables.cells import (
    ColumnKind,
    check_digits,
    is_text,
    kind_of,
    no_cells,
    numbers_of,
    read_numbers,
    row_words,
    text_of,
    words_of,
)
from featureconvex.errors import UserError

if TYPE_CHECKING:
    import pandas as pd

MAX_CATEGORIES = 16
"""A text column with more distinct values is refused."""
MISSING = "missing"
"""The second feature of a number that may be missing."""
OTHER = "other"
"""The level that stands for all rare ones."""
_WHOLE = re.compile(r"[+-]?\d+")
_CODE = re.compile(r"[+-]?0\d")


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


def learn_columns(frame: "pd.DataFrame", origin: str) -> tuple[Column, ...]:
    """What each column of a training table is: numbers, truth values, or up to 16 categories.

    Raises:
        UserError: no columns, dates, text with too many values, or a mix of numbers and text.
    """
    if not len(frame.columns):
        raise UserError(f"{origin} has no column besides the label; add the features")
    found = []
    for name in frame.columns:
        where = _where(origin, name)
        kind = kind_of(frame[name], where)
        categories: tuple[str, ...] = ()
        if kind == "category":
            text = text_of(frame[name])
            categories = tuple(sorted(set(text) - {""}))
            if len(categories) > MAX_CATEGORIES:
                raise UserError(
                    f"{where}: text with {len(categories)} distinct values (such as {str(text[0])!r}) is "
                    f"neither a number nor a category of at most {MAX_CATEGORIES}; drop or encode it, "
                    f"or keep it beside the features with --keep"
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
        where = _where(origin, said.name)
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
            raise _no_whole_number(values, parts, where, True)
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
        known = ", ".join(word for word in levels if word)
        raise UserError(
            f"{where}: {sorted(unknown)[0]!r} is not among its levels in the schema ({known}); "
            'add it, or write rare = "other"'
        )
    if len(levels) < 2:
        raise UserError(
            f'{where}: a category needs two levels, it has {levels}; write role = "drop"'
        )
    return Column(said.name, "category", levels, rare)


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
            f"on: {', '.join(missing[:5])}{' ...' if len(missing) > 5 else ''}"
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
                cells, column.kind, _where(origin, column.name), whole
            )
            if column.whole and (parts := fractions(values)).any():
                error = error or _no_whole_number(values, parts, _where(origin, column.name), whole)
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
            raise no_cells(cells, _where(origin, column.name))
        text = text_of(cells)
        block, seen = _one_hot(text, column)
        blocks.append(block)
        new = ~seen & (text != "").astype(bool)
        unknown |= new
        if new.any():
            remarks.append(
                f"{_where(origin, column.name)}: categories that training never saw; their rows have no "
                f"certificate (such as {str(text[new.argmax()])!r}; known are "
                f"{', '.join(word or 'an empty cell' for word in column.categories)})"
            )
    x = np.hstack(blocks)
    x[unreadable] = np.nan
    return Encoded(x, unknown & ~unreadable, tuple(remarks), unreadable, first)


def fractions(values: NDArray[np.float64]) -> NDArray[np.bool_]:
    """Which numbers are not whole: no gaps, and no infinities."""
    odd: NDArray[np.bool_] = np.isfinite(values) & (values != np.rint(values))
    return odd


def _no_whole_number(
    values: NDArray[np.float64], odd: NDArray[np.bool_], where: str, whole: bool
) -> UserError:
    at = f" in {row_words(int(odd.argmax()))}" if whole else ""
    return UserError(
        f"{where}: {values[odd.argmax()]:g}{at} is no whole number; its type in the schema is integer"
    )


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


def check_complete(x: NDArray[np.float64], columns: Sequence[Column], origin: str) -> None:
    """Refuse training rows with gaps, or with numbers that a float32 cannot hold, naming the first column.

    Raises:
        UserError: a value is missing, not finite, or too large.
    """
    most = float(np.finfo(np.float32).max)
    ends = np.cumsum([column.width for column in columns])
    for column, end in zip(columns, ends, strict=True):
        gaps = ~np.isfinite(x[:, end - column.width : end]).all(axis=1)
        if gaps.any():
            raise UserError(
                f"{_where(origin, column.name)}: {gaps.sum()} missing or non-finite values (first: "
                f"{row_words(int(gaps.argmax()))}); fill them in, drop the rows, or have them dropped with "
                "--missing drop"
            )
        large = (np.abs(x[:, end - column.width : end]) > most).any(axis=1)
        if large.any():
            raise UserError(
                f"{_where(origin, column.name)}: {large.sum()} of {len(x)} numbers are beyond {most:.1e}, "
                f"the largest that the model's arithmetic holds (first: {row_words(int(large.argmax()))}); "
                "give the column in a larger unit, or as logarithms"
            )


def class_names(column: "pd.Series[Any]", origin: str) -> NDArray[np.str_]:
    """The label of every row as text: 1, 1.0 and "1" are all ``1``, true and TRUE are ``True``.

    Texts of digits with a leading zero are codes, not numbers: ``01`` and ``1`` are two classes, and all
    labels of such a column stay as they are written.

    Raises:
        UserError: a label is missing, or is no number and no word.
    """
    from pandas.api.types import is_bool_dtype, is_numeric_dtype

    numbers = is_numeric_dtype(column.dtype) and not is_bool_dtype(column.dtype)
    if numbers:
        text, missing = text_of(column), column.isna().to_numpy(dtype=bool)
    elif is_bool_dtype(column.dtype) or is_text(column):
        words = words_of(column)
        text, missing, numbers = words.text, words.empty, words.numbers
        if words.numbers or words.truths:
            missing = missing | words.missing
        if words.truths:
            text = np.where(words.truth == 1, "True", "False").astype(object)
    else:
        raise no_cells(column, f"{origin}, the label")
    damaged = np.array(["\0" in word for word in text], dtype=bool)
    if damaged.any():
        raise UserError(
            f"{origin}: the label of {row_words(int(damaged.argmax()))} has a NUL byte in it "
            f"({damaged.sum()} such rows); the file is damaged there: correct or remove the rows"
        )
    if missing.any():
        raise UserError(
            f"{origin}: {missing.sum()} rows have no label (first: {row_words(int(missing.argmax()))}); "
            "drop them (among numbers, NA and its like are no label; among words they are)"
        )
    if numbers and not any(map(_CODE.match, text)):
        text = np.array([_plain_number(word) for word in text], dtype=object)
    return text.astype(np.str_)


def _plain_number(word: str) -> str:
    return str(int(word)) if _WHOLE.fullmatch(word) else repr(float(word)).removesuffix(".0")


def _where(origin: str, name: object) -> str:
    return f"{origin}, column {str(name)!r}"


def _quoted(text: str) -> str:
    return json.dumps(text, ensure_ascii=False)
