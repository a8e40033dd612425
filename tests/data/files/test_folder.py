from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from featureconvex.data import Dataset, find_task
from featureconvex.errors import UserError


def save(path: Path, value: int, mode: str = "RGB", size: tuple[int, int] = (6, 4)) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.fromarray(np.full((size[1], size[0]), value, dtype=np.uint8)).convert(mode).save(path)


def save_array(path: Path, array: object) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    np.save(path, np.asarray(array))


def load(folder: Path, sensitive: str | None = "cat") -> Dataset:
    return find_task(str(folder), sensitive=sensitive).load()


def pictures(folder: Path, classes: tuple[str, ...] = ("cat", "dog"), mode: str = "RGB") -> Path:
    for number, name in enumerate(classes):
        for index in range(5):
            save(folder / name / f"{index}.png", 50 * number + index, mode)
    return folder


@pytest.mark.parametrize(("mode", "channels"), [("RGB", 3), ("L", 1), ("RGBA", 3), ("P", 3)])
def test_pictures(tmp_path: Path, mode: str, channels: int) -> None:
    folder = pictures(tmp_path / "pets", mode=mode)
    (folder / "cat" / ".DS_Store").touch()
    (folder / "dog" / "Thumbs.db").touch()
    data = load(folder)
    assert (data.name, data.kind) == ("pets", "image")
    assert data.train.x.shape == (8, channels, 4, 6)
    assert data.train.x.dtype == np.uint8
    np.testing.assert_array_equal(data.train.y, data.train.x[:, 0, 0, 0] < 50)
    assert data.test.y.sum() == 1
    assert (data.sensitive_name, data.other_name) == ("cat", "dog")


def test_grey_and_colour_together_are_colour(tmp_path: Path) -> None:
    folder = pictures(tmp_path)
    save(folder / "cat" / "grey.png", 7, "L")
    data = load(folder)
    assert data.train.x.shape[1:] == (3, 4, 6)
    assert "1 of the 11 pictures are grey, the others in colour" in data.note
    (folder / "cat" / "grey.png").unlink()
    assert load(folder).note == ""


def test_channels_come_first_in_rgb_order(tmp_path: Path) -> None:
    pictures(tmp_path)
    for path in tmp_path.glob("*/*.png"):
        Image.new("RGB", (6, 4), (1, 2, 3)).save(path)
    assert load(tmp_path).train.x[0, :, 0, 0].tolist() == [1, 2, 3]


def test_one_against_the_rest(tmp_path: Path) -> None:
    data = load(pictures(tmp_path, ("bird", "cat", "dog")))
    assert data.other_name == "not cat"
    assert data.train_family is not None
    np.testing.assert_array_equal(data.train.y, data.train_family == "cat")
    assert data.test_family is not None
    assert sorted(data.test_family) == ["bird", "cat", "dog"]


def test_the_sensitive_class_must_be_named(tmp_path: Path) -> None:
    with pytest.raises(UserError, match="classes cat, dog; name the one"):
        load(pictures(tmp_path), None)
    assert load(pictures(tmp_path / "binary", ("0", "1")), None).sensitive_name == "1"


def test_two_sizes_are_refused(tmp_path: Path) -> None:
    folder = pictures(tmp_path)
    save(folder / "dog" / "9.png", 1, size=(5, 4))
    with pytest.raises(UserError, match=r"9\.png is 5 x 4 pixels, .* is 6 x 4"):
        load(folder)


def test_transparency_is_refused(tmp_path: Path) -> None:
    folder = pictures(tmp_path)
    Image.new("RGBA", (6, 4), (1, 2, 3, 128)).save(folder / "dog" / "9.png")
    with pytest.raises(UserError, match=r"9\.png has transparent pixels"):
        load(folder)


def test_deep_pixels_are_refused(tmp_path: Path) -> None:
    folder = pictures(tmp_path)
    Image.fromarray(np.zeros((4, 6), np.uint16)).save(folder / "dog" / "9.png")
    with pytest.raises(UserError, match=r"9\.png has pixels of mode I;16"):
        load(folder)


def test_animations_are_refused(tmp_path: Path) -> None:
    folder = pictures(tmp_path)
    frames = [Image.new("RGB", (6, 4), (value, 0, 0)) for value in (1, 200)]
    frames[0].save(folder / "dog" / "9.gif", save_all=True, append_images=frames[1:])
    with pytest.raises(UserError, match=r"9\.gif holds 2 frames"):
        load(folder)


@pytest.mark.parametrize("suffix", ["png", "jpg", "bmp"])
def test_damaged_pictures_are_named(tmp_path: Path, suffix: str) -> None:
    folder = pictures(tmp_path)
    path = folder / "dog" / f"9.{suffix}"
    noise = np.random.default_rng(0).integers(0, 255, (4, 6, 3), dtype=np.uint8)
    Image.fromarray(noise).save(path)
    raw = path.read_bytes()
    for length in (0, 3, len(raw) // 2, len(raw) - len(raw) // 4):
        path.write_bytes(raw[:length])
        with pytest.raises(UserError, match=rf"dog/9\.{suffix} cannot be decoded"):
            load(folder)


def test_flat_arrays_make_a_table(tmp_path: Path) -> None:
    for index in range(10):
        save_array(tmp_path / ("cat" if index % 2 else "dog") / f"{index}.npy", [index, -2 * index])
    data = load(tmp_path)
    assert data.kind == "table"
    assert data.feature_names == ["x0", "x1"]
    assert data.train.x.dtype == np.float64
    np.testing.assert_array_equal(data.train.x[:, 1], -2 * data.train.x[:, 0])
    np.testing.assert_array_equal(data.train.y, data.train.x[:, 0] % 2)


@pytest.mark.parametrize(
    ("shape", "dtype", "expected"),
    [
        ((4, 5), np.uint8, ((1, 4, 5), np.uint8)),
        ((3, 4, 5), np.uint8, ((3, 4, 5), np.uint8)),
        ((4, 5), np.float64, ((1, 4, 5), np.float32)),
    ],
)
def test_image_arrays(
    tmp_path: Path, shape: tuple[int, ...], dtype: type, expected: tuple[tuple[int, ...], type]
) -> None:
    for index in range(4):
        value = 200 if dtype is np.uint8 else 1  # 1 is white in floats only
        save_array(tmp_path / "cd"[index % 2] / f"{index}.npy", np.full(shape, value, dtype))
    data = load(tmp_path, "c")
    assert data.kind == "image"
    assert data.train.x.shape[1:] == expected[0]
    assert data.train.x.dtype == expected[1]


@pytest.mark.parametrize(
    ("array", "reason"),
    [
        (np.zeros((5, 6, 7)), "expected \\(features,\\)"),
        (np.zeros((2, 3, 4, 5)), "expected \\(features,\\)"),
        (np.full((4, 5), 1.5), "store them as uint8"),
        (np.zeros((4, 5), np.int64), "store them as uint8"),
        (np.array([np.nan]), "holds NaN"),
        (np.array(["text"]), "does not hold an array of real numbers"),
        (np.float64(3), "does not hold an array of real numbers"),
        (np.array([None], dtype=object), "not a whole .npy file"),
    ],
)
def test_arrays_without_a_meaning(tmp_path: Path, array: object, reason: str) -> None:
    for index in range(4):
        save_array(tmp_path / "cd"[index % 2] / f"{index}.npy", array)
    with pytest.raises(UserError, match=reason):
        load(tmp_path, "c")


def test_damaged_or_odd_arrays_are_named(tmp_path: Path) -> None:
    for index in range(4):
        save_array(tmp_path / "cd"[index % 2] / f"{index}.npy", np.zeros(5))
    path = tmp_path / "d" / "3.npy"
    raw = path.read_bytes()
    for length in (0, 5, 60, len(raw) - 1):
        path.write_bytes(raw[:length])
        with pytest.raises(UserError, match=r"d/3\.npy is not a whole \.npy"):
            load(tmp_path, "c")
    save_array(path, np.zeros(6))
    with pytest.raises(UserError, match=r"d/3\.npy has shape \(6,\)"):
        load(tmp_path, "c")


def test_other_files_become_byte_counts(tmp_path: Path) -> None:
    for index in range(4):
        path = tmp_path / "cd"[index % 2] / f"{index}.exe"
        path.parent.mkdir(exist_ok=True)
        path.write_bytes(b"MZ" + b"\0" * (10 + index))
    data = load(tmp_path, "c")
    assert data.kind == "table"
    assert data.feature_names is not None
    assert data.feature_names[0x4D] == "byte_4d"
    assert data.train.x.shape == (2, 256)
    assert data.train.x[:, 0x4D].tolist() == [1, 1]
    np.testing.assert_array_equal(data.train.y, data.train.x[:, 0] % 2 == 0)
    assert "256 byte counts" in data.note


def test_a_folder_without_two_classes_says_what_is_expected(tmp_path: Path) -> None:
    expected = r"expected one sub-folder per class, .*/cat/1\.png and .*/dog/1\.png"
    (tmp_path / "new").mkdir()
    with pytest.raises(UserError, match=rf"new is empty; {expected}"):
        load(tmp_path / "new")
    (tmp_path / "new" / "one.png").touch()
    with pytest.raises(UserError, match=rf"holds 1 file \(such as one\.png\) .*{expected}"):
        load(tmp_path / "new")
    pictures(tmp_path / "single", ("cat",))
    with pytest.raises(UserError, match=rf"has one class folder only, 'cat'; {expected}"):
        load(tmp_path / "single")


def test_empty_mixed_and_nested_folders(tmp_path: Path) -> None:
    folder = pictures(tmp_path / "mixed")
    (folder / "cat" / "notes.txt").write_text("hello")
    with pytest.raises(UserError, match=r"mixes 10 pictures and 1 other files .*notes\.txt"):
        load(folder)
    (folder / "cat" / "notes.txt").unlink()
    (folder / "empty").mkdir()
    with pytest.raises(UserError, match="empty is empty"):
        load(folder)
    with pytest.raises(UserError, match="is a folder inside the class 'mixed'"):
        load(tmp_path)
    with pytest.raises(
        UserError, match=r"cat holds 5 files \(such as 0\.png\) and no sub-folders; exp"
    ):
        load(tmp_path / "mixed" / "cat")
    (tmp_path / "bytes" / "cat").mkdir(parents=True)
    (tmp_path / "bytes" / "dog").mkdir()
    for name in ("cat/a", "cat/b", "dog/a", "dog/b"):
        (tmp_path / "bytes" / name).touch()
    with pytest.raises(UserError, match="cat/a is empty"):
        load(tmp_path / "bytes")
