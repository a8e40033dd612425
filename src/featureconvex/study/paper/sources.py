"""The committed results that a figure or table is made from."""

import hashlib
from functools import cache
from pathlib import Path
from typing import Any

from featureconvex.errors import UserError
from featureconvex.results.strict_json import load_json

FOLDER = "results"
KNOWN = "main_table.json"


@cache
def results_folder() -> Path:
    """``results/`` of the present folder, else of the source tree this code is in.

    Raises:
        UserError: there is neither.
    """
    source = Path(__file__).resolve().parents[4]
    for place in (Path.cwd(), source):
        if (place / FOLDER / KNOWN).is_file():
            return place / FOLDER
    raise UserError(
        f"study paper reads the committed results, and there is no {FOLDER}/{KNOWN} here; run it in a "
        "clone of the project"
    )


def source(name: str) -> Any | None:
    """A result by its name; None where it was not measured."""
    path = results_folder() / f"{name}.json"
    return load_json(path) if path.is_file() else None


def digest(name: str) -> str:
    """Of the file's content, so that a folder made from other results is refused."""
    path = results_folder() / f"{name}.json"
    return hashlib.sha256(path.read_bytes()).hexdigest()[:16] if path.is_file() else "missing"
