"""What the cells of one column say: numbers, truth values, words, or nothing.

Only an empty cell is missing by itself. ``NA``, ``None`` and their like are missing in a column of
numbers or of truth values, where they can mean nothing else; among words they are words.
"""

import re
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Literal

import numpy as np
from numpy.typing import NDArray

from featureconvex.errors import UserError

if TYPE_CHECKING:
    import pandas as pd

ColumnKind = Literal["number", "boolean", "category", "date", "unstated"]
"""``unstated``: of a model file that has the names of its columns only; numbers or truth values."""

MISSING_WORDS = frozenset(
    {
        *("#N/A", "#N/A N/A", "#NA", "-1.#IND", "-1.#QNAN", "-NaN", "-nan", "1.#IND", "1.#QNAN"),
        *("<NA>", "N/A", "NA", "NULL", "NaN", "None", "n/a", "nan", "null"),
    }
)
"""What spreadsheets and programs write into a column of numbers where there is none."""
TRUTH = {"true": 1.0, "false": 0.0}
WRITTEN_OTHERWISE = re.compile(
    r"[-+(]?\s?(?:[$€£¥]\s?)?[-+]?"  # sign, currency
    r"(?:\d{1,3}(?:[ .,'\u2019\u00a0\u202f]\d{3})+|\d+)"  # digits, perhaps in groups of three
    r"(?:[.,]\d+)?(?:[eE][-+]?\d+)?"  # fraction after a point or a comma
    r"\s?[%‰$€£¥)]?"
)
"""A number as people write it: with a decimal comma, thousands separators, a percent or currency sign."""
AS_NUMBERS = (
    "write numbers with a decimal point and nothing else, 1234.5 for 1.234,5 or 1,234.5, "
    "and 0.05 for 5 %"
)


@dataclass(frozen=True)
class Words:
    """The cells of a column as text, and what each could be.

    Attributes:
        text: object (n,), each cell without blanks around it; "" where it is empty.
        empty: bool (n,).
        missing: bool (n,): one of ``MISSING_WORDS``.
        number: float64 (n,), correctly rounded; NaN where the cell is no number.
        numeric: bool (n,): the cell is a number.
        truth: float64 (n,), 1 for true and 0 for false in any case; NaN elsewhere.
    """

    text: NDArray[np.object_]
    empty: NDArray[np.bool_]
    missing: NDArray[np.bool_]
    number: NDArray[np.float64]
    numeric: NDArray[np.bool_]
    truth: NDArray[np.float64]

    @property
    def numbers(self) -> bool:
        """Some cells are numbers, and the others are empty or say that they are missing."""
        return bool(self.numeric.any() and (self.numeric | self.empty | self.missing).all())

    @property
    def truths(self) -> bool:
        """Some cells are truth values, and the others are empty or say that they are missing."""
        known = ~np.isnan(self.truth)
        return bool(known.any() and (known | self.empty | self.missing).all())


def row_words(row: int) -> str:
    """A row as messages name it; counted as the rows of results are.

    >>> row_words(2)
    'row 2 (from 0)'
    """
    return f"row {row} (from 0)"


def column_words(origin: str, name: object) -> str:
    """Where a column is, for messages."""
    return f"{origin}, column {str(name)!r}"


def text_of(column: "pd.Series[Any]") -> NDArray[np.object_]:
    """Each cell as text without blanks around it, "" where it is empty: object (n,)."""
    words = column.astype("string").str.strip().fillna("")
    return words.to_numpy(dtype=object)


def words_of(column: "pd.Series[Any]") -> Words:
    """Read a column of texts."""
    import pandas as pd

    text = text_of(column)
    shown = pd.Series(text, dtype=object)
    missing = shown.isin(MISSING_WORDS).to_numpy(dtype=bool)
    numeric = pd.to_numeric(shown, errors="coerce").notna().to_numpy(dtype=bool) & ~missing
    number = np.full(len(text), np.nan)
    # Python's own reading is correctly rounded, that of pandas is not always.
    number[numeric] = text[numeric].astype(np.float64)
    truth = np.asarray(shown.str.lower().map(TRUTH), dtype=np.float64)
    return Words(text, (text == "").astype(bool), missing, number, numeric, truth)


def kind_of(column: "pd.Series[Any]", where: str) -> ColumnKind:
    """What a training column holds.

    Raises:
        UserError: dates and the like, complex numbers, or numbers mixed with words.
    """
    from pandas.api.types import is_bool_dtype, is_numeric_dtype

    if is_bool_dtype(column.dtype):
        return "boolean"
    if is_numeric_dtype(column.dtype):
        if np.dtype(column.to_numpy().dtype).kind == "c":
            raise UserError(f"{where}: complex numbers have no order; split or drop it")
        return "number"
    if not is_text(column):
        raise no_cells(column, where)
    words = words_of(column)
    if words.numbers or words.empty.all():
        return "number"
    if words.truths:
        return "boolean"
    if words.numeric.any():
        raise not_a_number(words, where)
    written = words.text[~words.empty & ~words.missing]
    if len(written) and all(map(WRITTEN_OTHERWISE.fullmatch, written)):
        raise UserError(
            f"{where}: text that looks like numbers (such as {written[0]!r}); {AS_NUMBERS}, or put a "
            "letter into each where they are names of categories"
        )
    return "category"


def numbers_of(column: "pd.Series[Any]", kind: ColumnKind, where: str) -> NDArray[np.float64]:
    """A column of kind number, boolean or date as float64 (n,); NaN where a cell is missing.

    True and false are 1 and 0. A column of truth values takes the numbers 1 and 0, no others. Dates are
    days since 1970-01-01, written 2024-12-31 or 31.12.2024.

    Raises:
        UserError: a cell is neither a number nor missing, or no truth value where training had them, or a
            truth value where training had numbers.
    """
    values, _, error = read_numbers(column, kind, where)
    if error is not None:
        raise error
    return values


def read_numbers(
    column: "pd.Series[Any]", kind: ColumnKind, where: str, whole: bool = True
) -> tuple[NDArray[np.float64], NDArray[np.bool_], UserError | None]:
    """As :func:`numbers_of`, for rows that only have to answer for themselves.

    Args:
        column: the cells.
        kind: what they should be.
        where: for messages.
        whole: the column is all of a file's, so that a message can name a row by its number.

    Returns:
        The values, NaN where a cell cannot be read; bool (n,) where that is; and what is wrong with the
        first such cell.

    Raises:
        UserError: the whole column is of another kind: dates, lists and the like.
    """
    from pandas.api.types import is_bool_dtype, is_numeric_dtype

    if kind == "date":
        return _read_dates(column, where, whole)
    if is_bool_dtype(column.dtype) and kind == "number":
        truth = np.full(len(column), np.nan)
        return truth, column.notna().to_numpy(dtype=bool), _truth_among_numbers(where)
    if is_bool_dtype(column.dtype) or is_numeric_dtype(column.dtype):
        values = column.to_numpy(dtype=np.float64, na_value=np.nan)
        odd = np.zeros(len(values), dtype=bool)
        error = None
    elif is_text(column):
        words = words_of(column)
        values = np.where(np.isnan(words.truth), words.number, words.truth)
        if kind == "number" or (kind != "boolean" and words.numeric.any()):
            values = words.number  # "true" among numbers is a mistake, not a 1
        odd = np.isnan(values) & ~words.empty & ~words.missing
        error = _odd_word(words, odd, kind, where, whole) if odd.any() else None
    else:
        raise no_cells(column, where)
    if kind == "boolean":
        other = ~np.isnan(values) & (values != 0) & (values != 1)
        if other.any() and error is None:
            error = UserError(
                f"{where}: {values[other.argmax()]:g}{_at(other, whole)} where training had "
                "true and false; write true or false, or 1 or 0"
            )
        odd = odd | other
        values = np.where(odd, np.nan, values)
    return values, odd, error


def _at(odd: NDArray[np.bool_], whole: bool) -> str:
    """Where the first odd cell is."""
    return f" in {row_words(int(odd.argmax()))}" if whole else ""


def _odd_word(
    words: Words, odd: NDArray[np.bool_], kind: ColumnKind, where: str, whole: bool
) -> UserError:
    if kind == "number" and words.truths:
        return _truth_among_numbers(where)
    if not (words.numeric.any() or words.truths):
        word = str(words.text[odd.argmax()])
        return UserError(
            f"{where}: text in a column of {'truth values' if kind == 'boolean' else 'numbers'} (such as "
            f"{word!r}); {_remedy(word)}"
        )
    return not_a_number(words, where, whole)


def _read_dates(
    column: "pd.Series[Any]", where: str, whole: bool
) -> tuple[NDArray[np.float64], NDArray[np.bool_], UserError | None]:
    import pandas as pd

    odd, error = np.zeros(len(column), dtype=bool), None
    if column.dtype.kind == "M":
        found = column
    else:
        text = pd.Series(text_of(column), dtype=object)
        gap = (text == "") | text.isin(MISSING_WORDS)
        found = pd.to_datetime(text.mask(gap), format="ISO8601", errors="coerce", utc=True)
        for layout in ("%d.%m.%Y", "%d.%m.%Y %H:%M", "%d.%m.%Y %H:%M:%S"):
            again = pd.to_datetime(
                text.mask(gap | found.notna()), format=layout, errors="coerce", utc=True
            )
            found = found.fillna(again)
        odd = (found.isna() & ~gap).to_numpy(dtype=bool)
        if odd.any():
            row = int(odd.argmax())
            error = UserError(
                f"{where}: {text[row]!r}{_at(odd, whole)} is no date written "
                "2024-12-31 or 31.12.2024; correct it, or give the column another type"
            )
    if found.dt.tz is not None:
        found = found.dt.tz_convert("UTC").dt.tz_localize(None)
    days = (found - pd.Timestamp(0)) / pd.Timedelta(days=1)
    return np.asarray(days.to_numpy(dtype=np.float64, na_value=np.nan)), odd, error


def is_text(column: "pd.Series[Any]") -> bool:
    """Whether the cells are texts, or objects that have one: truth values and numbers among gaps."""
    from pandas import CategoricalDtype
    from pandas.api.types import infer_dtype, is_string_dtype

    if isinstance(column.dtype, CategoricalDtype):
        return True
    # Every column of objects is one of strings to pandas: lists and bytes as well.
    if column.dtype != object:
        return bool(is_string_dtype(column.dtype))
    plain = ("string", "boolean", "integer", "floating", "decimal", "empty")
    mixed = ("mixed-integer", "mixed-integer-float")
    return infer_dtype(column, skipna=True) in (*plain, *mixed)


def no_cells(column: "pd.Series[Any]", where: str) -> UserError:
    """A column of dates, lists, bytes and the like."""
    kind = str(column.dtype)
    if column.dtype == object:
        first = next((cell for cell in column if cell is not None), None)
        kind = type(first).__name__
    return UserError(
        f"{where}: values of type {kind} are neither numbers nor words; convert it to columns of "
        "numbers or words, drop it, or keep it beside the features with --keep"
    )


def not_a_number(words: Words, where: str, whole: bool = True) -> UserError:
    """The first word among numbers."""
    odd = ~(words.numeric | words.empty | words.missing | ~np.isnan(words.truth))
    if not odd.any():
        odd = ~words.numeric & ~words.empty & ~words.missing
    row = int(odd.argmax())
    word = str(words.text[row])
    return UserError(
        f"{where}: {word!r}{_at(odd, whole)} is not a number although other rows are; {_remedy(word)}, or "
        "use words for all categories"
    )


def _remedy(word: str) -> str:
    return AS_NUMBERS if WRITTEN_OTHERWISE.fullmatch(word) else "correct it"


def _truth_among_numbers(where: str) -> UserError:
    return UserError(
        f"{where}: truth values where training had numbers; give the numbers, 1 and 0 if they mean that"
    )
