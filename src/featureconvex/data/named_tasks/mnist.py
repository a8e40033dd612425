"""MNIST and Fashion-MNIST: four IDX files each, with an official split into train and test."""

from dataclasses import dataclass
from pathlib import Path
from typing import Any, Generic

import numpy as np
from numpy.typing import NDArray

from featureconvex.data.location import VARIABLE, Location, first_existing
from featureconvex.data.named_tasks.choice import Choice
from featureconvex.data.named_tasks.download import RemoteFile, fetch
from featureconvex.data.named_tasks.idx import read_idx
from featureconvex.data.task import Loaded
from featureconvex.errors import UserError

SIDE = 28
OFFICIAL_COUNTS = {"train": 60_000, "t10k": 10_000}


@dataclass(frozen=True)
class IdxRelease:
    """A data set published as four IDX files.

    Attributes:
        title: its name in messages.
        folders: sub-folders of the data folder it may lie in; a download goes to the first.
        homes: the addresses that serve the files, tried in order.
        checksums: md5 of the published ``.gz`` files (the values torchvision checks too).
        class_names: what labels 0 to 9 mean.
    """

    title: str
    folders: tuple[str, ...]
    homes: tuple[str, ...]
    checksums: tuple[tuple[str, str], ...]
    class_names: tuple[str, ...]


MNIST = IdxRelease(
    title="MNIST",
    folders=("mnist", "MNIST/raw"),
    homes=(
        "https://ossci-datasets.s3.amazonaws.com/mnist/",
        "http://yann.lecun.com/exdb/mnist/",
    ),
    checksums=(
        ("train-images-idx3-ubyte", "f68b3c2dcbeaaa9fbdd348bbdeb94873"),
        ("train-labels-idx1-ubyte", "d53e105ee54ea40749a09fcbcd1e9432"),
        ("t10k-images-idx3-ubyte", "9fb629c4189551a2d022fa330f9573f3"),
        ("t10k-labels-idx1-ubyte", "ec29112dd5afa0611ce80d1b7f02629c"),
    ),
    class_names=tuple("0123456789"),
)

FASHION_MNIST = IdxRelease(
    title="Fashion-MNIST",
    folders=("fashion-mnist", "FashionMNIST/raw"),
    homes=("http://fashion-mnist.s3-website.eu-central-1.amazonaws.com/",),
    checksums=(
        ("train-images-idx3-ubyte", "8d4fb7e6c68d591d4c3dfef9ec88bf0d"),
        ("train-labels-idx1-ubyte", "25c81989df183df01b3e8a0aad5dffbe"),
        ("t10k-images-idx3-ubyte", "bef4ecab320f06d8554ea6380940ec79"),
        ("t10k-labels-idx1-ubyte", "bb300cfdad3c16e7a12a480ee83cd310"),
    ),
    class_names=(
        "T-shirt/top",
        "trouser",
        "pullover",
        "dress",
        "coat",
        "sandal",
        "shirt",
        "sneaker",
        "bag",
        "ankle boot",
    ),
)


@dataclass(frozen=True)
class IdxReader(Generic[Loaded]):
    """Reads some classes of an :class:`IdxRelease`.

    The user's own files are checked by their structure, not by checksum: the gzip stream of a
    lossless copy differs from the published one.
    """

    release: IdxRelease
    chosen: Choice[Loaded]

    def locate(self, data_dir: Path) -> Location:
        """Whether all four files are in one of the release's folders."""
        folder = self._folder(data_dir)
        missing = [stem for stem, _ in self.release.checksums if _find(folder, stem) is None]
        if not missing:
            return Location(True, str(folder))
        how = (
            f"downloaded on first use from {self.release.homes[0]}, or put "
            f"{', '.join(stem + '.gz' for stem in missing)} into {folder}"
        )
        return Location(False, str(folder), how)

    def load(self, name: str, data_dir: Path, download: bool) -> Loaded:
        """Read the classes' rows of both official halves, in the order of the files.

        Raises:
            UserError: a file is missing and cannot be downloaded, or is damaged.
        """
        folder = self._folder(data_dir)
        files = {
            stem: self._obtain(folder, stem, md5, download) for stem, md5 in self.release.checksums
        }
        halves: dict[str, tuple[NDArray[Any], NDArray[np.uint8]]] = {}
        rows: dict[str, NDArray[np.int64]] = {}
        remarks = []
        for half, official in OFFICIAL_COUNTS.items():
            images, labels = _read_half(
                files[f"{half}-images-idx3-ubyte"], files[f"{half}-labels-idx1-ubyte"]
            )
            if len(labels) != official:
                remarks.append(
                    f"{files[f'{half}-labels-idx1-ubyte'].name} has {len(labels):,} of {official:,} labels"
                )
            halves[half] = images, labels
            rows[half] = self.chosen.rows(labels)
        return self.chosen.dataset(
            halves["train"],
            halves["t10k"],
            name=name,
            kind="image",
            source=str(folder),
            train_rows=rows["train"],
            test_rows=rows["t10k"],
            rows_from=f"an image of the official test file of {self.release.title}, counted from 0",
            note=f"Not the whole {self.release.title}: {'; '.join(remarks)}." if remarks else "",
        )

    def _folder(self, data_dir: Path) -> Path:
        candidates = [data_dir / folder for folder in self.release.folders]
        return first_existing(candidates) or candidates[0]

    def _obtain(self, folder: Path, stem: str, md5: str, download: bool) -> Path:
        present = _find(folder, stem)
        if present is not None:
            return present
        target = folder / f"{stem}.gz"
        if not download:
            raise UserError(
                f"{self.release.title} is not here: {target} is missing; allow the download, put the "
                f"file there, or point --data-dir or {VARIABLE} at a folder that has it"
            )
        urls = tuple(f"{home}{stem}.gz" for home in self.release.homes)
        return fetch(RemoteFile(urls, md5), target)


def _find(folder: Path, stem: str) -> Path | None:
    """The file under any of its usual names: gzipped or not, ``-idx`` or ``.idx``."""
    dotted = stem.replace("-idx", ".idx")
    return first_existing([folder / name for name in (f"{stem}.gz", stem, f"{dotted}.gz", dotted)])


def _read_half(images_path: Path, labels_path: Path) -> tuple[NDArray[Any], NDArray[np.uint8]]:
    """Images (n, 1, 28, 28) and labels (n,), checked against each other."""
    images, labels = read_idx(images_path), read_idx(labels_path)
    if images.ndim != 3 or images.shape[1:] != (SIDE, SIDE):
        raise UserError(f"{images_path} holds shape {images.shape}, expected (n, {SIDE}, {SIDE})")
    if labels.ndim != 1 or (labels.size and labels.max() > 9):
        raise UserError(f"{labels_path} does not hold labels 0 to 9 in one dimension; get it again")
    if len(images) != len(labels):
        raise UserError(
            f"{images_path} has {len(images)} images but {labels_path} has {len(labels)} labels; "
            "they are not of one release, get both again"
        )
    return images[:, None], labels
