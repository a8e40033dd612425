import io
import tarfile
import zipfile
from pathlib import Path

import pytest

from featureconvex.data.named_tasks.archive import extract
from featureconvex.errors import UserError


def make_zip(path: Path) -> None:
    with zipfile.ZipFile(path, "w") as archive:
        archive.writestr("wanted", b"content" * 100)
        archive.writestr("../outside", b"never")


def make_tar(path: Path) -> None:
    with tarfile.open(path, "w:gz") as archive:
        for name in ("wanted", "../outside"):
            info = tarfile.TarInfo(name)
            info.size = 700
            archive.addfile(info, io.BytesIO(b"content" * 100))
        folder = tarfile.TarInfo("folder")
        folder.type = tarfile.DIRTYPE
        archive.addfile(folder)


MAKERS = {"a.zip": make_zip, "a.tar.gz": make_tar}


@pytest.mark.parametrize("name", MAKERS)
def test_only_the_named_members_are_written(tmp_path: Path, name: str) -> None:
    MAKERS[name](tmp_path / name)
    target = tmp_path / "out" / "file"
    extract(tmp_path / name, {"wanted": target})
    assert target.read_bytes() == b"content" * 100
    assert [path.name for path in target.parent.iterdir()] == ["file"]
    assert sorted(path.name for path in tmp_path.iterdir()) == sorted([name, "out"])


@pytest.mark.parametrize("name", MAKERS)
def test_a_missing_member_is_named(tmp_path: Path, name: str) -> None:
    MAKERS[name](tmp_path / name)
    with pytest.raises(UserError, match=rf"{name} is damaged or incomplete .*absent"):
        extract(tmp_path / name, {"absent": tmp_path / "out"})


def test_a_folder_in_place_of_a_file(tmp_path: Path) -> None:
    make_tar(tmp_path / "a.tar.gz")
    with pytest.raises(UserError, match="not a regular file"):
        extract(tmp_path / "a.tar.gz", {"folder": tmp_path / "out"})


@pytest.mark.parametrize("name", MAKERS)
@pytest.mark.parametrize("keep", [0.0, 0.3, 0.6])
def test_a_truncated_archive_leaves_no_file(tmp_path: Path, name: str, keep: float) -> None:
    path = tmp_path / name
    MAKERS[name](path)
    raw = path.read_bytes()
    path.write_bytes(raw[: int(keep * len(raw))])
    with pytest.raises(UserError, match=name):
        extract(path, {"wanted": tmp_path / "out" / "file"})
    assert not list((tmp_path / "out").glob("*"))
