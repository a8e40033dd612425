"""A user's own inputs, read for a stored model: as :mod:`featureconvex.data.source` reads them for
training, in the units that :mod:`featureconvex.data.meaning` takes from it.
"""

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from featureconvex.data.files.listing import visible
from featureconvex.data.files.samples import file_kind
from featureconvex.data.meaning import Meaning
from featureconvex.data.source import Source, read_source
from featureconvex.errors import UserError

if TYPE_CHECKING:
    import pandas as pd


@dataclass(frozen=True, eq=False)
class Inputs:
    """Inputs as a model takes them, and where they came from.

    Attributes:
        x: (n, ...), float32 images in [0, 1] or a float64 table; NaN where a cell is missing.
        source: rows, and what was read.
        unknown: bool (n,): rows with a category that training never saw.
        kept: the columns asked for, as they are written.
        remarks: what a reader of the certificates should know.
    """

    x: NDArray[Any]
    source: Source
    unknown: NDArray[np.bool_]
    kept: "pd.DataFrame | None"
    remarks: tuple[str, ...]


def read_inputs(path: Path, meaning: Meaning, keep: tuple[str, ...] = ()) -> Inputs:
    """The inputs of a file, of a folder, or of CSV on standard input (``-``).

    Args:
        path: what to read.
        meaning: what the model was trained on.
        keep: columns of a table to carry along.

    Raises:
        UserError: the file is missing, damaged or of an unknown kind, its inputs have another shape
            or unit than those of training, or ``keep`` names no column of it.
    """
    words = [c.name for c in meaning.columns or () if c.kind == "category"]
    files = meaning.files
    if files is None and meaning.kind == "image" and _has_pictures(path):
        files = "pictures"
    source = read_source(
        path, (*keep, *words), files, meaning.shape, finite=False, form=meaning.form
    )
    origin = str(path)
    known = np.zeros(len(source.rows), dtype=bool)
    if source.frame is not None:
        kept = _kept(source.frame, keep, origin)
        found = meaning.table(source.frame, origin)
        x = meaning.numbers(found.x, origin)
        return Inputs(x, source, found.unknown, kept, found.remarks)
    if keep:
        raise UserError(f"{origin} is no table, so it has no column to keep")
    if source.samples is not None:
        if meaning.kind == "table" and meaning.files != source.samples.kind:
            raise UserError(
                f"{origin} holds {source.samples.kind}, the model was trained on "
                f"{meaning.files or 'a table'}; give inputs of that kind"
            )
        pictures = source.samples.kind == "pictures"
        return Inputs(meaning.numbers(source.samples.x, origin, pictures), source, known, None, ())
    assert source.array is not None
    return Inputs(meaning.numbers(source.array, origin), source, known, None, ())


def _has_pictures(path: Path) -> bool:
    return path.is_dir() and any(file_kind(file) == "pictures" for file in visible(path))


def _kept(frame: "pd.DataFrame", keep: tuple[str, ...], origin: str) -> "pd.DataFrame | None":
    lacking = [name for name in keep if name not in frame.columns]
    if lacking:
        listed = ", ".join(map(str, frame.columns[:10]))
        raise UserError(f"{origin} has no column {lacking[0]!r} to keep; it has {listed}")
    return frame[list(keep)] if keep else None
