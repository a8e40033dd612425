"""What a task of several classes loads, each of which is to stay what it is."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from featureconvex.data.dataset import Labelled, LabelledData
from featureconvex.errors import UserError


@dataclass(frozen=True, eq=False)
class ClassSplit(Labelled):
    """One half of a data set whose labels are the numbers of their classes.

    Attributes:
        y: int64 (n,), from 0.

    Raises:
        UserError: inputs and labels do not pair up, or a label is no number from 0 on.
    """

    y: NDArray[np.int64]

    def __post_init__(self) -> None:
        super().__post_init__()
        if self.y.dtype != np.int64 or (self.y < 0).any():
            raise UserError("labels of several classes must be int64, their numbers from 0 on")


@dataclass(frozen=True, eq=False, kw_only=True)
class ClassDataset(LabelledData):
    """A loaded task of several classes.

    Attributes:
        classes: what the labels 0, 1, ... are called.
    """

    train: ClassSplit
    test: ClassSplit
    classes: tuple[str, ...]

    @property
    def class_names(self) -> tuple[str, ...]:
        """What the labels are called."""
        return self.classes

    def check_counts(self) -> None:
        """Make sure that each class has points to fit and to validate.

        Raises:
            UserError: one has too few, naming it.
        """
        counts = np.bincount(self.train.y, minlength=len(self.classes))
        rarest = int(counts.argmin())
        if counts[rarest] < 2:
            raise UserError(
                f"class {self.classes[rarest]!r} has {counts[rarest]} training points besides its test "
                "points, and 2 are needed; give it more rows, or leave it out"
            )
