"""Numbers that a caller hands over, checked and copied: whatever they are, an error is one to act on.

What an object keeps is a copy of its own, so that a later change of the caller's array changes nothing.
"""

from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from featureconvex.errors import UserError
from featureconvex.scalars import (
    UNREADABLE,
    one_of,
    real_number,
    shown,
    whole_number,
    whole_numbers,
    yes_or_no,
)

__all__ = [
    "WHOLE_ARRAY",
    "check_plain",
    "check_shared_shape",
    "check_unlabelled",
    "check_unmasked",
    "file_path",
    "one_of",
    "real_array",
    "real_number",
    "real_tensor",
    "rows_tensor",
    "whole_number",
    "whole_numbers",
    "yes_or_no",
]

WHOLE_ARRAY = "a number, or one per coordinate"


def real_array(name: str, value: object, expected: str = WHOLE_ARRAY) -> NDArray[Any]:
    """``value`` as an array of real numbers or bools; not a copy where it is an array already.

    Raises:
        UserError: text, None, ragged rows, complex numbers, objects, masked cells, a labelled Series.

    >>> real_array("lo", [0, None])
    Traceback (most recent call last):
        ...
    featureconvex.errors.UserError: lo must be a number, or one per coordinate, got [0, None]
    """
    if isinstance(value, torch.Tensor):
        check_plain(name, value)
        value = value.detach().cpu()
        short = value.is_floating_point() and value.dtype not in (torch.float32, torch.float64)
        array = (value.float() if short else value.resolve_neg()).numpy()
    else:
        check_unmasked(name, value)
        check_unlabelled(name, value)
        try:
            array = np.asarray(value)
        except UNREADABLE as error:
            raise UserError(f"{name} must be {expected}: {error}") from error
    if array.dtype.kind not in "fiub" and array.size:
        raise UserError(f"{name} must be {expected}, got {shown(value)}")
    return array if array.size else array.astype(np.float64)


def check_unmasked(name: str, value: object) -> None:
    """Refuse masked cells: as an array they would become the numbers under the mask.

    Raises:
        UserError: an array with at least one masked cell.
    """
    if np.ma.is_masked(value):
        raise UserError(
            f"{name} has masked cells, and what is under a mask is no measurement; fill them first, "
            f"for example with {name}.filled(np.nan), or drop those rows"
        )


def check_unlabelled(name: str, value: Any) -> None:
    """Refuse a Series with labels of its own: taken by position, they would be passed over in silence.

    Raises:
        UserError: a one-dimensional labelled array whose labels are not 0, 1, 2, ...
    """
    labels = getattr(value, "index", None)
    if labels is None or callable(labels) or getattr(value, "ndim", 0) != 1:
        return
    if list(labels) != list(range(len(labels))):
        raise UserError(
            f"{name} has labels ({', '.join(map(repr, list(labels)[:3]))}, ...), which are not looked at; "
            "bring it into the order of the columns and give its numbers, as in "
            f"{name}=series[columns].to_numpy()"
        )


def check_plain(name: str, value: Tensor) -> Tensor:
    """Return ``value`` if it is an ordinary tensor of real numbers.

    Raises:
        UserError: complex, sparse, nested, quantised, or without storage.
    """
    strided = not value.is_nested and value.layout == torch.strided
    if value.is_complex() or value.is_quantized or value.is_meta or not strided:
        kind = "nested" if value.is_nested else f"{value.layout}, {value.dtype}, on {value.device}"
        raise UserError(
            f"{name} must hold real numbers in an ordinary dense tensor, got one that is {kind}; "
            "convert it with .to_dense(), .dequantize() or .real"
        )
    return value


def real_tensor(name: str, value: object, expected: str = WHOLE_ARRAY) -> Tensor:
    """A float64 copy, on the device where ``value`` is.

    Raises:
        UserError: as :func:`real_array`, and bools: they mark coordinates, they are no amounts.

    >>> real_tensor("cost", np.array([1, 2], dtype=">i4"))
    tensor([1., 2.], dtype=torch.float64)
    """
    array = real_array(name, value, expected)
    if array.dtype.kind == "b":
        raise UserError(f"{name} must be {expected}, got {shown(value)}; a bool is no amount")
    with np.errstate(over="ignore"):  # a longdouble beyond float64 is an infinity
        tensor = torch.from_numpy(np.array(array, dtype=np.float64))
    return tensor.to(value.device) if isinstance(value, torch.Tensor) else tensor


def rows_tensor(rows: NDArray[Any] | Tensor) -> Tensor:
    """Rows as a tensor: the same memory where torch can take it as it is, else a copy.

    A copy for what torch cannot hold (negative or odd strides, the other byte order, read-only memory)
    and, in float64, for longer floats.
    """
    if isinstance(rows, torch.Tensor):
        return rows.detach()
    array = np.asarray(rows)
    long = array.dtype.kind == "f" and array.itemsize > 8
    kind = np.dtype(np.float64) if long else array.dtype.newbyteorder("=")
    odd = any(stride < 0 or stride % array.itemsize for stride in array.strides)
    if odd or kind != array.dtype or not (array.flags.writeable and array.flags.aligned):
        with np.errstate(over="ignore"):
            array = np.array(array, dtype=kind, order="C" if odd else "K")
    return torch.from_numpy(array)


def file_path(name: str, value: object) -> Path:
    """``value`` as a path.

    Raises:
        UserError: neither text nor a path, or text that is empty.
    """
    if not isinstance(value, str | Path) or not str(value):
        raise UserError(f"{name} must be a path such as 'runs/mine', got {shown(value)}")
    return Path(value)


def check_shared_shape(**constants: Tensor) -> None:
    """Refuse constants that no input can have together.

    Raises:
        UserError: their shapes do not broadcast.

    >>> check_shared_shape(lo=torch.zeros(2), hi=torch.ones(3))
    Traceback (most recent call last):
        ...
    featureconvex.errors.UserError: lo of shape (2,) and hi of shape (3,) do not belong to the same ...
    """
    shapes = {name: tuple(value.shape) for name, value in constants.items()}
    try:
        # Not torch's: that imports a computer algebra system first.
        np.broadcast_shapes(*shapes.values())
    except ValueError as error:
        told = " and ".join(f"{name} of shape {shape}" for name, shape in shapes.items())
        raise UserError(
            f"{told} do not belong to the same input; give each one number, or one per coordinate"
        ) from error
