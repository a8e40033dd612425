"""Reading a pickle of plain values and numpy arrays, and of nothing else.

A pickle is a program: loading one may call any function it names. The unpickler here knows the few
constructors that an array of numbers needs, each in a narrow version, and refuses every other name.
"""

import io
import pickle
from collections.abc import Callable
from typing import Any

import numpy as np
from numpy.typing import NDArray

NUMERIC_KINDS = "biufcSU"
"""Array types without Python objects in them: bool, integers, floats, complex, bytes, text."""


class ForbiddenNameError(pickle.UnpicklingError):
    """The pickle wants something other than numbers, text, lists, dicts and arrays."""


def loads(raw: bytes) -> Any:
    """The value in ``raw``; byte strings of Python 2 stay ``bytes``.

    Raises:
        ForbiddenNameError: the pickle names a function or class that plain data does not need.
        Exception: whatever the pickle machinery raises on damaged bytes.

    >>> loads(pickle.dumps({"labels": [3, 5]}))
    {'labels': [3, 5]}
    """
    return _PlainUnpickler(io.BytesIO(raw), encoding="bytes").load()


class _PlainUnpickler(pickle.Unpickler):
    def find_class(self, module: str, name: str) -> Any:
        module = module.replace("numpy._core.", "numpy.core.")
        try:
            return _ALLOWED[module, name]
        except KeyError:
            raise ForbiddenNameError(f"it asks for {module}.{name}") from None


def _dtype(code: str | bytes, *flags: bool) -> np.dtype[Any]:
    text = code.decode("ascii") if isinstance(code, bytes) else code
    dtype = np.dtype(text, *flags)
    if dtype.kind not in NUMERIC_KINDS:
        raise ForbiddenNameError(f"it asks for an array of type {text!r}")
    return dtype


def _empty_array(kind: object, shape: tuple[int, ...], code: bytes | str) -> NDArray[Any]:
    """What an array's pickle starts from; its state (shape, type, bytes) is set afterwards."""
    if kind is not _ARRAY_MARK or shape != (0,) or code not in (b"b", "b"):
        raise ForbiddenNameError("it asks for an unusual kind of array")
    return np.empty(0, dtype=np.int8)


def _scalar(dtype: np.dtype[Any], raw: bytes) -> Any:
    return np.frombuffer(raw, dtype=dtype, count=1)[0]


def _encode(text: str, encoding: str | bytes) -> bytes:
    """How protocol 2 stores ``bytes``."""
    if encoding not in ("latin1", b"latin1"):
        raise ForbiddenNameError(f"it asks for the encoding {encoding!r}")
    return text.encode("latin1")


_ARRAY_MARK = object()
_ALLOWED: dict[tuple[str, str], Callable[..., Any] | object] = {
    ("numpy", "dtype"): _dtype,
    ("numpy", "ndarray"): _ARRAY_MARK,
    ("numpy.core.multiarray", "_reconstruct"): _empty_array,
    ("numpy.core.multiarray", "scalar"): _scalar,
    ("_codecs", "encode"): _encode,
}
