"""JSON without the literals NaN and Infinity, which other languages refuse."""

import json
import math
import re
from pathlib import Path
from typing import Any

import numpy as np

from featureconvex.errors import UserError

Number = float | str | None
"""A number as files hold it: infinity is the string ``"inf"``, what does not exist is null."""

# An opening bracket alone on its line's end, then lines of numbers, literals or quoted words, then the
# closing bracket: never text inside a string, because a string holds no line break. Every line can match
# in one way only: with two, a list that does not end as hoped takes exponential time.
_FLAT_LIST = re.compile(r"\[\n((?:[^\[\]{}\n]+\n)+) *\]")


def jsonable(value: Any) -> Any:
    """Plain JSON values: ``inf`` becomes the string ``"inf"``, NaN becomes null, arrays become lists.

    >>> jsonable({"a": np.array([1.0, np.inf]), "b": np.float64("nan"), "c": (np.int64(2),)})
    {'a': [1.0, 'inf'], 'b': None, 'c': [2]}
    """
    if isinstance(value, dict):
        return {str(key): jsonable(item) for key, item in value.items()}
    if isinstance(value, (list, tuple)):
        return [jsonable(item) for item in value]
    if isinstance(value, np.ndarray):
        return jsonable(value.tolist())
    if isinstance(value, np.generic):
        return jsonable(value.item())
    if isinstance(value, float) and not math.isfinite(value):
        return None if math.isnan(value) else ("inf" if value > 0 else "-inf")
    return value


def dump_json(value: Any) -> str:
    """Indented JSON text that any strict parser reads; a list of plain values takes one line.

    >>> print(dump_json({"radius": [0.0, float("inf")]}), end="")
    {
      "radius": [0.0, "inf"]
    }
    """
    text = json.dumps(jsonable(value), indent=2, allow_nan=False)
    return _FLAT_LIST.sub(_on_one_line, text) + "\n"


def load_json(path: Path) -> Any:
    """Read a JSON file.

    Raises:
        UserError: it is missing, damaged, or holds NaN or Infinity.
    """
    if not path.is_file():
        raise UserError(
            f"{path} is missing; `featureconvex run TASK --out {path.parent}` writes it"
        )
    try:
        return json.loads(path.read_text(encoding="utf-8"), parse_constant=_refuse)
    except (ValueError, OSError) as error:
        raise UserError(f"{path} cannot be read as JSON: {error}") from error


def number(value: Number) -> float | None:
    """A number of a file.

    >>> number("inf"), number(2), number(None)
    (inf, 2.0, None)
    """
    return None if value is None else float(value)


def _on_one_line(match: re.Match[str]) -> str:
    return "[" + " ".join(line.strip() for line in match[1].splitlines()) + "]"


def _refuse(literal: str) -> None:
    raise ValueError(f"{literal} is not JSON; infinity is the string 'inf'")
