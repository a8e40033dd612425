"""Files of this machine, in families by kind, drawn as grey pictures as Malimg draws malware."""

import os
import sysconfig
from collections.abc import Iterator
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from featureconvex.data.named_tasks.malimg import resize
from featureconvex.errors import UserError
from featureconvex.study.cascade.families import Families

SUFFIXES = {
    ".py": "Python source",
    ".pyc": "Python bytecode",
    ".so": "shared object",
    ".a": "static archive",
    ".h": "C header",
    ".gz": "gzip",
    ".mo": "message catalogue",
    ".png": "PNG picture",
    ".json": "JSON",
    ".xml": "XML",
    ".js": "JavaScript",
    ".bc": "LLVM bitcode",
    ".jar": "Java archive",
    ".whl": "Python wheel",
    ".pm": "Perl module",
    ".html": "HTML",
}
EXECUTABLE, ELF = "executable", b"\x7fELF"
CLEAN = "Python source"
"""Stands in for what nobody gains from faking, as one family of Malimg does."""
ROOTS = ("/usr/bin", "/usr/sbin", "/usr/lib", "/usr/share", "/usr/include")
SMALLEST, LARGEST = 1024, 1024 * 1024
FEWEST = 20
"""A family of fewer files is left out."""
WIDTHS = ((10, 32), (30, 64), (60, 128), (100, 256), (200, 384), (500, 512), (1000, 768))
"""Up to so many kilobytes, so many bytes in a row of the picture (Nataraj et al. 2011)."""
SIDE = 64


def collected(most: int, seed: int, everywhere: bool = True) -> Families:
    """At most ``most`` files of every family, chosen by ``seed``.

    Args:
        most: of each family.
        seed: of the choice.
        everywhere: all of ``ROOTS`` and the running Python; else the latter alone.

    Raises:
        UserError: there are fewer than two families, or none that stands in for clean.
    """
    python = [sysconfig.get_path(name) for name in ("stdlib", "platlib")]
    roots = list(dict.fromkeys([*(ROOTS if everywhere else ()), *python]))
    kinds: dict[str, list[Path]] = {}
    for path in _files(roots):
        kind = kind_of(path)
        if kind is not None:
            kinds.setdefault(kind, []).append(path)
    kinds = {kind: paths for kind, paths in sorted(kinds.items()) if len(paths) >= FEWEST}
    if CLEAN not in kinds or len(kinds) < 3:
        raise UserError(
            f"found {len(kinds)} families of {FEWEST} files ({', '.join(kinds) or 'none'}); the study "
            f"needs {CLEAN} and two others, as a Linux machine has them below {', '.join(ROOTS)}"
        )
    random = np.random.default_rng(seed)
    images, family = [], []
    for kind, paths in kinds.items():
        for index in random.permutation(len(paths))[:most]:
            content = np.fromfile(paths[index], dtype=np.uint8)
            images.append(picture(content))
            family.append(kind)
    return Families(np.stack(images), np.array(family), CLEAN)


def kind_of(path: Path) -> str | None:
    """The family of a file by its suffix; of one without, whether it is an executable."""
    if path.suffix:
        return SUFFIXES.get(path.suffix)
    try:
        with path.open("rb") as file:
            return EXECUTABLE if file.read(4) == ELF else None
    except OSError:
        return None


def picture(content: NDArray[np.uint8]) -> NDArray[np.uint8]:
    """The bytes row by row as a grey picture, filled up with 0 and scaled to (1, ``SIDE``, ``SIDE``).

    >>> picture(np.arange(256, dtype=np.uint8)).shape
    (1, 64, 64)
    """
    kilobytes = len(content) / 1024
    width = next((width for most, width in WIDTHS if kilobytes < most), 1024)
    rows = -(-len(content) // width)
    filled = np.zeros(rows * width, dtype=np.uint8)
    filled[: len(content)] = content
    return resize(filled.reshape(1, rows, width), SIDE)


def _files(roots: list[str]) -> Iterator[Path]:
    """Regular files of a fitting size, in the order of their names; no link is followed."""
    seen = set()
    for root in roots:
        for folder, names, files in os.walk(root):
            names.sort()
            if folder in seen:
                names.clear()
                continue
            seen.add(folder)
            for name in sorted(files):
                path = Path(folder, name)
                if path.suffix and path.suffix not in SUFFIXES:
                    continue
                try:
                    fits = not path.is_symlink() and SMALLEST <= path.stat().st_size <= LARGEST
                except OSError:
                    continue
                if fits:
                    yield path
