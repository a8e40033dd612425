"""Turning the columns of a data frame into numbers, or saying why they are none."""

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from featureconvex.errors import UserError

if TYPE_CHECKING:
    import pandas as pd

MAX_CATEGORIES = 16
"""A text column with more distinct values is refused."""


@dataclass(frozen=True)
class Features:
    """A frame as numbers.

    Attributes:
        x: float64 (n, d).
        names: d names; a one-hot column is called ``column=value``.
        groups: the number of the source column of every feature, or None if nothing is one-hot.
        encoded: the columns that were one-hot encoded.
    """

    x: NDArray[np.float64]
    names: list[str]
    groups: list[int] | None
    encoded: list[str]


def encode_features(frame: "pd.DataFrame", origin: str) -> Features:
    """Numbers and booleans as they are, text of at most 16 distinct values one-hot.

    Raises:
        UserError: no columns, missing or non-finite values, dates, text with too many values, or a
            column that mixes numbers and text.
    """
    blocks, names, groups, encoded = [], [], [], []
    for number, name in enumerate(frame.columns):
        where = f"{origin}, column {str(name)!r}"
        column = frame[name]
        values = _as_numbers(column, where)
        if values is not None:
            blocks.append(values[:, None])
            names.append(str(name))
            groups.append(number)
            continue
        text = column.astype(str).str.strip().to_numpy(dtype=np.str_)
        categories, codes = np.unique(text, return_inverse=True)
        if len(categories) > MAX_CATEGORIES:
            raise UserError(
                f"{where}: text with {len(categories)} distinct values (such as {str(text[0])!r}) is "
                f"neither a number nor a category of at most {MAX_CATEGORIES}; drop or encode it"
            )
        blocks.append(np.eye(len(categories))[codes])
        names += [f"{name}={category}" for category in categories]
        groups += [number] * len(categories)
        encoded.append(str(name))
    if not blocks:
        raise UserError(f"{origin} has no column besides the label; add the features")
    return Features(np.hstack(blocks), names, groups if encoded else None, encoded)


def features_by_name(frame: "pd.DataFrame", names: list[str], origin: str) -> NDArray[np.float64]:
    """The features a model was trained on, found by name in new rows: float64 (n, d).

    Other columns are ignored. A one-hot feature ``column=value`` is made from the text column.

    Raises:
        UserError: a column is missing, is not numeric, or has a category that training never saw.
    """
    columns = {str(name): frame[name] for name in frame.columns}
    blocks: list[NDArray[np.float64]] = []
    categories: dict[str, tuple[NDArray[np.str_], set[str]]] = {}
    for name in names:
        source, _, value = name.partition("=")
        if name in columns:
            numbers = _as_numbers(columns[name], f"{origin}, column {name!r}", finite=False)
            if numbers is None:
                raise UserError(f"{origin}, column {name!r}: text where training had numbers")
            blocks.append(numbers)
        elif value and source in columns:
            text = columns[source].astype(str).str.strip().to_numpy(dtype=np.str_)
            blocks.append((text == value).astype(np.float64))
            categories.setdefault(source, (text, set()))[1].add(value)
        else:
            missing = [n for n in names if n not in columns and n.partition("=")[0] not in columns]
            raise UserError(
                f"{origin} lacks {len(missing)} of the {len(names)} columns that the model was trained "
                f"on: {', '.join(missing[:5])}{' ...' if len(missing) > 5 else ''}"
            )
    for source, (text, known) in categories.items():
        new = ~np.isin(text, sorted(known))
        if new.any():
            raise UserError(
                f"{origin}, column {source!r}: {str(text[_row(new) - 1])!r} in row {_row(new)} is not one "
                f"of the categories seen in training: {', '.join(sorted(known))}"
            )
    return np.column_stack(blocks)


def class_names(column: "pd.Series[Any]", origin: str) -> NDArray[np.str_]:
    """The label of every row as text: 1, 1.0 and "1" are all ``1``.

    Raises:
        UserError: a label is missing.
    """
    from pandas.api.types import is_bool_dtype, is_float_dtype

    missing = column.isna().to_numpy()
    if missing.any():
        raise UserError(
            f"{origin}: {missing.sum()} rows have no label (first: row {_row(missing)}); drop them"
        )
    if is_float_dtype(column.dtype) and not is_bool_dtype(column.dtype):
        values = [repr(value).removesuffix(".0") for value in column.astype(float).tolist()]
        return np.array(values, dtype=np.str_)
    return column.astype(str).str.strip().to_numpy(dtype=np.str_)


def _as_numbers(
    column: "pd.Series[Any]", where: str, finite: bool = True
) -> NDArray[np.float64] | None:
    """A float64 column, finite if so asked, or None for text that is no number anywhere."""
    import pandas as pd
    from pandas.api.types import is_bool_dtype, is_numeric_dtype

    missing = column.isna().to_numpy()
    if finite and missing.any():
        raise _not_finite(missing, where)
    if is_bool_dtype(column.dtype) or is_numeric_dtype(column.dtype):
        numbers = column
        if np.dtype(numbers.to_numpy().dtype).kind == "c":
            raise UserError(f"{where}: complex numbers have no order; split or drop it")
    elif _is_text(column):
        numbers = pd.to_numeric(column.astype(str), errors="coerce")
        failed = numbers.isna().to_numpy()
        if failed.all():
            return None
        if failed.any():
            raise UserError(
                f"{where}: {str(column.iloc[_row(failed) - 1])!r} in row {_row(failed)} is not a "
                "number although other rows are; correct it, or use words for all categories"
            )
    else:
        raise UserError(
            f"{where}: values of type {column.dtype} are not numbers; convert or drop the column"
        )
    values = numbers.to_numpy(dtype=np.float64)
    if finite and not np.isfinite(values).all():
        raise _not_finite(~np.isfinite(values), where)
    return values


def _is_text(column: "pd.Series[Any]") -> bool:
    from pandas import CategoricalDtype
    from pandas.api.types import is_string_dtype

    if isinstance(column.dtype, CategoricalDtype):
        return True
    return is_string_dtype(column.dtype)


def _row(flags: NDArray[np.bool_]) -> int:
    """The first flagged row, counted from 1."""
    return int(flags.argmax()) + 1


def _not_finite(flags: NDArray[np.bool_], where: str) -> UserError:
    return UserError(
        f"{where}: {flags.sum()} missing or non-finite values (first: row {_row(flags)}); fill them "
        "in or drop the rows"
    )
