"""What a task loads: two splits of arrays and the words a report needs to describe them."""

from abc import ABC, abstractmethod
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Literal

import numpy as np
from numpy.typing import NDArray

from featureconvex.errors import UserError

if TYPE_CHECKING:
    import pandas as pd
    from torch import Tensor

    from featureconvex.data.files.representation import Representation
    from featureconvex.data.files.samples import FileKind
    from featureconvex.data.schema.form import TableForm
    from featureconvex.data.schema.schema import Schema
    from featureconvex.data.tables.columns import Column

Kind = Literal["image", "table"]


@dataclass(frozen=True, eq=False)
class Labelled:
    """Inputs and labels of one half of a data set.

    Attributes:
        x: the inputs, one per row. The dtype says the unit:
            uint8 (n, c, h, w) images, 255 is white;
            float32 (n, c, h, w) images already in [0, 1];
            float64 (n, d) tables, in the units of the file.
        y: (n,) whole numbers.

    Raises:
        UserError: the two do not belong together.
    """

    x: NDArray[Any]
    y: NDArray[Any]

    def __post_init__(self) -> None:
        if len(self.x) != len(self.y):
            raise UserError(f"{len(self.x)} inputs but {len(self.y)} labels; they must pair up")

    def __len__(self) -> int:
        """The number of examples."""
        return len(self.y)


@dataclass(frozen=True, eq=False)
class Split(Labelled):
    """The same where one class is sensitive.

    Attributes:
        y: int8 (n,), 1 for the sensitive class, 0 for the other.

    Raises:
        UserError: as there, or a label is neither 0 nor 1.
    """

    y: NDArray[np.int8]

    def __post_init__(self) -> None:
        super().__post_init__()
        if self.y.dtype != np.int8 or not np.isin(self.y, (0, 1)).all():
            raise UserError("labels must be int8, 1 for the sensitive class and 0 for the other")


@dataclass(frozen=True, eq=False, kw_only=True)
class LabelledData(ABC):
    """What is known of a loaded task, whatever is asked of its classes.

    Attributes:
        name: the task's name.
        train: the examples to fit on.
        test: the examples to report on.
        kind: ``"image"`` or ``"table"``.
        feature_names: the columns of a table, None for images.
        feature_groups: for a table with one-hot columns, the number of the source column of every
            feature (features with an equal number change as one); None where each stands alone.
        source: where the data was found.
        note: what a reader of the numbers must know (a re-encoding, an incomplete release ...).
        train_family: a finer label of every training example (malware families), or None.
        test_family: the same for the test examples.
        columns: of a table of the user's own, what each column is; None for any other data.
        files: the kind of files that hold one example each, or None.
        counts: what of other files was counted, where that was said.
        train_rows: where each training example comes from: int64 numbers from 0, or file names.
        test_rows: the same for the test examples.
        test_sizes: bytes of each test file, or None.
        rows_from: what those numbers or names are, in words that follow "row".
        test_kept: columns of the test rows that the user wants to see again, or None.
        schema: what the user said about the columns of a table, or None.
        form: how its CSV file is written, where that was said.

    Raises:
        UserError: a split lacks one of the classes.
    """

    name: str
    train: Labelled
    test: Labelled
    kind: Kind
    source: str
    feature_names: list[str] | None = None
    feature_groups: list[int] | None = None
    note: str = ""
    train_family: NDArray[np.str_] | None = None
    test_family: NDArray[np.str_] | None = None
    columns: "tuple[Column, ...] | None" = None
    files: "FileKind | None" = None
    counts: "Representation | None" = None
    train_rows: NDArray[Any] | None = None
    test_rows: NDArray[Any] | None = None
    test_sizes: NDArray[np.int64] | None = None
    rows_from: str = ""
    test_kept: "pd.DataFrame | None" = None
    schema: "Schema | None" = None
    form: "TableForm | None" = None

    def __post_init__(self) -> None:
        for split_name, split in (("training", self.train), ("test", self.test)):
            for label, class_name in reversed(list(enumerate(self.class_names))):
                if not (split.y == label).any():
                    every = "both" if len(self.class_names) == 2 else "all"
                    raise UserError(
                        f"{self.name}: the {split_name} data from {self.source} has no example of "
                        f"class {class_name!r}; {every} classes are needed, so complete the data"
                    )

    @property
    @abstractmethod
    def class_names(self) -> tuple[str, ...]:
        """What the labels 0, 1, ... are called."""


@dataclass(frozen=True, eq=False, kw_only=True)
class Dataset(LabelledData):
    """A loaded task with one sensitive class.

    Attributes:
        sensitive_name: what class 1 is called.
        other_name: what class 0 is called.
    """

    train: Split
    test: Split
    sensitive_name: str
    other_name: str

    @property
    def class_names(self) -> tuple[str, ...]:
        """The other class and the sensitive one."""
        return self.other_name, self.sensitive_name


def to_tensor(x: NDArray[Any]) -> "Tensor":
    """Inputs as the models take them: a fresh torch tensor of the same shape.

    Images become float32 in [0, 1] (uint8 is divided by 255, correctly rounded; float32 is taken
    as it is); tables stay float64 in their own units.

    Raises:
        UserError: another dtype, or a float32 image outside [0, 1].

    >>> to_tensor(np.array([[[[0, 255]]]], dtype=np.uint8))
    tensor([[[[0., 1.]]]])
    """
    import torch

    if x.dtype == np.uint8:
        return torch.tensor(x).to(torch.float32).div_(255)
    if x.dtype == np.float64:
        return torch.tensor(x)
    if x.dtype == np.float32:
        if x.size and not (x.min() >= 0 and x.max() <= 1):
            raise UserError(
                "float32 images must lie in [0, 1]; divide by the largest pixel value first, "
                "or pass a table as float64"
            )
        return torch.tensor(x)
    raise UserError(
        f"inputs of dtype {x.dtype} have no known unit; "
        "use uint8 (0 to 255) or float32 (0 to 1) for images, float64 for tables"
    )
