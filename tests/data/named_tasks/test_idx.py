import gzip
import struct
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp
from numpy.typing import NDArray

from featureconvex.data.named_tasks.idx import read_idx
from featureconvex.errors import UserError


def idx_bytes(array: NDArray[np.uint8]) -> bytes:
    return struct.pack(f">BBBB{array.ndim}I", 0, 0, 8, array.ndim, *array.shape) + array.tobytes()


WHOLE = idx_bytes(np.arange(24, dtype=np.uint8).reshape(2, 3, 4))


@given(
    array=hnp.arrays(np.uint8, hnp.array_shapes(min_dims=1, max_dims=4, min_side=0, max_side=5)),
    zipped=st.booleans(),
)
def test_round_trip(
    array: NDArray[np.uint8], zipped: bool, tmp_path_factory: pytest.TempPathFactory
) -> None:
    path = tmp_path_factory.mktemp("idx") / "file"
    path.write_bytes(gzip.compress(idx_bytes(array), mtime=0) if zipped else idx_bytes(array))
    back = read_idx(path)
    assert back.dtype == np.uint8
    assert back.flags.writeable
    np.testing.assert_array_equal(back, array)


@pytest.mark.parametrize("zipped", [False, True])
def test_every_truncation_is_refused_by_name(tmp_path: Path, zipped: bool) -> None:
    raw = gzip.compress(WHOLE, mtime=0) if zipped else WHOLE
    path = tmp_path / "t10k-images-idx3-ubyte"
    for length in range(len(raw)):
        path.write_bytes(raw[:length])
        with pytest.raises(UserError, match=r"t10k-images-idx3-ubyte is not a whole IDX file"):
            read_idx(path)


@pytest.mark.parametrize(
    ("raw", "reason"),
    [
        (WHOLE + b"x", "needs 40 bytes"),
        (b"\x89PNG" + WHOLE, "not with an IDX header"),
        (b"\0\0\x0d\x01" + WHOLE[4:], "type code is 0x0d"),
        (b"", "nothing"),
        (gzip.compress(WHOLE, mtime=0) + b"garbage", "gzip stream is broken"),
    ],
)
def test_wrong_content_is_refused_with_the_reason(tmp_path: Path, raw: bytes, reason: str) -> None:
    path = tmp_path / "file"
    path.write_bytes(raw)
    with pytest.raises(UserError, match=reason):
        read_idx(path)


def test_a_flipped_bit_in_a_gzip_is_noticed(tmp_path: Path) -> None:
    raw = bytearray(gzip.compress(WHOLE, mtime=0))
    raw[-6] ^= 1  # inside the CRC
    path = tmp_path / "file.gz"
    path.write_bytes(raw)
    with pytest.raises(UserError, match="gzip stream is broken"):
        read_idx(path)


def test_a_missing_file_is_named(tmp_path: Path) -> None:
    with pytest.raises(UserError, match=r"cannot read .*nowhere"):
        read_idx(tmp_path / "nowhere")
