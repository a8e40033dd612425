"""The order of classes: of numbers that of their values, otherwise that of the alphabet."""

import math
from collections.abc import Iterable


def in_order(names: Iterable[str]) -> list[str]:
    """The names of classes, sorted; by their values where all are numbers.

    >>> in_order(["10", "9", "1"])
    ['1', '9', '10']
    """
    known = sorted(names)
    try:
        values = [float(name) for name in known]
    except ValueError:
        return known
    if not all(map(math.isfinite, values)):
        return known
    return [name for _, name in sorted(zip(values, known, strict=True))]
