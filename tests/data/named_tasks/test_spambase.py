import os
import zipfile
from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray

from featureconvex.data import find_task
from featureconvex.data.named_tasks import spambase
from featureconvex.data.named_tasks.download import RemoteFile
from featureconvex.errors import UserError


@pytest.fixture(scope="module")
def table() -> NDArray[np.float64]:
    values = np.random.default_rng(0).integers(0, 1000, (4601, 58)) / 100
    values[:, -1] = np.arange(4601) < 1813
    return values


def write(path: Path, table: NDArray[np.float64]) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    np.savetxt(path, table, fmt="%g", delimiter=",")
    return path


def test_official_layout_in_any_row_order(tmp_path: Path, table: NDArray[np.float64]) -> None:
    path = write(tmp_path / "a" / "spambase" / "spambase.data", table)
    first = find_task("spambase").load(tmp_path / "a", download=False)
    assert find_task("spambase").locate(tmp_path / "a").where == str(path)
    write(tmp_path / "b" / "spambase.data", table[::-1])
    second = find_task("spambase").load(tmp_path / "b", download=False)
    np.testing.assert_array_equal(first.train.x, second.train.x)
    np.testing.assert_array_equal(first.test.y, second.test.y)
    assert len(first.train) + len(first.test) == 4601
    assert first.test.x.shape == (921, 57)
    assert first.test.x.dtype == np.float64
    assert first.test.y.sum() == 363
    assert first.feature_names is not None
    assert len(first.feature_names) == 57
    assert (first.sensitive_name, first.kind) == ("spam", "table")
    assert first.note == "The values differ from those of the UCI release."


def damage(table: NDArray[np.float64], row: int, column: int, value: float) -> NDArray[np.float64]:
    damaged = table.copy()
    damaged[row, column] = value
    return damaged


def test_damaged_tables_are_named(tmp_path: Path, table: NDArray[np.float64]) -> None:
    for broken, reason in [
        (table[:-1], r"shape \(4600, 58\)"),
        (table[:, 1:], r"shape \(4601, 57\)"),
        (damage(table, 5, 5, -1), "negative or not finite"),
        (damage(table, 5, 5, np.nan), "negative or not finite"),
        (damage(table, 0, 57, 2), "not 1813 ones"),
        (damage(table, 0, 57, 0), "not 1813 ones"),
    ]:
        path = write(tmp_path / "spambase.data", broken)
        with pytest.raises(UserError, match=f"not the whole Spambase: .*{reason}"):
            spambase.read_table(path)


@pytest.mark.parametrize("raw", [b"", b"1,2\n1", b"1,x", b"\xff\xfe\x00"])
def test_other_content_is_named(tmp_path: Path, raw: bytes) -> None:
    path = tmp_path / "spambase.data"
    path.write_bytes(raw)
    with pytest.raises(UserError, match=r"spambase\.data is not the whole Spambase"):
        spambase.read_table(path)


def test_the_archive_is_unpacked(
    tmp_path: Path, table: NDArray[np.float64], monkeypatch: pytest.MonkeyPatch
) -> None:
    source = write(tmp_path / "source.data", table)

    def fake_fetch(remote: RemoteFile, path: Path) -> Path:
        assert remote == spambase.REMOTE
        path.parent.mkdir(parents=True)
        with zipfile.ZipFile(path, "w") as archive:
            archive.write(source, "spambase.data")
        return path

    task = find_task("spambase")
    assert not task.locate(tmp_path).found
    with pytest.raises(UserError, match="Spambase is not here"):
        task.load(tmp_path, download=False)
    monkeypatch.setattr(spambase, "fetch", fake_fetch)
    assert len(task.load(tmp_path).train) == 3680
    (tmp_path / "spambase" / "spambase.data").unlink()
    assert task.locate(tmp_path).found
    assert len(task.load(tmp_path, download=False).train) == 3680


@pytest.mark.realdata
def test_real_counts() -> None:
    data = find_task("spambase").load(os.environ["FEATURECONVEX_DATA"], download=False)
    assert len(data.train) + len(data.test) == 4601
    assert find_task("spambase").size == "3,680 + 921 rows of 57 features"
    assert data.train.y.sum() + data.test.y.sum() == 1813
    assert "differ" not in data.note
    assert "111 test mails have an identical twin" in data.note
