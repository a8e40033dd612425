"""Malimg: 9339 malware files drawn as grey pictures, in one folder per family.

Source: L. Nataraj, S. Karthikeyan, G. Jacob, B. Manjunath, "Malware images: visualization and
automatic classification", VizSec 2011. There is no clean class: as in the paper, the family
Allaple.A stands in for it.
"""

from dataclasses import dataclass
from pathlib import Path
from typing import Literal

import numpy as np

from featureconvex.data.dataset import Dataset, Split
from featureconvex.data.files.pictures import Pixels, read_pixels, stack
from featureconvex.data.location import VARIABLE, Location, first_existing
from featureconvex.data.split import stratified_split
from featureconvex.errors import UserError

FOLDER = "malimg_paper_dataset_imgs"
CLEAN_FAMILY = "Allaple.A"
SIDE = 512
OFFICIAL_FAMILIES, OFFICIAL_IMAGES = 25, 9339
HOME = "https://www.dropbox.com/s/ep8qjakfwh1rzk4/malimg_dataset.zip"

Fit = Literal["crop", "resize"]


@dataclass(frozen=True)
class MalimgReader:
    """Reads the official folder of PNGs, each brought to 512 x 512.

    Attributes:
        fit: ``"crop"`` takes the central square and pads smaller pictures with zeros, as the paper
            does; ``"resize"`` scales the whole picture.
        side: the side of the square.
    """

    fit: Fit = "crop"
    side: int = SIDE

    def locate(self, data_dir: Path) -> Location:
        """Whether the official folder is in the data folder."""
        found = _find(data_dir)
        if found is not None:
            return Location(True, str(found))
        return Location(False, str(data_dir / FOLDER), _how(data_dir))

    def load(self, name: str, data_dir: Path, download: bool) -> Dataset:
        """Read all families; every family is split 80 to 20.

        The families differ in size and are kept as they are; they come back in ``train_family``
        and ``test_family``. Nothing is downloaded: no checksum of the archive was ever published.

        Raises:
            UserError: the folder is missing, has no Allaple.A or no other family, or a picture is
                damaged.
        """
        folder = _find(data_dir)
        if folder is None:
            raise UserError(f"Malimg is not here: {_how(data_dir)}")
        paths = sorted(folder.glob("*/*.png"))
        names = np.array([f"{path.parent.name}/{path.name}" for path in paths], dtype=np.str_)
        family = np.array([path.parent.name for path in paths], dtype=np.str_)
        _check_families(set(family), folder)
        y = (family != CLEAN_FAMILY).astype(np.int8)
        train, test = stratified_split(family)
        return Dataset(
            name=name,
            train=Split(self._read([paths[row] for row in train]), y[train]),
            test=Split(self._read([paths[row] for row in test]), y[test]),
            kind="image",
            sensitive_name="malware",
            other_name=f"{CLEAN_FAMILY} (standing in for clean)",
            source=str(folder),
            note=_note(len(set(family)), len(paths)),
            train_family=family[train],
            test_family=family[test],
            train_rows=names[train],
            test_rows=names[test],
            rows_from=f"a picture in {folder}",
        )

    def _read(self, paths: list[Path]) -> Pixels:
        fit = centre_crop if self.fit == "crop" else resize
        return stack(
            paths,
            lambda path: fit(read_pixels(path, grey=True), self.side),
            (1, self.side, self.side),
        )


def centre_crop(pixels: Pixels, side: int) -> Pixels:
    """The central square: uint8 (c, h, w) -> (c, side, side), zeros where the picture ends.

    >>> centre_crop(np.array([[[1, 2, 3]]], dtype=np.uint8), 2)
    array([[[1, 2],
            [0, 0]]], dtype=uint8)
    """
    square = np.zeros((pixels.shape[0], side, side), dtype=np.uint8)
    (to_row, from_row, rows), (to_column, from_column, columns) = (
        _overlap(size, side) for size in pixels.shape[1:]
    )
    square[:, to_row : to_row + rows, to_column : to_column + columns] = pixels[
        :, from_row : from_row + rows, from_column : from_column + columns
    ]
    return square


def _overlap(size: int, side: int) -> tuple[int, int, int]:
    """Where the overlap starts in the square and in the picture, and how long it is."""
    return max((side - size) // 2, 0), max((size - side) // 2, 0), min(size, side)


def resize(pixels: Pixels, side: int) -> Pixels:
    """The whole picture, averaged or stretched: uint8 (1, h, w) -> (1, side, side)."""
    from PIL import Image

    picture = Image.fromarray(pixels[0]).resize((side, side), Image.Resampling.BOX)
    return np.asarray(picture)[None]


def _find(data_dir: Path) -> Path | None:
    return first_existing([data_dir / FOLDER, data_dir / "malimg" / FOLDER])


def _how(data_dir: Path) -> str:
    return (
        f"unpack its authors' archive ({HOME}) so that {data_dir / FOLDER} holds one folder of PNGs "
        f"per family, or point --data-dir or {VARIABLE} at a folder that has it"
    )


def _check_families(families: set[str], folder: Path) -> None:
    if CLEAN_FAMILY not in families or len(families) < 2:
        raise UserError(
            f"{folder} has PNGs of {len(families)} families, {CLEAN_FAMILY} "
            f"{'among' if CLEAN_FAMILY in families else 'not among'} them; it needs {CLEAN_FAMILY} and at "
            "least one other, as FAMILY/*.png: unpack the archive again"
        )


def _note(families: int, images: int) -> str:
    if (families, images) == (OFFICIAL_FAMILIES, OFFICIAL_IMAGES):
        return ""
    return (
        f"Not the whole Malimg: {families} families with {images:,} pictures, "
        f"the release has {OFFICIAL_FAMILIES} with {OFFICIAL_IMAGES:,}."
    )
