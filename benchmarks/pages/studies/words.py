"""Tables, estimates with their intervals and shares as the pages on studies write them."""

from typing import Any

from featureconvex.results.numbers import percent
from page import table as page_table

NORMS = ("l1", "l2", "linf")
Content = dict[str, Any]


def table(head: list[str], body: list[list[str]]) -> str:
    """A table whose cells may have bars in them, as in |u|."""
    return page_table(head, [[cell.replace("|", "\\|") for cell in row] for row in body])


def spread(found: Content, digits: int = 2) -> str:
    """An estimate and its interval."""
    low, high = found["low"], found["high"]
    if low is None or high is None:
        return f"{found['estimate']:.{digits}f}"
    return f"{found['estimate']:.{digits}f} ({low:.{digits}f} to {high:.{digits}f})"


def shares(found: Content) -> str:
    """The same of a share, in percent; not below 0 or above 100 %."""
    ends = [min(max(found[name], 0.0), 1.0) for name in ("estimate", "low", "high")]
    return f"{percent(ends[0])} ({percent(ends[1])} to {percent(ends[2])})"


def points(found: Content) -> str:
    """A difference of accuracies in points."""
    if found["low"] is None:
        return f"{100 * found['estimate']:+.1f}"
    ends = [f"{100 * found[name]:+.1f}" for name in ("estimate", "low", "high")]
    return f"{ends[0]} ({ends[1]} to {ends[2]})"


def signed(found: Content) -> str:
    """A difference and its interval."""
    if found["low"] is None:
        return f"{found['estimate']:+.2f}"
    ends = [f"{found[name]:+.2f}" for name in ("estimate", "low", "high")]
    return f"{ends[0]} ({ends[1]} to {ends[2]})"
