"""A task: named data with a sensitive class, found and loaded on demand."""

import os
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Protocol

from featureconvex.data.dataset import Dataset
from featureconvex.data.location import Location, resolve_data_dir


class Reader(Protocol):
    """What each file layout implements."""

    def locate(self, data_dir: Path) -> Location:
        """Whether the files are here; opens none of them."""
        ...

    def load(self, name: str, data_dir: Path, download: bool) -> Dataset:
        """Read the files into a data set of that name."""
        ...


@dataclass(frozen=True)
class Task:
    """Data and the question asked of it.

    Attributes:
        name: what the user types.
        description: one line for a list of tasks.
        sensitive: the class an attacker wants to leave.
        size: training and test examples and their shape, in words.
        reader: finds and reads the files.
        pattern: the family of names this task stands for (``mnist-A-B``), or empty.
    """

    name: str
    description: str
    sensitive: str
    size: str
    reader: Reader = field(repr=False)
    pattern: str = ""

    def locate(self, data_dir: str | os.PathLike[str] | None = None) -> Location:
        """Where the data is, or how to get it.

        Args:
            data_dir: the data folder; None means ``FEATURECONVEX_DATA``, else the user's cache.
        """
        return self.reader.locate(resolve_data_dir(data_dir))

    def load(
        self, data_dir: str | os.PathLike[str] | None = None, download: bool = True
    ) -> Dataset:
        """Read the data, downloading what is missing into the data folder if allowed.

        Args:
            data_dir: as for :meth:`locate`.
            download: False forbids any network access.

        Raises:
            UserError: a file is missing and cannot be had, or is damaged; the message names it.
        """
        return self.reader.load(self.name, resolve_data_dir(data_dir), download)

    def read(self, data_dir: str | os.PathLike[str] | None = None) -> "Task":
        """This task with its data read: what is wrong with them is said now, and loading takes no time.

        Raises:
            UserError: as :meth:`load`.
        """
        return replace(self, reader=_Read(self.reader, self.load(data_dir)))


@dataclass(frozen=True)
class _Read:
    """Files that were read already."""

    reader: Reader
    dataset: Dataset

    def locate(self, data_dir: Path) -> Location:
        return self.reader.locate(data_dir)

    def load(self, name: str, data_dir: Path, download: bool) -> Dataset:
        return self.dataset
