"""Writing files so that a reader sees the old content or the new, never half of it."""

import os
import tempfile
import uuid
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from featureconvex.errors import UserError


@contextmanager
def replacing(path: Path) -> Iterator[Path]:
    """Yield a scratch path beside ``path``; on success it takes the place of ``path`` in one step.

    If the body raises, ``path`` is left as it was and the scratch file is removed. The parent folder
    is created where needed, and the suffix is kept, for writers that look at it.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    scratch = path.with_name(f".{path.stem}.{uuid.uuid4().hex}{path.suffix}")
    try:
        yield scratch
        with scratch.open("rb") as file:
            os.fsync(file.fileno())
        scratch.replace(path)
    finally:
        scratch.unlink(missing_ok=True)


def write_bytes(path: Path, content: bytes) -> None:
    """Replace ``path`` in one step."""
    with replacing(path) as scratch:
        scratch.write_bytes(content)


def write_text(path: Path, content: str) -> None:
    """Replace ``path`` in one step, in UTF-8."""
    write_bytes(path, content.encode("utf-8"))


def writable_folder(path: Path) -> Path:
    """Find out now, rather than after training, that nothing can be written below ``path``.

    A folder that is not there yet is made by the first file in it: a command that is refused leaves none.
    """
    try:
        nearest = next(folder for folder in (path, *path.parents) if folder.exists())
        with tempfile.TemporaryFile(dir=nearest):
            pass
    except OSError as error:
        raise UserError(
            f"cannot write to {path}: {error.strerror or error}; choose another --out"
        ) from error
    return path
