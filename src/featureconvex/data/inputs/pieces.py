"""Inputs in pieces of bounded size, which do not depend on how they are worked on."""

import math
from collections.abc import Iterator
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

import numpy as np
from numpy.typing import NDArray

from featureconvex.data.files.contents import shown
from featureconvex.data.files.listing import example_files, visible
from featureconvex.data.files.samples import FileKind, file_kind
from featureconvex.data.meaning import Meaning
from featureconvex.data.source import ARRAY_SUFFIXES, is_one, read_array
from featureconvex.data.tables.frame import STANDARD_INPUT, is_table
from featureconvex.data.tables.stream import CsvBlock, csv_blocks, is_parquet, parquet_batches
from featureconvex.errors import UserError

if TYPE_CHECKING:
    import pandas as pd

FILES = 64
"""Example files per piece, at most."""
NUMBERS = 2**22
"""Numbers of an array per piece, about."""
Kind = Literal["table", "array", "files"]


@dataclass(frozen=True)
class Piece:
    """Some rows of one input; exactly one of ``block``, ``frame``, ``array`` and ``files`` is there.

    Attributes:
        origin: the input.
        size: a share of what :func:`extent` says.
        block: of a CSV file.
        frame: of a Parquet file.
        array: rows of an array, from ``start`` on.
        files: example files, below ``folder``.
        folder: their names are written without it.
        first: the input begins with it.
        number: among the pieces of all inputs.
    """

    origin: Path
    size: int
    block: CsvBlock | None = None
    frame: "pd.DataFrame | None" = None
    array: NDArray[Any] | None = None
    start: int = 0
    files: tuple[Path, ...] = ()
    folder: Path | None = None
    first: bool = False
    number: int = 0


def expanded(path: Path, meaning: Meaning) -> list[Path]:
    """The input itself, or the tables of a folder of tables."""
    if path.is_dir() and meaning.files is None and meaning.kind != "image":
        found = [file for file in visible(path) if file.is_file() and is_table(file)]
        if found:
            return found
    return [path]


def kind_of_input(path: Path, meaning: Meaning) -> Kind:
    """How an input is read.

    Raises:
        UserError: it is missing, or of no known kind.
    """
    if path.is_dir():
        return "files"
    if path != STANDARD_INPUT and not path.is_file():
        raise UserError(f"there is no file or folder {path}; check the path")
    if is_table(path):
        return "table"
    if path.suffix.lower() in ARRAY_SUFFIXES:
        one = meaning.files == ".npy files" and meaning.shape is not None
        if one and is_one(read_array(path).shape, meaning.shape or ()):
            return "files"
        return "array"
    if file_kind(path) == "pictures" or meaning.files == "other files":
        return "files"
    raise UserError(
        f"{path}: expected a table (.csv, .csv.gz, .parquet, .pq, or - for standard input), an array "
        "(.npy, .npz), an image, or a folder of files as in training"
    )


def pieces(path: Path, meaning: Meaning) -> Iterator[Piece]:
    """The pieces of an input, in its order.

    Raises:
        UserError: it cannot be read from here on.
    """
    for number, piece in enumerate(_pieces(path, meaning)):
        yield replace(piece, first=number == 0)


def _pieces(path: Path, meaning: Meaning) -> Iterator[Piece]:
    kind = kind_of_input(path, meaning)
    if kind == "files":
        files, folder = _files(path, meaning), path if path.is_dir() else path.parent
        for start in range(0, len(files), FILES):
            some = tuple(files[start : start + FILES])
            yield Piece(path, len(some), files=some, folder=folder)
    elif kind == "array":
        array = read_array(path)
        rows = max(1, NUMBERS // max(1, math.prod(array.shape[1:])))
        for start in range(0, max(1, len(array)), rows):
            part = np.array(array[start : start + rows])
            yield Piece(path, len(part), array=part, start=start)
    elif is_parquet(path):
        for frame, count in parquet_batches(path):
            yield Piece(path, count, frame=frame)
    else:
        for block, size in csv_blocks(path, meaning.form):
            yield Piece(path, size, block=block)


def names_of(path: Path, meaning: Meaning) -> list[str]:
    """What rows call the example files of an input; none of a table or array."""
    if path == STANDARD_INPUT or not path.exists() or kind_of_input(path, meaning) != "files":
        return []
    folder = path if path.is_dir() else path.parent
    return [shown(file.relative_to(folder)) for file in _files(path, meaning)]


def extent(path: Path, meaning: Meaning) -> int | None:
    """What the sizes of all pieces add up to: files, rows or bytes; None where that is not known."""
    if path == STANDARD_INPUT:
        return None
    try:
        kind = kind_of_input(path, meaning)
        if kind == "files":
            return len(_files(path, meaning))
        if kind == "array":
            return len(read_array(path))
        if is_parquet(path):
            import pyarrow.parquet as pq

            return int(pq.read_metadata(path).num_rows)
        return path.stat().st_size
    except (OSError, ValueError):
        return None


def file_kind_of(path: Path, meaning: Meaning) -> FileKind | None:
    """How example files are read; None goes by their names."""
    if meaning.files is None and meaning.kind == "image":
        pictures = path.is_dir() and any(file_kind(file) == "pictures" for file in visible(path))
        return "pictures" if pictures else None
    return meaning.files


def _files(path: Path, meaning: Meaning) -> list[Path]:
    if not path.is_dir():
        return [path]
    kind = file_kind_of(path, meaning)
    every = kind is None or meaning.counts is not None
    return example_files(path, lambda file: every or file_kind(file) == kind)
