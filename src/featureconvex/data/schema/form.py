"""How a CSV file is written: separator, decimal mark, encoding, and the words for a missing cell."""

import csv
import io
import re
from dataclasses import asdict, dataclass, replace
from typing import Any

from featureconvex.errors import UserError

SEPARATORS = (",", ";", "\t", "|")
# What is looked at to find out.
SAMPLE = 2**20
_COMMA = re.compile(r"[+-]?\d+,\d+")
_POINT = re.compile(r"[+-]?\d+\.\d+")


@dataclass(frozen=True)
class TableForm:
    """How to read the text of a table.

    Attributes:
        separator: one character between columns.
        decimal: ``"."`` or ``","``.
        encoding: of the text, a name that Python knows.
        missing: words that stand for an empty cell, besides nothing at all.

    Raises:
        UserError: something else.
    """

    separator: str = ","
    decimal: str = "."
    encoding: str = "utf-8-sig"
    missing: tuple[str, ...] = ()

    def __post_init__(self) -> None:
        one = len(self.separator) == 1 and self.separator.isascii()
        if not one or self.decimal not in (".", ",") or self.separator in '"\n\r':
            raise UserError(
                "a table has one ASCII character between columns and a decimal point or comma, got "
                f"separator {self.separator!r} and decimal {self.decimal!r}"
            )
        if self.separator == self.decimal:
            raise UserError(f"separator and decimal mark are both {self.decimal!r}; name one other")
        try:
            "".encode(self.encoding)
        except LookupError as error:
            raise UserError(f"unknown encoding {self.encoding!r}; try utf-8 or cp1252") from error

    def stored(self) -> dict[str, Any]:
        """Plain JSON values."""
        return {**asdict(self), "missing": list(self.missing)}

    @staticmethod
    def from_stored(values: dict[str, Any]) -> "TableForm":
        """The inverse of :meth:`stored`."""
        return TableForm(**{**values, "missing": tuple(values["missing"])})


def said_otherwise(form: TableForm | None, **said: Any) -> TableForm | None:
    """The form with what a command line says of it in place of its own; as it is where nothing is said.

    Args:
        form: what is known; None: commas, decimal points and UTF-8, anything else is refused.
        said: fields of :class:`TableForm`, None for those that nobody named.

    >>> said_otherwise(TableForm(";", ","), separator="|", decimal=None).decimal
    ','
    """
    known = {name: value for name, value in said.items() if value is not None}
    return replace(form or TableForm(), **known) if known else form


def sniffed(content: bytes) -> TableForm:
    """How a CSV file looks to be written, from its first lines.

    >>> sniffed("id;price\\n1;2,5\\n2;3,75\\n".encode("cp1252"))
    TableForm(separator=';', decimal=',', encoding='utf-8-sig', missing=())
    """
    encoding = _encoding(content)
    text = content[:SAMPLE].decode(encoding, errors="replace")
    if len(content) > SAMPLE:
        text = text.rpartition("\n")[0] or text
    separator = max(SEPARATORS, key=lambda mark: _fits(text, mark))
    # Different ones: a column that says 2.1 everywhere is a version, not a sign of points.
    cells = {cell.strip() for row in _rows(text, separator)[1:] for cell in row}
    commas = sum(map(bool, map(_COMMA.fullmatch, cells)))
    points = sum(map(bool, map(_POINT.fullmatch, cells)))
    decimal = "," if separator != "," and commas > points else "."
    return TableForm(separator, decimal, encoding)


def _encoding(content: bytes) -> str:
    if content.startswith((b"\xff\xfe", b"\xfe\xff")):
        return "utf-16"
    try:
        content.decode("utf-8")
    except UnicodeDecodeError:
        return "cp1252"
    return "utf-8-sig"


def _rows(text: str, separator: str) -> list[list[str]]:
    try:
        return list(csv.reader(io.StringIO(text), delimiter=separator))[:200]
    except csv.Error:
        return []


def _fits(text: str, separator: str) -> tuple[float, int]:
    """The share of rows as long as the header, and how many columns it then has; none for one column."""
    rows = [row for row in _rows(text, separator) if row]
    width = len(rows[0]) if rows else 0
    if width < 2:
        return (0.0, 0)
    return (sum(len(row) == width for row in rows) / len(rows), width)
