"""The IDX format of MNIST: a big-endian header and raw bytes, plain or gzipped.

Source: Y. LeCun, C. Cortes, C. Burges, "The MNIST database of handwritten digits". Layout: two zero
bytes, a type code (0x08: unsigned byte), the number of dimensions, one 32-bit size per dimension,
then the data in C order.
"""

import gzip
import math
import zlib
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from featureconvex.errors import UserError

GZIP_MAGIC = b"\x1f\x8b"
UNSIGNED_BYTE = 0x08


def read_idx(path: Path) -> NDArray[np.uint8]:
    """Read a whole IDX file of unsigned bytes; gzip is recognised by its first bytes.

    Returns:
        uint8, with the shape the header gives.

    Raises:
        UserError: the file is missing, its gzip stream is damaged or cut short, the header is not
            IDX of unsigned bytes, or the length does not match the header.
    """
    try:
        raw = path.read_bytes()
    except OSError as error:
        raise UserError(f"cannot read {path}: {error.strerror or error}") from error
    if raw.startswith(GZIP_MAGIC):
        try:
            raw = gzip.decompress(raw)
        except (EOFError, gzip.BadGzipFile, zlib.error) as error:
            raise _damaged(path, f"its gzip stream is broken: {error}") from error
    return _parse(raw, path)


def _parse(raw: bytes, path: Path) -> NDArray[np.uint8]:
    if len(raw) < 4 or raw[:2] != b"\0\0":
        raise _damaged(path, f"it starts with {raw[:4].hex() or 'nothing'}, not with an IDX header")
    if raw[2] != UNSIGNED_BYTE:
        raise _damaged(path, f"its type code is 0x{raw[2]:02x}, not 0x08 (unsigned bytes)")
    start = 4 + 4 * raw[3]
    if len(raw) < start:
        raise _damaged(path, f"its header needs {start} bytes, the file has {len(raw)}")
    shape = tuple(int(size) for size in np.frombuffer(raw, ">u4", raw[3], 4))
    expected = start + math.prod(shape)
    if len(raw) != expected:
        raise _damaged(
            path, f"shape {shape} needs {expected} bytes (uncompressed), it has {len(raw)}"
        )
    return np.frombuffer(raw, np.uint8, offset=start).reshape(shape).copy()


def _damaged(path: Path, what: str) -> UserError:
    return UserError(f"{path} is not a whole IDX file: {what}; delete it and get it again")
