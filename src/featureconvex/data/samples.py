"""Files that hold one example each: pictures, arrays, or anything as byte counts."""

from collections import Counter
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from featureconvex.data.pictures import SUFFIXES, read_header, read_pixels, stack
from featureconvex.errors import UserError


@dataclass(frozen=True)
class Samples:
    """Examples in the order of their files.

    Attributes:
        x: images (n, c, h, w) as uint8 or float32 in [0, 1], or a float64 table (n, d).
        names: the features of a table, None for images.
        note: how the files were read, where that is not plain to see.
    """

    x: NDArray[Any]
    names: list[str] | None = None
    note: str = ""


def read_samples(paths: list[Path]) -> Samples:
    """Read files of one kind: all pictures, all ``.npy``, or all something else (byte counts).

    Raises:
        UserError: the kinds are mixed, the examples differ in size, or a file is damaged.
    """
    kinds = Counter(_kind(path) for path in paths)
    if len(kinds) > 1:
        found = " and ".join(f"{count} {kind}" for kind, count in kinds.most_common())
        rare = kinds.most_common()[-1][0]
        odd = next(path for path in paths if _kind(path) == rare)
        raise UserError(f"the folder mixes {found} (such as {odd}); keep one kind")
    readers = {"pictures": read_pictures, ".npy files": read_arrays}
    return readers.get(_kind(paths[0]), read_byte_counts)(paths)


def read_pictures(paths: list[Path]) -> Samples:
    """Pictures of one size: grey if all are grey, else RGB, and then the note says how many were grey.

    Raises:
        UserError: two sizes, or a file that cannot be decoded.
    """
    headers = [read_header(path) for path in paths]
    first = headers[0]
    for path, header in zip(paths, headers, strict=True):
        if (header.height, header.width) != (first.height, first.width):
            raise UserError(
                f"{path} is {header.width} x {header.height} pixels, {paths[0]} is {first.width} x "
                f"{first.height}; bring all pictures to one size first"
            )
    n_grey = sum(header.grey for header in headers)
    grey = n_grey == len(headers)
    shape = (1 if grey else 3, first.height, first.width)
    note = ""
    if n_grey and not grey:
        note = (
            f"{n_grey} of the {len(headers)} pictures are grey, the others in colour: all were read as "
            "colour, so the task is one on colour images."
        )
    return Samples(stack(paths, lambda path: read_pixels(path, grey), shape), note=note)


def read_arrays(paths: list[Path]) -> Samples:
    """Arrays of one shape: (d,) makes a table; (h, w) or (c, h, w) an image.

    Image arrays are uint8, or floats in [0, 1] (kept as float32).

    Raises:
        UserError: two shapes or types, a shape or range without a meaning, or a damaged file.
    """
    arrays = [_read_array(path) for path in paths]
    first = arrays[0]
    for path, array in zip(paths, arrays, strict=True):
        if (array.shape, array.dtype) != (first.shape, first.dtype):
            raise UserError(
                f"{path} has shape {array.shape} and type {array.dtype}, {paths[0]} has "
                f"{first.shape} and {first.dtype}; all examples need the same"
            )
    x = np.stack(arrays)
    if first.ndim == 1:
        return Samples(x.astype(np.float64), [f"x{index}" for index in range(x.shape[1])])
    if first.ndim == 2:
        x = x[:, None]
    if x.ndim != 4 or x.shape[1] > 4:
        raise UserError(
            f"{paths[0]} has shape {first.shape}; expected (features,), (height, width) or "
            "(channels, height, width) with at most 4 channels"
        )
    if x.dtype == np.uint8:
        return Samples(x)
    if x.dtype.kind != "f" or x.min() < 0 or x.max() > 1:
        raise UserError(
            f"the image arrays (such as {paths[0]}) are {x.dtype} from {x.min():g} to {x.max():g}; store "
            "them as uint8, or as floats in [0, 1]"
        )
    return Samples(x.astype(np.float32))


def read_byte_counts(paths: list[Path]) -> Samples:
    """How often each of the 256 byte values occurs in a file: float64 (n, 256).

    Raises:
        UserError: a file cannot be read or is empty.
    """
    counts = np.empty((len(paths), 256))
    for row, path in zip(counts, paths, strict=True):
        try:
            content = np.fromfile(path, dtype=np.uint8)
        except OSError as error:
            raise UserError(f"cannot read {path}: {error.strerror or error}") from error
        if not content.size:
            raise UserError(f"{path} is empty; replace it or take it out")
        row[:] = np.bincount(content, minlength=256)
    names = [f"byte_{value:02x}" for value in range(256)]
    return Samples(counts, names, "Every file was read as its 256 byte counts.")


def _kind(path: Path) -> str:
    suffix = path.suffix.lower()
    if suffix in SUFFIXES:
        return "pictures"
    return ".npy files" if suffix == ".npy" else "other files"


def _read_array(path: Path) -> NDArray[Any]:
    try:
        array = np.load(path, allow_pickle=False)
    except (OSError, ValueError, EOFError) as error:
        raise UserError(
            f"{path} is not a whole .npy file of numbers ({error}); replace it or take it out"
        ) from error
    if not isinstance(array, np.ndarray) or array.dtype.kind not in "buif" or array.ndim == 0:
        raise UserError(f"{path} does not hold an array of real numbers; replace it or take it out")
    if not np.isfinite(array).all():
        raise UserError(f"{path} holds NaN or infinity; replace it or take it out")
    return array
