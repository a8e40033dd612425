"""A user's own folder: one sub-folder per class, one file per example."""

from dataclasses import dataclass
from pathlib import Path

import numpy as np

from featureconvex.data import samples
from featureconvex.data.classes import choose_sensitive
from featureconvex.data.dataset import Dataset, Split
from featureconvex.data.location import Location
from featureconvex.data.split import stratified_split
from featureconvex.errors import UserError

LITTER = frozenset({"thumbs.db", "desktop.ini"})
"""Files that a desktop leaves behind; they and hidden files are no examples."""


@dataclass(frozen=True)
class FolderReader:
    """Reads a folder of classes: pictures, ``.npy`` arrays, or any files as byte counts.

    Attributes:
        path: the folder.
        sensitive: the sub-folder of the sensitive class; with more than two sub-folders the others
            together are class 0.
    """

    path: Path
    sensitive: str | None

    def locate(self, data_dir: Path) -> Location:
        """Whether the folder exists."""
        found = self.path.is_dir()
        return Location(found, str(self.path), "" if found else f"put the folder at {self.path}")

    def load(self, name: str, data_dir: Path, download: bool) -> Dataset:
        """Read every file; every class is split 80 to 20.

        Raises:
            UserError: no two classes, an unknown sensitive class, mixed or damaged files, or
                examples of different sizes.
        """
        classes = _list_classes(self.path)
        if len(classes) < 2:
            raise _too_few_classes(self.path, list(classes))
        sensitive, other = choose_sensitive(sorted(classes), self.sensitive, str(self.path))
        paths = [path for files in classes.values() for path in files]
        labels = np.array([path.parent.name for path in paths], dtype=np.str_)
        found = samples.read_samples(paths)
        train, test = stratified_split(labels)
        y = (labels == sensitive).astype(np.int8)
        several = len(classes) > 2
        return Dataset(
            name=name,
            train=Split(found.x[train], y[train]),
            test=Split(found.x[test], y[test]),
            kind="table" if found.names is not None else "image",
            sensitive_name=sensitive,
            other_name=other,
            feature_names=found.names,
            source=str(self.path),
            note=found.note,
            train_family=labels[train] if several else None,
            test_family=labels[test] if several else None,
        )


def _list_classes(folder: Path) -> dict[str, list[Path]]:
    """The files of every class, both in alphabetical order."""
    classes = {}
    for child in _visible(folder):
        if not child.is_dir():
            continue
        files = _visible(child)
        nested = next((path for path in files if path.is_dir()), None)
        if nested is not None:
            raise UserError(
                f"{nested} is a folder inside the class {child.name!r}; put the examples directly "
                "into one folder per class (the split into train and test is made for you)"
            )
        if not files:
            raise UserError(f"the class folder {child} is empty; fill it or remove it")
        classes[child.name] = files
    return classes


def _too_few_classes(folder: Path, classes: list[str]) -> UserError:
    """What is there instead of two sub-folders, and what was expected."""
    files = [path for path in _visible(folder) if path.is_file()]
    what = f"{folder} is empty"
    if classes:
        what = f"{folder} has one class folder only, {classes[0]!r}"
    elif files:
        several = "" if len(files) == 1 else "s"
        what = f"{folder} holds {len(files)} file{several} (such as {files[0].name}) and no sub-folders"
    return UserError(
        f"{what}; expected one sub-folder per class, two or more, with the examples in them, such as "
        f"{folder / 'cat' / '1.png'} and {folder / 'dog' / '1.png'}"
    )


def _visible(folder: Path) -> list[Path]:
    return sorted(
        path
        for path in folder.iterdir()
        if not path.name.startswith(".") and path.name.lower() not in LITTER
    )
