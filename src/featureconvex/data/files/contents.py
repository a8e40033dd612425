"""The bytes of a user's files, and their names: whole or refused, never cut.

A file is never read in part. Counts of the first N bytes alone would not be what
:class:`featureconvex.Append` and its like know about: a byte put in anywhere pushes the last of the N bytes
past the end, so an insertion takes counts away, though it should only add them (n = 1), and removes one
n-gram more than the at most n - 1 that reach across its place. So a file larger than the cap is refused,
and a certificate of appended or inserted bytes ends where the file would reach the cap.
"""

import os
import stat
from collections.abc import Iterator
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from featureconvex.errors import UserError

Bytes = NDArray[np.uint8]
BLOCK = 2**22
"""Bytes read at a time."""


class FileTooLargeError(UserError):
    """A file with more bytes than a model takes."""


def shown(path: Path | str) -> str:
    r"""A path as text; bytes of it that are no UTF-8 as ``\xff``, so that it can be written anywhere."""
    return os.fsencode(path).decode("utf-8", "backslashreplace")


def file_size(path: Path, most: int | None = None) -> int:
    """How many bytes a regular file has.

    Raises:
        UserError: it cannot be read, is empty, or is something else (a pipe, a device).
        FileTooLargeError: more than ``most`` bytes.
    """
    try:
        found = path.stat()
    except OSError as error:
        raise UserError(f"cannot read {shown(path)}: {error.strerror or error}") from error
    if not stat.S_ISREG(found.st_mode):
        raise UserError(f"{shown(path)} is no regular file; take it out")
    if not found.st_size:
        raise UserError(f"{shown(path)} is empty; replace it or take it out")
    _check(path, found.st_size, most)
    return found.st_size


def blocks(path: Path, most: int | None = None, size: int = BLOCK) -> Iterator[Bytes]:
    """All bytes of a file, in blocks of at most ``size``.

    Raises:
        UserError: as :func:`file_size`, also of a file that grows or shrinks meanwhile.
    """
    expected, read = file_size(path, most), 0
    try:
        with path.open("rb") as file:
            while block := file.read(size):
                read += len(block)
                _check(path, read, most)
                yield np.frombuffer(block, dtype=np.uint8)
    except OSError as error:
        raise UserError(f"cannot read {shown(path)}: {error.strerror or error}") from error
    if read != expected:
        raise UserError(f"{shown(path)} changed while it was read; try again")


def _check(path: Path, size: int, most: int | None) -> None:
    if most is not None and size > most:
        raise FileTooLargeError(
            f"{shown(path)} has more than the {most} bytes that --most-bytes allows"
        )
