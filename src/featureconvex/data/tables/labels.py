"""The label column of a table as names of classes."""

import re
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from featureconvex.data.tables.cells import is_text, no_cells, row_words, text_of, words_of
from featureconvex.errors import UserError

if TYPE_CHECKING:
    import pandas as pd

_WHOLE = re.compile(r"[+-]?\d+")
_CODE = re.compile(r"[+-]?0\d")


def class_names(
    column: "pd.Series[Any]", origin: str, rows: NDArray[np.int64] | None = None
) -> NDArray[np.str_]:
    """The label of every row as text: 1, 1.0 and "1" are all ``1``, true and TRUE are ``True``.

    Texts of digits with a leading zero are codes, not numbers: ``01`` and ``1`` are two classes, and all
    labels of such a column stay as they are written.

    Args:
        column: the labels.
        origin: where they come from, for messages.
        rows: (n,), which row of the file each is; None: the first n.

    Raises:
        UserError: a label is missing, or is no number and no word.
    """
    from pandas.api.types import is_bool_dtype, is_numeric_dtype

    def named(wrong: NDArray[np.bool_]) -> str:
        first = int(wrong.argmax())
        return row_words(first if rows is None else int(rows[first]))

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
            f"{origin}: the label of {named(damaged)} has a NUL byte in it "
            f"({damaged.sum()} such rows); the file is damaged there: correct or remove the rows"
        )
    if missing.any():
        raise UserError(
            f"{origin}: rows without a label, {missing.sum()} of them, the first {named(missing)}; drop "
            "them, empty ones with --missing drop (among numbers, NA and its like are no label; among "
            "words they are)"
        )
    if numbers and not any(map(_CODE.match, text)):
        text = np.array([_plain_number(word) for word in text], dtype=object)
    return text.astype(np.str_)


def _plain_number(word: str) -> str:
    return str(int(word)) if _WHOLE.fullmatch(word) else repr(float(word)).removesuffix(".0")
