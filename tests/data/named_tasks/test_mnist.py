import gzip
import os
import struct
import time
from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray

from featureconvex.data import find_task, to_tensor
from featureconvex.data.named_tasks import mnist
from featureconvex.data.named_tasks.download import RemoteFile
from featureconvex.errors import UserError


def write_idx(path: Path, array: NDArray[np.uint8]) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    raw = struct.pack(f">BBBB{array.ndim}I", 0, 0, 8, array.ndim, *array.shape) + array.tobytes()
    path.write_bytes(gzip.compress(raw) if path.suffix == ".gz" else raw)


def images_for(labels: NDArray[np.uint8]) -> NDArray[np.uint8]:
    """Pictures that carry their own label in every pixel."""
    return np.broadcast_to(labels[:, None, None], (len(labels), 28, 28)).copy()


LABELS = {
    "train": np.array([3, 8, 1, 3, 8, 8], np.uint8),
    "t10k": np.array([8, 0, 3, 3], np.uint8),
}


def write_release(folder: Path, suffix: str = ".gz", dot: str = "-") -> None:
    for half, labels in LABELS.items():
        write_idx(folder / f"{half}-images{dot}idx3-ubyte{suffix}", images_for(labels))
        write_idx(folder / f"{half}-labels{dot}idx1-ubyte{suffix}", labels)


@pytest.mark.parametrize("suffix", [".gz", ""])
@pytest.mark.parametrize("dot", ["-", "."])
@pytest.mark.parametrize(
    ("task", "folder"),
    [
        ("mnist-3-8", "mnist"),
        ("mnist-3-8", "MNIST/raw"),
        ("fashion-3-8", "fashion-mnist"),
        ("fashion-3-8", "FashionMNIST/raw"),
    ],
)
def test_official_layouts(tmp_path: Path, task: str, folder: str, suffix: str, dot: str) -> None:
    write_release(tmp_path / folder, suffix, dot)
    location = find_task(task).locate(tmp_path)
    assert (location.found, location.where) == (True, str(tmp_path / folder))
    data = find_task(task).load(tmp_path, download=False)
    assert data.kind == "image"
    assert data.train.x.shape == (5, 1, 28, 28)
    assert data.train.x.dtype == np.uint8
    assert data.train.y.tolist() == [1, 0, 1, 0, 0]
    assert data.test.y.tolist() == [0, 1, 1]
    assert data.test.x[:, 0, 0, 0].tolist() == [8, 3, 3]
    assert data.source == str(tmp_path / folder)
    assert "6 of 60,000" in data.note


def test_the_first_label_is_sensitive(tmp_path: Path) -> None:
    write_release(tmp_path / "mnist")
    data = find_task("mnist-8-3").load(tmp_path, download=False)
    assert data.train.y.tolist() == [0, 1, 0, 1, 1]
    assert (data.sensitive_name, data.other_name) == ("8", "3")


def test_a_class_without_examples_is_named(tmp_path: Path) -> None:
    write_release(tmp_path / "mnist")
    with pytest.raises(UserError, match="no example of class '5'"):
        find_task("mnist-5-8").load(tmp_path, download=False)


@pytest.mark.parametrize(
    ("file", "content", "reason"),
    [
        ("train-images-idx3-ubyte", np.zeros((6, 27, 28), np.uint8), "expected \\(n, 28, 28\\)"),
        ("train-images-idx3-ubyte", np.zeros((5, 28, 28), np.uint8), "5 images but .* 6 labels"),
        ("t10k-labels-idx1-ubyte", np.array([8, 0, 3, 10], np.uint8), "labels 0 to 9"),
        ("t10k-labels-idx1-ubyte", np.zeros((4, 1), np.uint8), "labels 0 to 9"),
    ],
)
def test_inconsistent_files_are_named(
    tmp_path: Path, file: str, content: NDArray[np.uint8], reason: str
) -> None:
    write_release(tmp_path / "mnist")
    write_idx(tmp_path / "mnist" / f"{file}.gz", content)
    with pytest.raises(UserError, match=reason) as failure:
        find_task("mnist-3-8").load(tmp_path, download=False)
    assert file in str(failure.value)


def test_a_missing_file_is_told_and_not_downloaded_without_leave(tmp_path: Path) -> None:
    write_release(tmp_path / "mnist")
    gone = tmp_path / "mnist" / "t10k-labels-idx1-ubyte.gz"
    gone.unlink()
    location = find_task("mnist-3-8").locate(tmp_path)
    assert not location.found
    assert "t10k-labels-idx1-ubyte.gz" in location.how
    assert "train-images" not in location.how
    with pytest.raises(UserError, match=r"t10k-labels-idx1-ubyte\.gz is missing"):
        find_task("mnist-3-8").load(tmp_path, download=False)


def test_only_missing_files_are_fetched(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    write_release(tmp_path / "mnist")
    target = tmp_path / "mnist" / "t10k-labels-idx1-ubyte.gz"
    target.unlink()
    asked = []

    def fake_fetch(remote: RemoteFile, path: Path) -> Path:
        asked.append((remote, path))
        write_idx(path, LABELS["t10k"])
        return path

    monkeypatch.setattr(mnist, "fetch", fake_fetch)
    assert len(find_task("mnist-3-8").load(tmp_path).test) == 3
    ((remote, path),) = asked
    assert path == target
    assert remote.md5 == "ec29112dd5afa0611ce80d1b7f02629c"
    assert all(url.endswith("/t10k-labels-idx1-ubyte.gz") for url in remote.urls)


@pytest.mark.realdata
@pytest.mark.parametrize(
    ("name", "train", "test"), [("mnist-3-8", 11982, 1984), ("fashion-shirts", 12000, 2000)]
)
def test_real_counts(name: str, train: int, test: int) -> None:
    start = time.perf_counter()
    task = find_task(name)
    data = task.load(os.environ["FEATURECONVEX_DATA"], download=False)
    assert time.perf_counter() - start < 5
    assert (len(data.train), len(data.test)) == (train, test)
    assert task.size == f"{train:,} + {test:,} images of 28 x 28"
    assert data.note == ""
    x = to_tensor(data.test.x)
    assert x.min() == 0
    assert x.max() == 1
