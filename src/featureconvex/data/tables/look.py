"""A first look at a table: what each column holds, what it seems to be, and what is odd about it."""

import re
import shlex
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from featureconvex.data.classes.order import in_order
from featureconvex.data.classes.sensitive import choose_sensitive
from featureconvex.data.schema.form import TableForm
from featureconvex.data.schema.schema import ColumnSchema, Schema
from featureconvex.data.suspicion import index_like
from featureconvex.data.tables.cells import Words, is_text, numbers_of, words_of
from featureconvex.data.tables.labels import class_names
from featureconvex.data.tables.learning import MAX_CATEGORIES
from featureconvex.errors import UserError
from featureconvex.scalars import listed

if TYPE_CHECKING:
    import pandas as pd

# Among fewer rows nothing is said about ids and leaks.
FEW = 20
# So many words among numbers may be ways to say that there is none.
MOST_GAPS = 2
_ID = re.compile(r"(?i)(^|[^a-z])(id|uuid|guid|key)([^a-z]|$)|(?<=[a-z])(Id|ID)$")
# Numbers with separators of thousands, a currency or a per cent sign.
_DECORATED = re.compile(
    r"[-+(]?[$€£¥]?\s*(?:\d+|\d{1,3}(?:[ ,.'\u00a0\u202f]\d{3})+)(?:[.,]\d+)?\s*[%€$£¥]?\)?"
)
_DATE = re.compile(r"\d{4}-\d\d-\d\d.*|\d{1,2}\.\d{1,2}\.\d{4}.*")


@dataclass(frozen=True)
class ColumnLook:
    """What a column holds, and a guess.

    Attributes:
        schema: the guess.
        missing, distinct: cells without a value, and different values.
        values: the range, or the commonest words.
        std: of numbers, None for others.
        remark: what is odd, or empty.
    """

    schema: ColumnSchema
    missing: int
    distinct: int
    values: str
    std: float | None
    remark: str

    @property
    def summary(self) -> str:
        """One line."""
        spread = "" if self.std is None else f", standard deviation {self.std:.4g}"
        gaps = f", {self.missing} missing" if self.missing else ""
        odd = f"; {self.remark}" if self.remark else ""
        return f"{self.values}{spread}, {self.distinct} distinct{gaps}{odd}"


@dataclass(frozen=True)
class Look:
    """All columns, and the schema that is guessed from them.

    Attributes:
        columns: one look each.
        schema: to be edited.
        classes: the label's values with their counts, where a label is named.
    """

    columns: tuple[ColumnLook, ...]
    schema: Schema
    classes: tuple[tuple[str, int], ...] = ()

    @property
    def remarks(self) -> dict[str, str]:
        """A comment for each column."""
        return {look.schema.name: look.summary for look in self.columns}


def look_at(
    frame: "pd.DataFrame",
    label: str | None = None,
    sensitive: str | None = None,
    form: TableForm | None = None,
    origin: str = "the table",
) -> Look:
    """Look at every column of a table; nothing is refused but a label that is not there.

    Raises:
        UserError: no column of that name, or rows without a label.
    """
    if label is not None and label not in frame.columns:
        raise UserError(
            f"{origin} has no column {label!r}; --label must be one of: {listed(frame.columns)}"
        )
    labels = None if label is None else class_names(frame[label], origin)
    classes: tuple[tuple[str, int], ...] = ()
    if labels is not None:
        names, counts = np.unique(labels, return_counts=True)
        rows_of = dict(zip(map(str, names), map(int, counts), strict=True))
        classes = tuple((name, rows_of[name]) for name in in_order(rows_of))
        if sensitive is not None:
            choose_sensitive([name for name, _ in classes], sensitive, origin)
        if sensitive is None and set(names) in ({"0", "1"}, {"False", "True"}):
            sensitive = str(names[-1])
    looks = tuple(
        _column(frame[name], str(name), labels) for name in frame.columns if name != label
    )
    schema = Schema(
        tuple(look.schema for look in looks), label, sensitive, form=form or TableForm()
    )
    return Look(looks, schema, classes)


def _column(cells: "pd.Series[Any]", name: str, labels: NDArray[np.str_] | None) -> ColumnLook:
    from pandas.api.types import is_bool_dtype, is_numeric_dtype

    if cells.dtype.kind in "mM":
        return _dates(cells, name)
    if is_bool_dtype(cells.dtype) or is_numeric_dtype(cells.dtype):
        kind = "boolean" if is_bool_dtype(cells.dtype) else "number"
        return _numbers(cells, name, labels, kind)
    if not is_text(cells):
        kind = str(cells.dtype)
        remark = f"values of type {kind} are neither numbers nor words: dropped"
        return ColumnLook(
            ColumnSchema(name, "drop"), int(cells.isna().sum()), 0, kind, None, remark
        )
    words = words_of(cells)
    if words.empty.all():
        return ColumnLook(
            ColumnSchema(name, "drop"), len(cells), 0, "empty", None, "constant: dropped"
        )
    if words.truths:
        return _numbers(cells, name, labels, "boolean")
    if words.numbers:
        return _numbers(cells, name, labels, "number")
    written = words.text[~words.empty & ~words.missing]
    if len(written) and all(map(_DATE.fullmatch, written)):
        try:
            return _dates(cells, name)
        except UserError:
            pass
    return _words(words.text, name, labels, _numbers_among(words))


def _dates(cells: "pd.Series[Any]", name: str) -> ColumnLook:
    days = numbers_of(cells, "date", name)
    known = days[~np.isnan(days)]
    ends = np.array([known.min(), known.max()] if len(known) else [0, 0]).astype("datetime64[D]")
    remark = "a date: dropped, as later rows have later dates; role feature makes it days"
    gaps = int(np.isnan(days).sum())
    column = ColumnSchema(name, "drop", "date")
    return ColumnLook(column, gaps, len(np.unique(known)), f"{ends[0]} to {ends[1]}", None, remark)


def _numbers(
    cells: "pd.Series[Any]", name: str, labels: NDArray[np.str_] | None, kind: Any
) -> ColumnLook:
    values = numbers_of(cells, kind, name)
    known = values[np.isfinite(values)]
    gaps, distinct = len(values) - len(known), len(np.unique(known))
    shown = f"{known.min():g} to {known.max():g}" if len(known) else "empty"
    # In units of the largest: squares of huge numbers overflow.
    scale = float(np.abs(known).max(initial=0.0)) or 1.0
    std = scale * float((known / scale).std()) if len(known) else 0.0
    whole = bool((known == np.rint(known)).all())
    role, remark = "feature", ""
    if distinct < 2:
        role, remark = "drop", "constant: dropped"
    elif kind == "number" and not gaps and index_like(values[:, None]):
        role, remark = "id", "counts the rows: kept beside them as an id"
    elif (
        whole
        and kind == "number"
        and len(known) >= FEW
        and distinct == len(known)
        and _ID.search(name)
    ):
        role, remark = "id", "every row has another whole number: an id"
    elif _leaks(values, labels):
        role, remark = "drop", "alone tells the label: a leak, dropped"
    boolean = kind == "boolean" or (whole and not gaps and set(known.tolist()) == {0.0, 1.0})
    kind = "boolean" if boolean else "integer" if whole else "number"
    missing = "median" if gaps and kind != "boolean" else "refuse"
    if gaps and kind == "boolean":
        kind, missing = "category", "level"
        remark = remark or "true and false with gaps: a category"
    schema = ColumnSchema(name, role, kind, missing=missing)
    return ColumnLook(schema, gaps, distinct, shown, None if boolean else std, remark)


def _numbers_among(words: Words) -> str:
    """How many cells are numbers; and which few words most likely say that there is none."""
    numbers = int(words.numeric.sum())
    others = sorted(set(words.text[~words.numeric & ~words.empty]))
    if numbers > len(words.text) / 2 and len(others) <= MOST_GAPS:
        options = " ".join(f"--na {shlex.quote(word)}" for word in others)
        quoted = ", ".join(map(repr, others))
        return f"{numbers} cells are numbers, the others {quoted}: if that is a gap, add {options}"
    return f"{numbers} cells are numbers among words" if numbers else ""


def _words(
    text: NDArray[np.object_], name: str, labels: NDArray[np.str_] | None, numbers: str
) -> ColumnLook:
    names, counts = np.unique(text[text != ""].astype(str), return_counts=True)
    gaps = int((text == "").sum())
    order = np.argsort(-counts, kind="stable")
    common = [str(word) for word in names[order][:MAX_CATEGORIES]]
    shown = listed(names[order], most=3)
    missing = "level" if gaps else "refuse"
    role, remark, rare = "feature", "", "refuse"
    filled = len(text) - gaps
    if len(names) < 2 and not gaps:
        role, remark = "drop", "constant: dropped"
    elif sum(map(bool, map(_DECORATED.fullmatch, names))) > len(names) / 2:
        role = "drop"
        remark = (
            "numbers nothing here reads (1,234.5, 5 %, $3): dropped; write them plainly to keep it"
        )
    elif filled >= FEW and len(names) > max(MAX_CATEGORIES, filled / 2):
        role, remark = "id", "nearly every row has another word: an id"
    elif _leaks(np.unique(text.astype(str), return_inverse=True)[1].astype(float), labels, True):
        role, remark = "drop", "alone tells the label: a leak, dropped"
    elif len(names) > MAX_CATEGORIES:
        common = common[: MAX_CATEGORIES - 1]
        remark = f"the {len(common)} commonest words are levels, the others together are 'other'"
        rare = "other"
    if numbers:
        remark = f"{remark}; " * bool(remark) + numbers
    levels = tuple(sorted(common)) if role == "feature" else ()
    schema = ColumnSchema(name, role, "category", levels=levels, rare=rare, missing=missing)
    return ColumnLook(schema, gaps, len(names), shown, None, remark)


def _leaks(
    values: NDArray[np.float64], labels: NDArray[np.str_] | None, words: bool = False
) -> bool:
    """Whether every value, few of them, belongs to one class; or one threshold of numbers tells it."""
    if labels is None or len(labels) < FEW or len(np.unique(labels)) < 2:
        return False
    known = ~np.isnan(values)
    if known.sum() < len(values):
        return False
    distinct, inverse = np.unique(values, return_inverse=True)
    if len(distinct) <= len(values) / 5:
        first: dict[int, str] = {}
        return all(
            first.setdefault(a, b) == b for a, b in zip(inverse.tolist(), labels, strict=True)
        )
    if words:
        return False
    ranked = labels[np.argsort(values, kind="stable")]
    return int((ranked[1:] != ranked[:-1]).sum()) == 1
