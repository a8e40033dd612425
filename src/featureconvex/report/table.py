"""A table for readers, on a page or in a document."""

from dataclasses import dataclass


@dataclass(frozen=True)
class Table:
    """Cells as text; the first of each row names it.

    Attributes:
        head: (k,) names of the columns.
        body: rows of k cells.
        title: above it; empty where its place says what it is.
    """

    head: list[str]
    body: list[list[str]]
    title: str = ""
