"""Writing files so that a reader sees the old content or the new, never half of it."""

import os
from pathlib import Path


def write_bytes(path: Path, content: bytes) -> None:
    """Replace ``path`` in one step; its folder must exist."""
    scratch = path.with_name(f".{path.name}.{os.getpid()}.partial")
    try:
        with scratch.open("wb") as file:
            file.write(content)
            file.flush()
            os.fsync(file.fileno())
        scratch.replace(path)
    finally:
        scratch.unlink(missing_ok=True)


def write_text(path: Path, content: str) -> None:
    """Replace ``path`` in one step, in UTF-8."""
    write_bytes(path, content.encode("utf-8"))
