"""Read a user's own inputs for a stored model: arrays, tables and pictures."""

import math
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from featureconvex.data.columns import encode_features, features_by_name
from featureconvex.data.pictures import SUFFIXES, read_header, read_pixels, stack
from featureconvex.data.table import read_frame
from featureconvex.errors import UserError


def read_inputs(
    path: Path, columns: list[str] | None = None, shape: tuple[int, ...] | None = None
) -> tuple[dict[str, Any], NDArray[Any]]:
    """The rows' names and the inputs (n, ...) of a file.

    Args:
        path: the file or folder.
        columns: the columns of a table that a model was trained on, where it knows them.
        shape: of one input of the model, where it knows it: pictures are read as grey or colour to suit.

    Raises:
        UserError: the file is missing, damaged or of an unknown kind, or its inputs have another shape.
    """
    suffix = path.suffix.lower()
    if path.is_dir() or suffix in SUFFIXES:
        names, x = _pictures(path, shape)
        return names, _of_shape(x, shape, path)
    readers = {".npy": _array, ".npz": _array, ".csv": _table, ".parquet": _table}
    if suffix not in readers:
        raise UserError(
            f"{path}: expected .npy, .npz, .csv, .parquet, an image or a folder of images"
        )
    if not path.is_file():
        raise UserError(f"there is no file {path}")
    x = readers[suffix](path, columns)
    return {"index": np.arange(len(x))}, _of_shape(x, shape, path)


def _pictures(path: Path, expected: tuple[int, ...] | None) -> tuple[dict[str, Any], NDArray[Any]]:
    files = [path]
    if path.is_dir():
        files = sorted(file for file in path.iterdir() if file.suffix.lower() in SUFFIXES)
    if not files:
        raise UserError(f"{path} holds no images")
    headers = [read_header(file) for file in files]
    expected = expected if expected is not None and len(expected) == 3 else None
    # As in training: grey pictures among colour ones are read as colour.
    grey = all(header.grey for header in headers) if expected is None else expected[0] == 1
    shape = (1 if grey else 3, headers[0].height, headers[0].width)
    size = shape[1:] if expected is None else expected[1:]
    for file, header in zip(files, headers, strict=True):
        if (header.height, header.width) != size:
            source = f"{files[0]} is" if expected is None else "the model was trained on"
            raise UserError(
                f"{file} is {header.height} x {header.width} pixels, {source} {size[0]} x {size[1]}; "
                "resize the pictures"
            )
        if grey and not header.grey:
            raise UserError(
                f"{file} is in colour, the model was trained on grey pictures; convert it the way "
                "the training pictures were"
            )
    return {"file": [file.name for file in files]}, stack(
        files, lambda file: read_pixels(file, grey), shape
    )


def _of_shape(x: NDArray[Any], expected: tuple[int, ...] | None, path: Path) -> NDArray[Any]:
    """``x``, or what a row should look like, what it looks like, and how the one becomes the other."""
    got, one = x.shape, x.shape[1:]
    if expected is None or one == expected:
        return x
    remedy = "give inputs of the kind the model was trained on"
    if got == expected:
        remedy = "for one input add a first axis, x[None]"
    elif len(expected) == 3 and expected[0] == 1 and one == expected[1:]:
        remedy = "add the channel axis, x[:, None]"
    elif len(expected) == 3 and one == (*expected[1:], expected[0]):
        remedy = "move the channels to the front, x.transpose(0, 3, 1, 2)"
    elif one == (math.prod(expected),):
        remedy = f"unflatten the rows, x.reshape(-1, {', '.join(map(str, expected))})"
    wanted = ", ".join(map(str, ("n", *expected)))
    raise UserError(f"{path}: expected inputs of shape ({wanted}), got {got}; {remedy}")


def _array(path: Path, _: list[str] | None) -> NDArray[Any]:
    try:
        content = np.load(path, allow_pickle=False)
        x = content if isinstance(content, np.ndarray) else _only_array(content, path)
        if x.ndim == 0:
            raise UserError(f"{path} holds a single number; save one row per input, (n, ...)")
        return x
    except UserError:
        raise
    except (OSError, ValueError, EOFError) as error:
        raise UserError(f"{path} cannot be read as an array: {error}") from error


def _only_array(archive: Any, path: Path) -> NDArray[Any]:
    with archive:
        if len(archive.files) != 1:
            raise UserError(f"{path} holds {len(archive.files)} arrays; save exactly one")
        return np.asarray(archive[archive.files[0]])


def _table(path: Path, columns: list[str] | None) -> NDArray[Any]:
    frame = read_frame(path)
    if columns is not None:
        return features_by_name(frame, columns, str(path))
    return encode_features(frame, str(path)).x
