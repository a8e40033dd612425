"""A user's own folder: one sub-folder per class, one file per example."""

from dataclasses import dataclass
from pathlib import Path
from typing import Generic

import numpy as np

from featureconvex.data.classes.order import in_order
from featureconvex.data.classes.question import Question
from featureconvex.data.files.contents import shown
from featureconvex.data.files.listing import list_classes, visible
from featureconvex.data.files.representation import Representation
from featureconvex.data.location import Location
from featureconvex.data.source import read_source
from featureconvex.data.split import stratified_split
from featureconvex.data.task import Loaded
from featureconvex.errors import UserError


@dataclass(frozen=True)
class FolderReader(Generic[Loaded]):
    """Reads a folder of classes: pictures, ``.npy`` arrays, or any files as byte counts.

    Attributes:
        path: the folder.
        question: what is asked of the sub-folders, each of which is a class. Of one sensitive class out of
            more than two the others together are class 0.
        counts: read files as counts of their bytes, whatever they are; None goes by their names.
    """

    path: Path
    question: Question[Loaded]
    counts: Representation | None = None

    def locate(self, data_dir: Path) -> Location:
        """Whether the folder exists."""
        found = self.path.is_dir()
        return Location(found, str(self.path), "" if found else f"put the folder at {self.path}")

    def load(self, name: str, data_dir: Path, download: bool) -> Loaded:
        """Read every file; every class is split 80 to 20.

        Raises:
            UserError: no two classes, an unknown sensitive class, mixed or damaged files, or
                examples of different sizes.
        """
        classes = list_classes(self.path)
        if len(classes) < 2:
            raise _too_few_classes(self.path, list(classes))
        names = in_order(map(shown, classes))
        sides = self.question.sides(names, shown(self.path))
        source = read_source(self.path, counts=self.counts)
        found = source.samples
        assert found is not None
        labels = np.array([Path(row).parent.name for row in source.rows], dtype=np.str_)
        train, test = stratified_split(labels)
        return sides.dataset(
            found.x,
            labels,
            (train, test),
            name=name,
            kind="table" if found.names is not None else "image",
            feature_names=found.names,
            source=shown(self.path),
            note=found.note,
            train_rows=source.rows[train],
            test_rows=source.rows[test],
            test_sizes=None if source.sizes is None else source.sizes[test],
            rows_from=f"a file in {shown(self.path)}",
            files=found.kind,
            counts=self.counts,
        )


def _too_few_classes(folder: Path, classes: list[str]) -> UserError:
    """What is there instead of two sub-folders, and what was expected."""
    files = [path for path in visible(folder) if path.is_file()]
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
