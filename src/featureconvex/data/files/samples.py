"""Files that hold one example each: pictures, arrays, or anything as byte counts."""

from collections import Counter
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

from featureconvex.data.files.byte_counts import ByteCounts
from featureconvex.data.files.pictures import SUFFIXES, read_header, read_pixels, stack
from featureconvex.data.files.representation import Representation
from featureconvex.errors import UserError

FileKind = Literal["pictures", ".npy files", "other files"]


@dataclass(frozen=True)
class Samples:
    """Examples in the order of their files.

    Attributes:
        x: images (n, c, h, w) as uint8 or float32 in [0, 1], or a float64 table (n, d).
        kind: of the files.
        names: the features of a table, None for images.
        note: how the files were read, where that is not plain to see.
    """

    x: NDArray[Any]
    kind: FileKind
    names: list[str] | None = None
    note: str = ""


def file_kind(path: Path) -> FileKind:
    """What kind of example a file is, by its name."""
    suffix = path.suffix.lower()
    if suffix in SUFFIXES:
        return "pictures"
    return ".npy files" if suffix == ".npy" else "other files"


def read_samples(
    paths: list[Path],
    kind: FileKind | None = None,
    shape: tuple[int, ...] | None = None,
    finite: bool = True,
    counts: Representation | None = None,
) -> Samples:
    """Read files of one kind: all pictures, all ``.npy``, or all something else (byte counts).

    Args:
        paths: the files, at least one.
        kind: how to read them; None goes by their names, which must agree.
        shape: (c, h, w) that pictures must have, where it is known.
        finite: refuse ``.npy`` files with NaN or infinity in them.
        counts: what is counted in files that are neither; None: their bytes. Named, all files are counted.

    Raises:
        UserError: the kinds are mixed, the examples differ in size, or a file is damaged.
    """
    if counts is not None:
        kind = "other files"
    if kind is None:
        kinds = Counter(file_kind(path) for path in paths)
        if len(kinds) > 1:
            found = " and ".join(f"{count} {name}" for name, count in kinds.most_common())
            rare = kinds.most_common()[-1][0]
            odd = next(path for path in paths if file_kind(path) == rare)
            raise UserError(f"the folder mixes {found} (such as {odd}); keep one kind")
        kind = file_kind(paths[0])
    if kind == "pictures":
        return read_pictures(paths, shape)
    if kind == ".npy files":
        return read_arrays(paths, finite)
    return read_byte_counts(paths, counts or ByteCounts())


def read_pictures(paths: list[Path], shape: tuple[int, ...] | None = None) -> Samples:
    """Pictures of one size: grey if all are grey, else RGB, and then the note says how many were grey.

    Args:
        paths: the files.
        shape: (c, h, w) of the pictures a model was trained on; grey ones are then read as colour
            if those were.

    Raises:
        UserError: two sizes, another size or colour than ``shape``, or a file that cannot be decoded.
    """
    headers = [read_header(path) for path in paths]
    first = headers[0]
    n_grey = sum(header.grey for header in headers)
    grey = n_grey == len(headers) if shape is None else shape[0] == 1
    size = (first.height, first.width) if shape is None else shape[1:]
    for path, header in zip(paths, headers, strict=True):
        if shape is None and (header.height, header.width) != size:
            raise UserError(
                f"{path} is {header.width} x {header.height} pixels, {paths[0]} is {first.width} x "
                f"{first.height}; bring all pictures to one size first"
            )
        if (header.height, header.width) != size:
            raise UserError(
                f"{path} is {header.height} x {header.width} pixels, the model was trained on "
                f"{size[0]} x {size[1]}; resize the pictures"
            )
        if grey and not header.grey:
            raise UserError(
                f"{path} is in colour, the model was trained on grey pictures; convert it the way "
                "the training pictures were"
            )
    note = ""
    if shape is None and n_grey and not grey:
        note = (
            f"{n_grey} of the {len(headers)} pictures are grey, the others in colour: all were read as "
            "colour, so the task is one on colour images."
        )
    x = stack(paths, lambda path: read_pixels(path, grey), (1 if grey else 3, size[0], size[1]))
    if shape is None:
        check_white(x, f"the pictures (such as {paths[0]})")
    return Samples(x, "pictures", note=note)


def read_arrays(paths: list[Path], finite: bool = True) -> Samples:
    """Arrays of one shape: (d,) makes a table; (h, w) or (c, h, w) an image.

    Image arrays are uint8, or floats in [0, 1] (kept as float32). With ``finite`` a NaN or an infinity
    is refused.

    Raises:
        UserError: two shapes or types, a shape or range without a meaning, or a damaged file.
    """
    arrays = [_read_array(path, finite) for path in paths]
    first = arrays[0]
    for path, array in zip(paths, arrays, strict=True):
        if (array.shape, array.dtype) != (first.shape, first.dtype):
            raise UserError(
                f"{path} has shape {array.shape} and type {array.dtype}, {paths[0]} has "
                f"{first.shape} and {first.dtype}; all examples need the same"
            )
    x = np.stack(arrays)
    if first.ndim == 1:
        names = [f"x{index}" for index in range(x.shape[1])]
        return Samples(x.astype(np.float64), ".npy files", names)
    if first.ndim == 2:
        x = x[:, None]
    if x.ndim != 4 or x.shape[1] > 4:
        raise UserError(
            f"{paths[0]} has shape {first.shape}; expected (features,), (height, width) or "
            "(channels, height, width) with at most 4 channels"
        )
    if x.dtype == np.uint8:
        check_white(x, f"the image arrays (such as {paths[0]})")
        return Samples(x, ".npy files")
    if x.dtype.kind != "f" or (x < 0).any() or (x > 1).any():
        raise UserError(
            f"the image arrays (such as {paths[0]}) are {x.dtype} from {x.min():g} to {x.max():g}; store "
            "them as uint8, or as floats in [0, 1]"
        )
    return Samples(x.astype(np.float32), ".npy files")


def check_white(x: NDArray[np.uint8], origin: str) -> None:
    """Refuse uint8 images whose white seems to be 1: divided by 255 they would all be black.

    Args:
        x: images in any shape; all of a file or folder, since a dark one alone says nothing.
        origin: where they come from, for messages.

    Raises:
        UserError: nothing but 0 and 1, and some 1.
    """
    if x.size and x.max() == 1:
        raise UserError(
            f"{origin}: uint8 values of 0 and 1 only, where 255 is white; if they are a mask, multiply "
            "them by 255, or store them as floats in [0, 1]"
        )


def read_byte_counts(paths: list[Path], counts: Representation) -> Samples:
    """What each file counts: float64 (n, buckets).

    Raises:
        UserError: a file cannot be read, is empty, or is larger than the cap.
    """
    x = np.array([counts.of_file(path) for path in paths])
    note = f"Every file was read as its {counts.words}."
    return Samples(x, "other files", counts.features, note)


def _read_array(path: Path, finite: bool) -> NDArray[Any]:
    try:
        array = np.load(path, allow_pickle=False)
    except (OSError, ValueError, EOFError) as error:
        raise UserError(
            f"{path} is not a whole .npy file of numbers ({error}); replace it or take it out"
        ) from error
    if not isinstance(array, np.ndarray) or array.dtype.kind not in "buif" or array.ndim == 0:
        raise UserError(f"{path} does not hold an array of real numbers; replace it or take it out")
    if finite and not np.isfinite(array).all():
        raise UserError(f"{path} holds NaN or infinity; replace it or take it out")
    return array
