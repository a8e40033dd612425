"""Schemas as TOML files with comments, to be edited by hand."""

import json
import math
import tomllib
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from featureconvex.data.schema.form import TableForm
from featureconvex.data.schema.schema import STD, ColumnSchema, Schema
from featureconvex.errors import UserError

_TOP = ("label", "sensitive", "unit", "file", "columns")
_FILE = ("separator", "decimal", "encoding", "missing")
_COLUMN = (
    *("role", "type", "attacker", "cost", "unit", "range"),
    *("levels", "rare", "missing"),
)
HEAD = """\
# A schema{of}: what each column means, and what an attacker can do to it. Edit it, then
#   featureconvex run DATA --schema THIS --out runs/mine
#
# role      feature, id (kept beside the rows) or drop
# type      number, integer, category, boolean or date (days since 1970-01-01)
# attacker  free, fixed (cannot change), increase (may only grow) or decrease (may only shrink)
# cost      the price of one unit of a number ("std": 1 per standard deviation), or of one edit of a
#           category or boolean
# range     [low, high] of a number for the attacker; left out: no limit
# levels    of a category; rare = "other" counts every other word as one more level
# missing   refuse; "median" of a number, with a feature that says so; "level" of a category
"""


def schema_text(schema: Schema, of: str = "", remarks: Mapping[str, str] | None = None) -> str:
    """A schema as TOML.

    Args:
        schema: what to write.
        of: the file it is about, for the first line.
        remarks: a comment for each column.

    >>> text = schema_text(Schema((ColumnSchema("a"),), label="y"))
    >>> parse_schema(text) == Schema((ColumnSchema("a"),), label="y")
    True
    """
    lines = [HEAD.format(of=f" of {_one_line(of)}" if of else "")]
    if schema.label is not None:
        lines.append(f"label = {_text(schema.label)}")
    if schema.sensitive is not None:
        lines.append(
            f"sensitive = {_text(schema.sensitive)}  # the class an attacker wants to leave"
        )
    elif schema.label is not None:
        lines.append('# sensitive = ""  # the class an attacker wants to leave')
    lines.append(f"unit = {_text(schema.unit)}  # of all prices together")
    form = schema.form
    lines += [
        "",
        "[file]",
        f"separator = {_text(form.separator)}",
        f"decimal = {_text(form.decimal)}",
        f"encoding = {_text(form.encoding)}",
        f"missing = {_list(form.missing)}  # words for an empty cell, besides nothing at all",
    ]
    for column in schema.columns:
        lines.append("")
        remark = (remarks or {}).get(column.name, "")
        if remark:
            lines.append(f"# {_one_line(remark)}")
        lines.append(f"[columns.{_text(column.name)}]")
        lines += [f"{key} = {value}" for key, value in _entries(column)]
    return "\n".join(lines) + "\n"


def _entries(column: ColumnSchema) -> list[tuple[str, str]]:
    found = [("role", _text(column.role)), ("type", _text(column.type))]
    if column.role != "feature":
        return found
    found.append(("attacker", _text(column.attacker)))
    cost = _text(column.cost) if isinstance(column.cost, str) else repr(float(column.cost))
    found.append(("cost", cost))
    if column.unit:
        found.append(("unit", _text(column.unit)))
    if not (math.isinf(column.low) and math.isinf(column.high)):
        found.append(("range", f"[{float(column.low)!r}, {float(column.high)!r}]"))
    if column.type == "category":
        found += [("levels", _list(column.levels)), ("rare", _text(column.rare))]
    return [*found, ("missing", _text(column.missing))]


def read_schema(path: Path) -> Schema:
    """Read a schema.

    Raises:
        UserError: no such file, no TOML, an unknown key, or a value that does not fit.
    """
    try:
        text = path.read_text(encoding="utf-8-sig")
    except FileNotFoundError as error:
        raise UserError(
            f"there is no schema {path}; `featureconvex inspect DATA --out schema.toml` writes one to edit"
        ) from error
    except UnicodeDecodeError as error:
        raise UserError(f"cannot read the schema {path}: {error}; save it as UTF-8") from error
    except OSError as error:
        raise UserError(
            f"cannot read the schema {path}: {error.strerror or error}; name a TOML file"
        ) from error
    try:
        return parse_schema(text)
    except UserError as error:
        raise UserError(f"{path}: {error}") from error


def parse_schema(text: str) -> Schema:
    """The schema that a TOML text describes; raises as :func:`read_schema`."""
    try:
        found = tomllib.loads(text)
    except tomllib.TOMLDecodeError as error:
        raise UserError(f"this is no TOML: {error}") from error
    _known(found, _TOP, "the schema")
    label, sensitive, unit = (
        _word(found, name, "the schema") for name in ("label", "sensitive", "unit")
    )
    _named(unit, "the schema")
    columns = [_column(name, value) for name, value in _table(found, "columns").items()]
    form = _table(found, "file")
    _known(form, _FILE, "[file]")
    words = {name: _word(form, name, "[file]") for name in _FILE[:3]}
    given: dict[str, Any] = {name: word for name, word in words.items() if word is not None}
    return Schema(
        tuple(columns),
        label,
        sensitive,
        Schema.unit if unit is None else unit,
        TableForm(missing=_words(form, "missing", "[file]"), **given),
    )


def _column(name: str, values: Any) -> ColumnSchema:
    where = f"[columns.{_text(name)}]"
    if not isinstance(values, dict):
        raise UserError(f"{where} is a table of its own, got {values!r}")
    _known(values, _COLUMN, where)
    given = {
        key: word
        for key in ("role", "type", "attacker", "unit", "rare", "missing")
        if (word := _word(values, key, where)) is not None
    }
    _named(given.get("unit"), where)
    cost = values.get("cost", ColumnSchema.cost)
    if isinstance(cost, bool) or not isinstance(cost, int | float | str):
        raise UserError(f'cost in {where} is a number or "std", got {cost!r}')
    kind = given.get("type", ColumnSchema.type)
    if values.get("cost") == STD and kind in ("category", "boolean"):
        raise UserError(
            f"cost in {where} is the price of one edit, a number: a {kind} has no standard deviation; "
            "write cost = 1.0, or leave it out"
        )
    ends = values.get("range", [-math.inf, math.inf])
    numbers = isinstance(ends, list) and len(ends) == 2
    if not numbers or not all(isinstance(e, int | float) and not isinstance(e, bool) for e in ends):
        raise UserError(f"range in {where} is [low, high], got {ends!r}")
    return ColumnSchema(
        name,
        cost=cost,
        low=float(ends[0]),
        high=float(ends[1]),
        levels=_words(values, "levels", where),
        **given,
    )


def _known(values: Mapping[str, Any], keys: tuple[str, ...], where: str) -> None:
    for key in values:
        if key not in keys:
            raise UserError(f"{where} has an unknown key {key!r}; it takes {', '.join(keys)}")


def _table(values: Mapping[str, Any], key: str) -> dict[str, Any]:
    found = values.get(key, {})
    if not isinstance(found, dict):
        raise UserError(f"{key} is a table, [{key}], got {found!r}")
    return found


def _word(values: Mapping[str, Any], key: str, where: str) -> str | None:
    found = values.get(key)
    if found is not None and not isinstance(found, str):
        raise UserError(f"{key} in {where} is a text in quotes, got {found!r}")
    return found


def _named(unit: str | None, where: str) -> None:
    """A unit without words would leave a number in the report without any."""
    if unit is not None and not unit.strip():
        raise UserError(f"unit in {where} has no words; name one, or leave it out")


def _words(values: Mapping[str, Any], key: str, where: str) -> tuple[str, ...]:
    found = values.get(key, [])
    if not isinstance(found, list) or not all(isinstance(word, str) for word in found):
        raise UserError(f"{key} in {where} is a list of texts, got {found!r}")
    if len(set(found)) < len(found):
        raise UserError(f"{key} in {where} names one twice: {found!r}")
    return tuple(found)


def _text(value: str) -> str:
    # JSON's escapes are TOML's; a lone surrogate and DEL are written as escapes, too.
    return json.dumps(value, ensure_ascii=False).replace("\x7f", "\\u007f")


def _list(values: tuple[str, ...]) -> str:
    return f"[{', '.join(map(_text, values))}]"


def _one_line(text: str) -> str:
    return " ".join("".join(c if c.isprintable() else " " for c in text).split())
