"""A piece of a user's own inputs as numbers, in the units that :mod:`featureconvex.data.meaning` takes.

What cannot be read costs its own row only.
"""

from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from featureconvex.data.files.contents import FileTooLargeError, shown
from featureconvex.data.files.samples import read_samples
from featureconvex.data.inputs.pieces import Piece, file_kind_of
from featureconvex.data.meaning import Meaning
from featureconvex.errors import UserError
from featureconvex.scalars import listed

if TYPE_CHECKING:
    import pandas as pd


@dataclass(frozen=True, eq=False)
class Inputs:
    """Inputs as a model takes them.

    Attributes:
        x: (n, ...), float32 images in [0, 1] or a float64 table; NaN where a cell is missing, and in
            rows that could not be read.
        unknown: bool (n,): rows with a category that training never saw.
        unreadable: bool (n,): rows that could not be read.
        too_large: bool (n,): files above the model's cap, which are unreadable, too.
        files: the names of example files, or None.
        kept: the columns asked for, as they are written.
        remarks: what a reader of the certificates should know.
        error: why the first of the unreadable rows is.
    """

    x: NDArray[Any]
    unknown: NDArray[np.bool_]
    unreadable: NDArray[np.bool_]
    files: list[str] | None
    kept: "pd.DataFrame | None"
    remarks: tuple[str, ...]
    error: UserError | None
    too_large: NDArray[np.bool_] | None = None


def read_piece(piece: Piece, meaning: Meaning, keep: tuple[str, ...] = ()) -> Inputs:
    """The rows of a piece.

    Args:
        piece: what to read.
        meaning: what the model was trained on.
        keep: columns of a table to carry along.

    Raises:
        UserError: no row of it can be read: it is damaged, its inputs have another shape or unit than
            those of training, or ``keep`` names no column of it.
    """
    if piece.block is not None or piece.frame is not None:
        return _table(piece, meaning, keep)
    if keep:
        raise UserError(f"{piece.origin} is no table, so it has no column to keep")
    if piece.array is not None:
        return _array(piece, piece.array, meaning)
    return _files(piece, meaning)


def _table(piece: Piece, meaning: Meaning, keep: tuple[str, ...]) -> Inputs:
    origin, frame = str(piece.origin), piece.frame
    error = None
    if piece.block is None:
        assert frame is not None
        good = np.ones(len(frame), dtype=bool)
    else:
        words = [c.name for c in meaning.columns or () if c.kind == "category"]
        try:
            frame, good = piece.block.parse((*keep, *words))
        except (UserError, ValueError) as problem:
            raise UserError(
                f"cannot read {origin} as a table: {' '.join(str(problem).split())}; correct or replace it"
            ) from problem
        if not good.all():
            error = UserError(
                f"{origin}: a row has more or fewer cells than the header, or bytes that are no text in "
                "its encoding; correct it"
            )
    lacking = [name for name in keep if name not in frame.columns]
    if lacking:
        raise UserError(
            f"{origin} has no column {lacking[0]!r} to keep; it has {listed(frame.columns)}"
        )
    found = meaning.table(frame, origin, strict=False)
    x = np.full((len(good), found.x.shape[1]), np.nan)
    x[good] = meaning.numbers(found.x, origin)
    unknown, unreadable = np.zeros(len(good), dtype=bool), ~good
    unknown[good], unreadable[good] = found.unknown, found.unreadable
    kept = None
    if keep:
        places = np.flatnonzero(good)
        kept = frame[list(keep)].set_axis(places, axis=0).reindex(range(len(good)))
    error = error or found.error
    return _checked(piece, Inputs(x, unknown, unreadable, None, kept, found.remarks, error))


def _array(piece: Piece, array: NDArray[Any], meaning: Meaning) -> Inputs:
    origin = f"{piece.origin}, rows from {piece.start} on" if piece.start else str(piece.origin)
    unreadable, reason = np.zeros(len(array), dtype=bool), None
    try:
        x = meaning.numbers(array, origin)
    except UserError as error:
        try:
            x = np.full(array.shape, np.nan, dtype=meaning.numbers(array[:0], origin).dtype)
        except UserError:
            # What is wrong without any row is wrong with all of them.
            raise error from None
        reason = error

        def read(rows: slice) -> None:
            x[rows] = meaning.numbers(array[rows], origin)

        _halved(read, slice(0, len(array)), unreadable)
    found = Inputs(x, np.zeros_like(unreadable), unreadable, None, None, (), reason)
    return _checked(piece, found)


def _halved(read: Callable[[slice], None], rows: slice, unreadable: NDArray[np.bool_]) -> None:
    """Read rows, and mark those that cannot be."""
    try:
        read(rows)
    except UserError:
        if rows.stop - rows.start == 1:
            unreadable[rows] = True
            return
        middle = (rows.start + rows.stop) // 2
        _halved(read, slice(rows.start, middle), unreadable)
        _halved(read, slice(middle, rows.stop), unreadable)


def _files(piece: Piece, meaning: Meaning) -> Inputs:
    assert piece.folder is not None
    files, origin = piece.files, str(piece.origin)
    kind = file_kind_of(piece.origin, meaning)
    wanted = meaning.shape if meaning.shape is not None and len(meaning.shape) == 3 else None

    def read(some: tuple[int, ...]) -> NDArray[Any]:
        found = read_samples(
            [files[place] for place in some], kind, wanted, finite=False, counts=meaning.counts
        )
        if meaning.kind == "table" and meaning.files != found.kind:
            raise UserError(
                f"{origin} holds {found.kind}, the model was trained on "
                f"{meaning.files or 'a table'}; give inputs of that kind"
            )
        return meaning.numbers(found.x, origin, found.kind == "pictures")

    unreadable, too_large = np.zeros((2, len(files)), dtype=bool)
    error: UserError | None = None
    try:
        x = read(tuple(range(len(files))))
    except UserError:
        rows: list[NDArray[Any] | None] = []
        for place in range(len(files)):
            try:
                rows.append(read((place,)))
            except UserError as problem:
                rows.append(None)
                unreadable[place], error = True, error or problem
                too_large[place] = isinstance(problem, FileTooLargeError)
        read_ones = [row for row in rows if row is not None]
        if not read_ones:
            assert error is not None
            if (piece.first and not too_large.any()) or meaning.shape is None:
                raise error from None
            read_ones = [np.empty((1, *meaning.shape), dtype=np.float32)]
        gap = np.full_like(read_ones[0], np.nan)
        x = np.concatenate([gap if row is None else row for row in rows])
    names = [shown(file.relative_to(piece.folder)) for file in files]
    found = Inputs(x, np.zeros_like(unreadable), unreadable, names, None, (), error, too_large)
    return _checked(piece, found)


def _checked(piece: Piece, inputs: Inputs) -> Inputs:
    """Refuse an input that begins with nothing that can be read: it is of another kind."""
    if (
        piece.first
        and len(inputs.unreadable)
        and inputs.unreadable.all()
        and (inputs.too_large is None or not inputs.too_large.any())
        and inputs.error is not None
    ):
        raise inputs.error
    return inputs
