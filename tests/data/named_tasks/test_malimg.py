from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image

from featureconvex.data import find_task, to_tensor
from featureconvex.data.named_tasks.malimg import FOLDER, MalimgReader, centre_crop, resize
from featureconvex.errors import UserError

COUNTS = {"Allaple.A": 10, "Yuner.A": 5, "C2LOP.gen!g": 15}


def write_family(folder: Path, family: str, count: int) -> None:
    (folder / family).mkdir(parents=True)
    for index in range(count):
        pixels = np.full((20 + index, 40), 10 + index, dtype=np.uint8)
        Image.fromarray(pixels).save(folder / family / f"{index:03}.png")


@pytest.fixture
def data_dir(tmp_path: Path) -> Path:
    for family, count in COUNTS.items():
        write_family(tmp_path / FOLDER, family, count)
    return tmp_path


@pytest.mark.parametrize("name", ["malimg", "malimg-resized"])
def test_official_layout(data_dir: Path, name: str) -> None:
    task = find_task(name)
    assert task.locate(data_dir).found
    data = task.load(data_dir)
    assert data.train.x.shape == (24, 1, 512, 512)
    assert data.test.x.shape == (6, 1, 512, 512)
    assert data.train.x.dtype == np.uint8
    assert data.train_family is not None
    assert data.test_family is not None
    np.testing.assert_array_equal(data.train.y, data.train_family != "Allaple.A")
    for family, count in COUNTS.items():
        assert (data.test_family == family).sum() == count // 5
    assert "3 families with 30 pictures" in data.note
    assert to_tensor(data.test.x).max() <= 1


def test_pictures_stay_with_their_family(data_dir: Path) -> None:
    data = MalimgReader("crop", side=64).load("malimg", data_dir, download=False)
    assert data.train_family is not None
    for pixels, family in zip(data.train.x, data.train_family, strict=True):
        rows = int((pixels[0, :, 32] > 0).sum())
        assert pixels.max() == 10 + rows - 20
        assert rows - 20 < COUNTS[str(family)]


@given(height=st.integers(1, 12), width=st.integers(1, 12), side=st.integers(1, 12))
def test_centre_crop_keeps_the_centre(height: int, width: int, side: int) -> None:
    pixels = np.arange(1, height * width + 1, dtype=np.uint8).reshape(1, height, width)
    square = centre_crop(pixels, side)
    assert square.shape == (1, side, side)
    kept = square[square > 0]
    assert len(kept) == min(height, side) * min(width, side)
    assert len(np.unique(kept)) == len(kept)
    if height % 2 == width % 2 == side % 2:
        assert pixels[0, height // 2, width // 2] == square[0, side // 2, side // 2]


def test_resize_averages() -> None:
    pixels = np.array([[[0, 0, 100, 100], [0, 0, 100, 100]]], dtype=np.uint8)
    assert resize(pixels, 2).tolist() == [[[0, 100], [0, 100]]]


def test_a_damaged_picture_is_named(data_dir: Path) -> None:
    path = data_dir / FOLDER / "Yuner.A" / "002.png"
    path.write_bytes(path.read_bytes()[:40])
    with pytest.raises(UserError, match=r"Yuner\.A/002\.png cannot be decoded"):
        find_task("malimg").load(data_dir)


def test_the_clean_family_must_be_there(tmp_path: Path) -> None:
    write_family(tmp_path / FOLDER, "Yuner.A", 3)
    with pytest.raises(UserError, match=r"Allaple\.A not among them"):
        find_task("malimg").load(tmp_path)
    (tmp_path / "empty" / FOLDER).mkdir(parents=True)
    with pytest.raises(UserError, match="PNGs of 0 families"):
        find_task("malimg").load(tmp_path / "empty")


def test_where_to_get_it(tmp_path: Path) -> None:
    location = find_task("malimg").locate(tmp_path)
    assert not location.found
    assert FOLDER in location.how
    with pytest.raises(UserError, match="Malimg is not here: unpack"):
        find_task("malimg").load(tmp_path)
