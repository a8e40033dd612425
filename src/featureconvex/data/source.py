"""One way to read an input, for training and for certifying: a table, an array, or example files."""

from collections.abc import Collection
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from featureconvex.data.files.contents import shown
from featureconvex.data.files.listing import example_files
from featureconvex.data.files.representation import Representation
from featureconvex.data.files.samples import FileKind, Samples, file_kind, read_samples
from featureconvex.data.schema.form import TableForm
from featureconvex.data.tables.frame import is_table, read_frame
from featureconvex.errors import UserError

if TYPE_CHECKING:
    import pandas as pd

ARRAY_SUFFIXES = (".npy", ".npz")
LARGE = 2**24
"""Bytes of an array that is read in pieces."""


@dataclass(frozen=True, eq=False)
class Source:
    """What a path holds; exactly one of ``frame``, ``array`` and ``samples`` is there.

    Attributes:
        rows: (n,) where each row comes from: int64 numbers from 0, or the files' names (below the
            folder that was named).
        frame: of a table.
        array: (n, ...) of a ``.npy`` or ``.npz`` file, as stored.
        samples: of files with one example each.
        sizes: (n,) bytes of each file of a folder.
    """

    rows: NDArray[Any]
    frame: "pd.DataFrame | None" = None
    array: NDArray[Any] | None = None
    samples: Samples | None = None
    sizes: NDArray[np.int64] | None = None


def read_source(
    path: Path,
    text: Collection[str] = (),
    files: FileKind | None = None,
    shape: tuple[int, ...] | None = None,
    finite: bool = True,
    form: TableForm | None = None,
    counts: Representation | None = None,
) -> Source:
    """Read a table (.csv, .csv.gz, .parquet, .pq, or - for CSV on standard input), an array (.npy or
    .npz), one example file, or a folder of example files.

    Args:
        path: file, folder, or ``-``.
        text: columns of a table whose cells stay as they are written.
        files: the kind of example files a model was trained on, where it is known: only those of a
            folder are read.
        shape: of one input of that model, where it is known.
        finite: refuse example files with NaN or infinity in them.
        form: how a CSV file is written, where that is known.
        counts: what is counted in the files of a folder; None goes by their names.

    Raises:
        UserError: the path is missing, of an unknown kind, or damaged.
    """
    if path.is_dir():
        found = example_files(path, lambda file: files is None or file_kind(file) == files)
        fits = [file for file in found if not _is_too_large(file, counts)]
        if not fits:
            raise UserError(f"{shown(path)}: every file is larger than --most-bytes; raise it")
        rows = [shown(file.relative_to(path)) for file in fits]
        source = _files(fits, rows, files, shape, finite, counts)
        source = replace(source, sizes=np.array([f.stat().st_size for f in fits], dtype=np.int64))
        if len(fits) == len(found) or source.samples is None or counts is None:
            return source
        odd = next(file for file in found if _is_too_large(file, counts))
        note = (
            f"{source.samples.note} {len(found) - len(fits)} of {len(found)} files have more than "
            f"{counts.most} bytes and were left out (such as {shown(odd.relative_to(path))})."
        )
        return replace(source, samples=replace(source.samples, note=note))
    if is_table(path):
        if path != Path("-") and not path.is_file():
            raise UserError(f"there is no file {path}")
        frame = read_frame(path, text, form)
        return Source(np.arange(len(frame), dtype=np.int64), frame=frame)
    suffix = path.suffix.lower()
    if not path.is_file():
        raise UserError(f"there is no file or folder {path}; check the path")
    if suffix in ARRAY_SUFFIXES:
        array = read_array(path)
        if files == ".npy files" and shape is not None and is_one(array.shape, shape):
            return _files([path], [path.name], files, shape, finite)
        return Source(np.arange(len(array), dtype=np.int64), array=array)
    if file_kind(path) == "pictures" or files == "other files":
        return _files([path], [path.name], file_kind(path), shape, finite)
    raise UserError(
        f"{path}: expected a table (.csv, .csv.gz, .parquet, .pq, or - for standard input), an array "
        "(.npy, .npz), an image, or a folder of files as in training"
    )


def _is_too_large(path: Path, counts: Representation | None) -> bool:
    most = None if counts is None else counts.most
    return most is not None and path.is_file() and path.stat().st_size > most


def _files(
    paths: list[Path],
    rows: list[str],
    kind: FileKind | None,
    shape: tuple[int, ...] | None,
    finite: bool,
    counts: Representation | None = None,
) -> Source:
    wanted = shape if shape is not None and len(shape) == 3 else None
    return Source(
        np.array(rows, dtype=np.str_), samples=read_samples(paths, kind, wanted, finite, counts)
    )


def is_one(got: tuple[int, ...], shape: tuple[int, ...]) -> bool:
    """Whether an array is one input of this shape (a grey image may lack its channel axis)."""
    return got == shape or (len(shape) == 3 and shape[0] == 1 and got == shape[1:])


def read_array(path: Path) -> NDArray[Any]:
    """The array (n, ...) of a ``.npy`` file, or the only one of a ``.npz`` file.

    Raises:
        UserError: damaged, several arrays, or a single number.
    """
    try:
        # Mapped where it may be larger than the memory.
        mapped = path.suffix.lower() == ".npy" and path.stat().st_size > LARGE
        content = np.load(path, mmap_mode="r" if mapped else None, allow_pickle=False)
        x = content if isinstance(content, np.ndarray) else _only_array(content, path)
    except UserError:
        raise
    except (OSError, ValueError, EOFError) as error:
        raise UserError(f"{path} cannot be read as an array: {error}") from error
    if x.ndim == 0:
        raise UserError(f"{path} holds a single number; save one row per input, (n, ...)")
    return x


def _only_array(archive: Any, path: Path) -> NDArray[Any]:
    with archive:
        if len(archive.files) != 1:
            raise UserError(f"{path} holds {len(archive.files)} arrays; save exactly one")
        return np.asarray(archive[archive.files[0]])
