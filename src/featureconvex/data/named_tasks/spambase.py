"""UCI Spambase: 4601 mails, 57 frequencies each, 1813 of them spam.

Source: M. Hopkins, E. Reeber, G. Forman, J. Suermondt, "Spambase", 1999,
https://doi.org/10.24432/C53G6X. The file has no header; the label (1: spam) is the last column.
"""

import hashlib
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from featureconvex.data.dataset import Dataset, Split
from featureconvex.data.location import VARIABLE, Location, first_existing
from featureconvex.data.named_tasks.archive import extract
from featureconvex.data.named_tasks.download import RemoteFile, fetch
from featureconvex.data.split import stratified_split
from featureconvex.errors import UserError

FILE = "spambase.data"
ARCHIVE = "spambase.zip"
REMOTE = RemoteFile(
    ("https://archive.ics.uci.edu/static/public/94/spambase.zip",),
    "6159c57c5571b3c20218e32fc94e8e91",
)
ROWS, FEATURES, SPAM = 4601, 57, 1813
WORDS = (
    "make address all 3d our over remove internet order mail receive will people report addresses "
    "free business email you credit your font 000 money hp hpl george 650 lab labs telnet 857 data "
    "415 85 technology 1999 parts pm direct cs meeting original project re edu table conference"
)
FEATURE_NAMES = [
    *(f"word_freq_{word}" for word in WORDS.split()),
    *(f"char_freq_{character}" for character in ";([!$#"),
    *(f"capital_run_length_{statistic}" for statistic in ("average", "longest", "total")),
]
FINGERPRINT = "d68e267ef3454b1d7ceeb81e0410227822f49511476bb917e5c2b07ce11d5b47"
"""SHA-256 of the release's rows in canonical order, as little-endian float64."""


@dataclass(frozen=True)
class SpambaseReader:
    """Reads Spambase; the split does not depend on the order of the rows in the file.

    The release repeats 391 of its rows. They are kept, as is usual, so some test mails have a twin
    among the training mails; the note of the data set counts them.
    """

    def locate(self, data_dir: Path) -> Location:
        """Whether ``spambase.data``, or the archive that holds it, is in the data folder."""
        found = _find(data_dir)
        if found is not None:
            return Location(True, str(found))
        if _archive(data_dir) is not None:
            return Location(True, f"{_archive(data_dir)} (unpacked on first use)")
        target = data_dir / "spambase" / FILE
        how = f"downloaded on first use from {REMOTE.urls[0]}, or put {FILE} at {target}"
        return Location(False, str(target), how)

    def load(self, name: str, data_dir: Path, download: bool) -> Dataset:
        """Read the mails, put them into canonical order, split each class 80 to 20.

        Raises:
            UserError: the file is missing and cannot be downloaded, or is damaged.
        """
        path = _find(data_dir) or _obtain(data_dir, download)
        stored = read_table(path)
        order = canonical_order(stored)
        table = stored[order]
        x, y = np.ascontiguousarray(table[:, :-1]), table[:, -1].astype(np.int8)
        train, test = stratified_split(y)
        return Dataset(
            name=name,
            train=Split(x[train], y[train]),
            test=Split(x[test], y[test]),
            kind="table",
            sensitive_name="spam",
            other_name="not spam",
            feature_names=list(FEATURE_NAMES),
            source=str(path),
            note=_note(table, twins(x[train], x[test])),
            train_rows=order[train],
            test_rows=order[test],
            rows_from=f"a line of {FILE}, counted from 0",
        )


def read_table(path: Path) -> NDArray[np.float64]:
    """The 4601 x 58 numbers of the file.

    Raises:
        UserError: unreadable, not numbers, another shape, a negative or non-finite value, a label
            other than 0 and 1, or another number of spam mails.
    """
    try:
        lines = path.read_text().splitlines()
        table = np.loadtxt(lines, delimiter=",", ndmin=2) if lines else np.empty((0, 0))
    except OSError as error:
        raise UserError(f"cannot read {path}: {error.strerror or error}") from error
    except ValueError as error:
        raise _damaged(path, str(error).splitlines()[0].rstrip(".")) from error
    if table.shape != (ROWS, FEATURES + 1):
        raise _damaged(path, f"it has shape {table.shape}, not ({ROWS}, {FEATURES + 1})")
    if not (np.isfinite(table).all() and (table >= 0).all()):
        raise _damaged(path, "a value is negative or not finite")
    if not np.isin(table[:, -1], (0, 1)).all() or table[:, -1].sum() != SPAM:
        raise _damaged(path, f"the last column is not {SPAM} ones and else zeros")
    return table


def canonical_order(table: NDArray[Any]) -> NDArray[np.intp]:
    """The numbers of the rows, sorted by first column, then second, and so on.

    Copies of the data set differ in the order of their rows, and must not differ in their split.
    """
    return np.lexsort(table.T[::-1])


def fingerprint(table: NDArray[Any]) -> str:
    """SHA-256 of a table as little-endian float64."""
    return hashlib.sha256(np.ascontiguousarray(table, dtype="<f8").tobytes()).hexdigest()


def twins(train: NDArray[Any], test: NDArray[Any]) -> int:
    """How many test rows are also training rows.

    >>> twins(np.array([[0.0], [1.0]]), np.array([[1.0], [1.0], [2.0]]))
    2
    """
    known = {row.tobytes() for row in train}
    return sum(row.tobytes() in known for row in test)


def _note(table: NDArray[Any], repeated: int) -> str:
    remarks = []
    if fingerprint(table) != FINGERPRINT:
        remarks.append("The values differ from those of the UCI release.")
    if repeated:
        remarks.append(
            f"The data repeats rows: {repeated} test mails have an identical twin among the "
            "training mails."
        )
    return " ".join(remarks)


def _find(data_dir: Path) -> Path | None:
    return first_existing([data_dir / "spambase" / FILE, data_dir / FILE])


def _archive(data_dir: Path) -> Path | None:
    return first_existing([data_dir / "spambase" / ARCHIVE, data_dir / ARCHIVE])


def _obtain(data_dir: Path, download: bool) -> Path:
    target = data_dir / "spambase" / FILE
    present = _archive(data_dir)
    if present is None and not download:
        raise UserError(
            f"Spambase is not here: {target} is missing; allow the download, put the file there, "
            f"or point --data-dir or {VARIABLE} at a folder that has it"
        )
    extract(present or fetch(REMOTE, target.with_name(ARCHIVE)), {FILE: target})
    return target


def _damaged(path: Path, what: str) -> UserError:
    return UserError(f"{path} is not the whole Spambase: {what}; delete it and get it again")
