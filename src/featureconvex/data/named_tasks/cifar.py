"""CIFAR-10 in its official Python layout: six pickled batches of 3072-byte rows.

Source: A. Krizhevsky, "Learning multiple layers of features from tiny images", 2009;
https://www.cs.toronto.edu/~kriz/cifar.html.
"""

import hashlib
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from featureconvex.data.dataset import Dataset
from featureconvex.data.location import VARIABLE, Location, first_existing
from featureconvex.data.named_tasks import safe_pickle
from featureconvex.data.named_tasks.archive import extract
from featureconvex.data.named_tasks.download import RemoteFile, fetch
from featureconvex.data.named_tasks.pair import Pair
from featureconvex.errors import UserError

FOLDER = "cifar-10-batches-py"
ARCHIVE = "cifar-10-python.tar.gz"
REMOTE = RemoteFile(
    ("https://www.cs.toronto.edu/~kriz/cifar-10-python.tar.gz",),
    "c58f30108f718f92721af3b95e74349a",
)
TRAIN_BATCHES = tuple(f"data_batch_{number}" for number in range(1, 6))
TEST_BATCH = "test_batch"
OFFICIAL_MD5 = {
    "data_batch_1": "c99cafc152244af753f735de768cd75f",
    "data_batch_2": "d4bba439e000b95fd0a9bffe97cbabec",
    "data_batch_3": "54ebc095f3ab1f0389bbae665268c751",
    "data_batch_4": "634d18415352ddfa80567beed471001a",
    "data_batch_5": "482c414d41f54cd18b22e5b47cb7c3cb",
    "test_batch": "40351d587109b95175f43aff81a1287e",
}
CLASS_NAMES = (
    "airplane",
    "automobile",
    "bird",
    "cat",
    "deer",
    "dog",
    "frog",
    "horse",
    "ship",
    "truck",
)
PIXELS = 3 * 32 * 32


@dataclass(frozen=True)
class Batch:
    """One file: images uint8 (n, 3, 32, 32), labels (n,), and what tells its origin."""

    images: NDArray[np.uint8]
    labels: NDArray[np.int64]
    official: bool
    from_jpeg: bool


@dataclass(frozen=True)
class CifarReader:
    """Reads two classes of CIFAR-10."""

    pair: Pair

    def locate(self, data_dir: Path) -> Location:
        """Whether the six batches, or the archive that holds them, are in the data folder."""
        missing = _missing(data_dir)
        if not missing:
            return Location(True, str(data_dir / FOLDER))
        if _archive(data_dir) is not None:
            return Location(True, f"{_archive(data_dir)} (unpacked on first use)")
        how = f"downloaded on first use from {REMOTE.urls[0]} (163 MB), or put it, or "
        how += f"{', '.join(missing)} into {FOLDER}, in {data_dir}"
        return Location(False, str(data_dir / FOLDER), how)

    def load(self, name: str, data_dir: Path, download: bool) -> Dataset:
        """Read the pair's rows of the five training batches and of the test batch.

        Raises:
            UserError: a batch is missing and cannot be downloaded, or is damaged.
        """
        _obtain(data_dir, download)
        folder = data_dir / FOLDER
        train = [read_batch(folder / batch) for batch in TRAIN_BATCHES]
        test = read_batch(folder / TEST_BATCH)
        images = np.concatenate([self._rows(batch, batch.images) for batch in train])
        labels = np.concatenate([self._rows(batch, batch.labels) for batch in train])
        return Dataset(
            name=name,
            train=self.pair.select(images, labels),
            test=self.pair.select(test.images, test.labels),
            kind="image",
            sensitive_name=self.pair.sensitive_name,
            other_name=self.pair.other_name,
            source=str(folder),
            train_rows=self.pair.rows(np.concatenate([batch.labels for batch in train])),
            test_rows=self.pair.rows(test.labels),
            rows_from=f"an image of {TEST_BATCH} of CIFAR-10, counted from 0",
            note=describe_origin([*train, test]),
        )

    def _rows(self, batch: Batch, values: NDArray[Any]) -> NDArray[Any]:
        return values[self.pair.mask(batch.labels)]


def read_batch(path: Path) -> Batch:
    """Read one batch without running any code the file may carry.

    Raises:
        UserError: the file is missing, is not a pickle of plain data, or does not hold uint8 rows
            of 3072 bytes with one label from 0 to 9 each.
    """
    try:
        raw = path.read_bytes()
    except OSError as error:
        raise UserError(f"cannot read {path}: {error.strerror or error}") from error
    try:
        content = safe_pickle.loads(raw)
    except safe_pickle.ForbiddenNameError as error:
        raise _damaged(path, f"{error}, which a batch of images does not need") from error
    except Exception as error:  # damaged bytes can make the pickle machine fail in any way
        raise _damaged(path, f"its pickle cannot be read ({type(error).__name__})") from error
    if not isinstance(content, dict):
        raise _damaged(path, f"it holds a {type(content).__name__}, not a dict")
    fields = {_text(key): value for key, value in content.items()}
    data, labels = fields.get("data"), fields.get("labels")
    if not isinstance(data, np.ndarray) or data.dtype != np.uint8 or data.shape[1:] != (PIXELS,):
        raise _damaged(path, f"its 'data' is not a uint8 array of shape (n, {PIXELS})")
    if not isinstance(labels, list) or len(labels) != len(data):
        raise _damaged(path, f"its 'labels' are not a list of {len(data)} numbers")
    if not all(type(label) is int and 0 <= label <= 9 for label in labels):
        raise _damaged(path, "a label is not a whole number from 0 to 9")
    return Batch(
        images=data.reshape(-1, 3, 32, 32),
        labels=np.asarray(labels, dtype=np.int64),
        official=hashlib.md5(raw, usedforsecurity=False).hexdigest() == OFFICIAL_MD5[path.name],
        from_jpeg=_names_end_in_jpg(fields.get("filenames")),
    )


def describe_origin(batches: list[Batch]) -> str:
    """What a reader must know when the files are not the official release; else empty."""
    if all(batch.official for batch in batches):
        return ""
    remarks = ["Not the official CIFAR-10 files (their published checksums differ)"]
    present = np.unique(np.concatenate([batch.labels for batch in batches]))
    if len(present) < len(CLASS_NAMES):
        names = ", ".join(CLASS_NAMES[label] for label in present)
        remarks.append(f"they hold only the classes {names}")
    if all(batch.from_jpeg for batch in batches):
        remarks.append(
            "they name JPEG pictures as their origin, so pixel values are close to the official "
            "release, not equal"
        )
    return f"{'; '.join(remarks)}."


def _names_end_in_jpg(names: object) -> bool:
    if not isinstance(names, list) or not names:
        return False
    return all(_text(name).lower().endswith((".jpg", ".jpeg")) for name in names)


def _text(value: object) -> str:
    return value.decode("latin1") if isinstance(value, bytes) else str(value)


def _missing(data_dir: Path) -> list[str]:
    names = (*TRAIN_BATCHES, TEST_BATCH)
    return [name for name in names if not (data_dir / FOLDER / name).exists()]


def _archive(data_dir: Path) -> Path | None:
    return first_existing([data_dir / ARCHIVE, data_dir / FOLDER / ARCHIVE])


def _obtain(data_dir: Path, download: bool) -> None:
    """Make sure the six batches are in their folder."""
    missing = _missing(data_dir)
    if not missing:
        return
    members = {f"{FOLDER}/{name}": data_dir / FOLDER / name for name in missing}
    present = _archive(data_dir)
    if present is not None:
        extract(present, members)
        return
    if not download:
        raise UserError(
            f"CIFAR-10 is not here: {data_dir / FOLDER} lacks {', '.join(missing)}; allow the "
            f"download, put {ARCHIVE} into {data_dir}, or point --data-dir or {VARIABLE} at a "
            "folder that has it"
        )
    fetched = fetch(REMOTE, data_dir / ARCHIVE)
    extract(fetched, members)
    fetched.unlink()


def _damaged(path: Path, what: str) -> UserError:
    return UserError(f"{path} is not a CIFAR-10 batch: {what}; delete it and get it again")
