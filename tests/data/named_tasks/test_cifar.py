import io
import os
import pickle
import struct
import tarfile
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from featureconvex.data import find_task
from featureconvex.data.named_tasks import cifar
from featureconvex.data.named_tasks.download import RemoteFile
from featureconvex.errors import UserError

NAMES = (*cifar.TRAIN_BATCHES, cifar.TEST_BATCH)
LABELS = [3, 5, 0, 9, 5, 3]


def content(labels: list[int], filename: bytes = b"cat_s_%d.png") -> dict[bytes, Any]:
    """A batch as Python 2 wrote it; the first pixel carries the label, in the red plane."""
    data = np.zeros((len(labels), 3072), dtype=np.uint8)
    data[:, 0] = labels
    data[:, 1024] = 100
    data[:, 2048] = 200
    names = [filename % index for index in range(len(labels))]
    return {b"data": data, b"labels": labels, b"filenames": names, b"batch_label": b"batch"}


def write(path: Path, value: object, protocol: int = 2) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(pickle.dumps(value, protocol=protocol))


def write_release(data_dir: Path, value: dict[bytes, Any], protocol: int = 2) -> None:
    for name in NAMES:
        write(data_dir / cifar.FOLDER / name, value, protocol)


@pytest.mark.parametrize("protocol", [0, 2, 4])
def test_official_layout(tmp_path: Path, protocol: int) -> None:
    write_release(tmp_path, content(LABELS), protocol)
    task = find_task("cifar10-cats-dogs")
    assert task.locate(tmp_path).found
    data = task.load(tmp_path, download=False)
    assert data.train.x.shape == (20, 3, 32, 32)
    assert data.train.x.dtype == np.uint8
    assert data.test.y.tolist() == [1, 0, 0, 1]
    assert data.test.x[:, 0, 0, 0].tolist() == [3, 5, 5, 3]
    assert data.test.x[0, :, 0, 0].tolist() == [3, 100, 200]
    assert (data.sensitive_name, data.other_name) == ("cat", "dog")
    assert "published checksums differ" in data.note
    assert "JPEG" not in data.note


def python2_pickle(value: object) -> bytes:
    """Text and bytes written as the ``str`` of Python 2, as in the official files."""

    def save_string(pickler: Any, value: str | bytes) -> None:
        raw = value.encode("latin1") if isinstance(value, str) else value
        pickler.write(b"T" + struct.pack("<i", len(raw)) + raw)

    stream = io.BytesIO()
    pickler: Any = pickle._Pickler(stream, protocol=2)
    pickler.dispatch = {**pickler.dispatch, str: save_string, bytes: save_string}
    pickler.dump(value)
    return stream.getvalue().replace(b"numpy._core.", b"numpy.core.")


def test_the_pickles_of_python_2(tmp_path: Path) -> None:
    raw = python2_pickle(content(LABELS))
    assert b"_codecs" not in raw
    path = tmp_path / "data_batch_1"
    path.write_bytes(raw)
    batch = cifar.read_batch(path)
    assert batch.labels.tolist() == LABELS
    assert batch.images[:, 0, 0, 0].tolist() == LABELS
    assert not batch.from_jpeg


def test_dogs_can_be_sensitive(tmp_path: Path) -> None:
    write_release(tmp_path, content(LABELS))
    data = find_task("cifar10-dogs-cats").load(tmp_path, download=False)
    assert data.test.y.tolist() == [0, 1, 1, 0]


def test_text_keys_are_read_too(tmp_path: Path) -> None:
    write_release(tmp_path, {key.decode(): value for key, value in content(LABELS).items()})  # type: ignore[misc]
    assert len(find_task("cifar10-cats-dogs").load(tmp_path, download=False).test) == 4


def test_a_jpeg_re_encoding_is_told(tmp_path: Path) -> None:
    write_release(tmp_path, content([3, 5], b"train/cat/%d.jpg"))
    note = find_task("cifar10-cats-dogs").load(tmp_path, download=False).note
    assert "only the classes cat, dog" in note
    assert "close to the official release, not equal" in note


def test_official_checksums_silence_the_note(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    import hashlib

    write_release(tmp_path, content(LABELS))
    official = {
        name: hashlib.md5((tmp_path / cifar.FOLDER / name).read_bytes()).hexdigest()
        for name in NAMES
    }
    monkeypatch.setattr(cifar, "OFFICIAL_MD5", official)
    assert find_task("cifar10-cats-dogs").load(tmp_path, download=False).note == ""


class Attack:
    def __reduce__(self) -> tuple[Any, ...]:
        return os.system, ("exit 1",)


@pytest.mark.parametrize(
    ("value", "reason"),
    [
        ([1, 2], "it holds a list"),
        ({b"labels": [3]}, "its 'data' is not a uint8 array"),
        (content([3]) | {b"data": np.zeros((1, 3072))}, "its 'data' is not a uint8 array"),
        (
            content([3]) | {b"data": np.zeros((1, 3071), np.uint8)},
            "its 'data' is not a uint8 array",
        ),
        (content([3]) | {b"labels": [3, 5]}, "its 'labels' are not a list of 1"),
        (content([3]) | {b"labels": [10]}, "a label is not a whole number from 0 to 9"),
        (content([3]) | {b"labels": [3.5]}, "a label is not a whole number from 0 to 9"),
        (content([3]) | {b"extra": Attack()}, "it asks for .*system"),
    ],
)
def test_wrong_content_is_refused_by_name(tmp_path: Path, value: object, reason: str) -> None:
    path = tmp_path / "data_batch_2"
    write(path, value)
    with pytest.raises(UserError, match=f"data_batch_2 is not a CIFAR-10 batch: {reason}"):
        cifar.read_batch(path)


def test_every_truncation_is_refused_by_name(tmp_path: Path) -> None:
    path = tmp_path / "test_batch"
    raw = pickle.dumps(content(LABELS), protocol=2)
    for length in [*range(0, len(raw), 997), len(raw) - 1]:
        path.write_bytes(raw[:length])
        with pytest.raises(UserError, match="test_batch is not a CIFAR-10 batch"):
            cifar.read_batch(path)


def test_random_garbage_is_refused_by_name(tmp_path: Path) -> None:
    path = tmp_path / "test_batch"
    random = np.random.default_rng(0)
    for _ in range(300):
        path.write_bytes(b"\x80\x02" + random.bytes(60))
        with pytest.raises(UserError, match="test_batch is not a CIFAR-10 batch"):
            cifar.read_batch(path)


def write_archive(path: Path) -> None:
    with tarfile.open(path, "w:gz") as archive:
        for name in NAMES:
            raw = pickle.dumps(content(LABELS), protocol=2)
            info = tarfile.TarInfo(f"{cifar.FOLDER}/{name}")
            info.size = len(raw)
            archive.addfile(info, io.BytesIO(raw))


def test_the_users_archive_is_unpacked_and_kept(tmp_path: Path) -> None:
    write_archive(tmp_path / cifar.ARCHIVE)
    task = find_task("cifar10-cats-dogs")
    assert task.locate(tmp_path).found
    assert len(task.load(tmp_path, download=False).test) == 4
    assert (tmp_path / cifar.ARCHIVE).exists()
    assert task.locate(tmp_path).where == str(tmp_path / cifar.FOLDER)


def test_the_archive_is_fetched_once(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def fake_fetch(remote: RemoteFile, path: Path) -> Path:
        assert remote.md5 == "c58f30108f718f92721af3b95e74349a"
        write_archive(path)
        return path

    monkeypatch.setattr(cifar, "fetch", fake_fetch)
    assert len(find_task("cifar10-cats-dogs").load(tmp_path).test) == 4
    assert [path.name for path in tmp_path.iterdir()] == [cifar.FOLDER]


def test_missing_batches_are_told(tmp_path: Path) -> None:
    write_release(tmp_path, content(LABELS))
    (tmp_path / cifar.FOLDER / "data_batch_4").unlink()
    task = find_task("cifar10-cats-dogs")
    assert "data_batch_4" in task.locate(tmp_path).how
    with pytest.raises(UserError, match="lacks data_batch_4"):
        task.load(tmp_path, download=False)


@pytest.mark.realdata
def test_real_counts() -> None:
    data = find_task("cifar10-cats-dogs").load(os.environ["FEATURECONVEX_DATA"], download=False)
    assert (len(data.train), len(data.test)) == (10000, 2000)
    assert data.train.y.sum() == 5000
    assert data.test.y.sum() == 1000
