"""Where data lives on this machine."""

import os
from dataclasses import dataclass
from pathlib import Path

from featureconvex.errors import UserError

VARIABLE = "FEATURECONVEX_DATA"
"""The environment variable that names the data folder."""


@dataclass(frozen=True)
class Location:
    """Whether a task's data is here.

    Attributes:
        found: True when every file needed is present (not yet read).
        where: the place it was found, or the place it was looked for.
        how: how to get it; empty when found.
    """

    found: bool
    where: str
    how: str = ""


def resolve_data_dir(data_dir: str | os.PathLike[str] | None = None) -> Path:
    """The folder that holds the data sets.

    In order: the argument, the environment variable ``FEATURECONVEX_DATA``, a cache folder of the
    user. The folder need not exist yet.

    Raises:
        UserError: the path exists and is not a folder.
    """
    if data_dir is None:
        data_dir = os.environ.get(VARIABLE) or None
    path = _cache() if data_dir is None else Path(data_dir).expanduser()
    if path.exists() and not path.is_dir():
        raise UserError(f"the data folder {path} is a file; name the folder that holds the data")
    return path


def first_existing(candidates: list[Path]) -> Path | None:
    """The first path that exists, or None."""
    return next((path for path in candidates if path.exists()), None)


def _cache() -> Path:
    import pooch

    return Path(pooch.os_cache("featureconvex"))
