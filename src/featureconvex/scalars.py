"""Single numbers and words that a caller hands over, checked: whatever they are, an error is one to act on.

Nothing here needs torch, so that a command line can be refused before it is loaded.
"""

from collections.abc import Iterable, Mapping

import numpy as np

from featureconvex.errors import UserError

UNREADABLE = (TypeError, ValueError, OverflowError, RuntimeError)
"""How Python, numpy and torch say that something cannot be read as a number."""


def whole_number(name: str, value: object, least: int | None = None) -> int:
    """``value`` as a Python int; numpy's and torch's scalars and 5.0 count.

    Raises:
        UserError: anything else, or less than ``least``.

    >>> whole_number("pieces", np.int64(3), 1)
    3
    """
    at_least = "" if least is None else f" >= {least}"
    try:
        if _not_a_scalar(value):
            raise TypeError
        number = int(value)  # type: ignore[call-overload]
        fits = bool(number == value) and (least is None or number >= least)
    except UNREADABLE:
        fits = False
    if not fits:
        raise UserError(f"{name} must be a whole number{at_least}, got {shown(value)}")
    return int(number)


def whole_numbers(name: str, values: object, example: str, least: int = 1) -> tuple[int, ...]:
    """``values`` as a tuple of Python ints.

    Raises:
        UserError: no sequence, or an entry that is not a whole number of at least ``least``.
    """
    wrong = isinstance(values, str | bytes | Mapping | set | frozenset)
    if wrong or not isinstance(values, Iterable) or _not_iterable(values):
        raise UserError(f"{name} takes whole numbers such as {example}, got {shown(values)}")
    return tuple(whole_number(f"each number of {name}", value, least) for value in values)


def real_number(name: str, value: object, least: float | None = None) -> float:
    """``value`` as a Python float, never nan.

    Raises:
        UserError: not a number, or less than ``least``.
    """
    at_least = "" if least is None else f" >= {least:g}"
    try:
        if _not_a_scalar(value):
            raise TypeError
        number = float(value)  # type: ignore[arg-type]
        fits = number == number and (least is None or number >= least)
    except UNREADABLE:
        fits = False
    if not fits:
        raise UserError(f"{name} must be a number{at_least}, got {shown(value)}")
    return number


def yes_or_no(name: str, value: object) -> bool:
    """``value`` as a Python bool.

    Raises:
        UserError: neither True nor False.
    """
    if not isinstance(value, bool | np.bool_):
        raise UserError(f"{name} must be True or False, got {shown(value)}")
    return bool(value)


def one_of(name: str, value: object, choices: Iterable[str]) -> str:
    """``value`` if it is one of the words ``choices``.

    Raises:
        UserError: naming the choices.
    """
    words = tuple(choices)
    if not isinstance(value, str) or value not in words:
        raise UserError(f"unknown {name} {shown(value)}; use one of {', '.join(words)}")
    return str(value)


def listed(names: Iterable[object], most: int | None = 10) -> str:
    """Names as a message lists them, the first so many; quoted where a comma would look like two.

    >>> listed(["a", "b, c", "d"], most=2)
    "a, 'b, c' ..."
    """
    every = [str(name) for name in names]
    told = [
        repr(name) if "," in name or name != name.strip() or not name else name for name in every
    ]
    more = most is not None and len(told) > most
    return ", ".join(told[:most]) + " ..." * more


def _not_a_scalar(value: object) -> bool:
    text_or_flag = isinstance(value, str | bytes | bytearray | bool | np.bool_ | np.ma.MaskedArray)
    flags = str(getattr(value, "dtype", "")).endswith("bool")  # of numpy's arrays or torch's
    return text_or_flag or flags or getattr(value, "ndim", 0) != 0


def _not_iterable(value: object) -> bool:
    return getattr(value, "ndim", 1) == 0  # a scalar array has __iter__, and refuses


def shown(value: object, most: int = 80) -> str:
    """As a message shows it: one line, cut."""
    text = " ".join(repr(value).split())
    return text if len(text) <= most else f"{text[: most - 3]}..."
