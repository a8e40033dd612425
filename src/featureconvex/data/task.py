"""A task: named data and what is asked of them, found and loaded on demand."""

import os
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Generic, Protocol, Self, TypeVar

from featureconvex.data.classes.dataset import ClassDataset
from featureconvex.data.dataset import Dataset, LabelledData
from featureconvex.data.location import Location, resolve_data_dir

Loaded = TypeVar("Loaded", bound=LabelledData)
Loads = TypeVar("Loads", bound=LabelledData, covariant=True)


class Reader(Protocol[Loads]):
    """What each file layout implements."""

    def locate(self, data_dir: Path) -> Location:
        """Whether the files are here; opens none of them."""
        ...

    def load(self, name: str, data_dir: Path, download: bool) -> Loads:
        """Read the files into a data set of that name."""
        ...


@dataclass(frozen=True, kw_only=True)
class NamedData(Generic[Loaded]):
    """Data under a name, whatever is asked of them.

    Attributes:
        name: what the user types.
        description: one line for a list of tasks.
        size: training and test examples and their shape, in words.
        reader: finds and reads the files.
        pattern: the family of names this task stands for (``mnist-A-B``), or empty.
    """

    name: str
    description: str
    size: str
    reader: Reader[Loaded] = field(repr=False)
    pattern: str = ""

    def locate(self, data_dir: str | os.PathLike[str] | None = None) -> Location:
        """Where the data is, or how to get it.

        Args:
            data_dir: the data folder; None means ``FEATURECONVEX_DATA``, else the user's cache.
        """
        return self.reader.locate(resolve_data_dir(data_dir))

    def load(self, data_dir: str | os.PathLike[str] | None = None, download: bool = True) -> Loaded:
        """Read the data, downloading what is missing into the data folder if allowed.

        Args:
            data_dir: as for :meth:`locate`.
            download: False forbids any network access.

        Raises:
            UserError: a file is missing and cannot be had, or is damaged; the message names it.
        """
        return self.reader.load(self.name, resolve_data_dir(data_dir), download)

    def read(self, data_dir: str | os.PathLike[str] | None = None) -> Self:
        """This task with its data read: what is wrong with them is said now, and loading takes no time.

        Raises:
            UserError: as :meth:`load`.
        """
        return replace(self, reader=_Read(self.reader, self.load(data_dir)))


@dataclass(frozen=True, kw_only=True)
class Task(NamedData[Dataset]):
    """Data with one sensitive class, or a set of them.

    Attributes:
        sensitive: the class an attacker wants to leave.
    """

    sensitive: str


@dataclass(frozen=True, kw_only=True)
class ClassTask(NamedData[ClassDataset]):
    """Data of several classes, each of which is to stay what it is."""


@dataclass(frozen=True)
class _Read(Generic[Loaded]):
    """Files that were read already."""

    reader: Reader[Loaded]
    dataset: Loaded

    def locate(self, data_dir: Path) -> Location:
        return self.reader.locate(data_dir)

    def load(self, name: str, data_dir: Path, download: bool) -> Loaded:
        return self.dataset
