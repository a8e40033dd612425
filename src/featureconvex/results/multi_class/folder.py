"""The folder of a run of several classes, and its points as one-sided summaries count them."""

from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

import numpy as np
import pandas as pd

from featureconvex.errors import UserError
from featureconvex.results.columns import CLOSED_FORM, radius_columns
from featureconvex.results.multi_class.record import ClassRecord, read_class_record
from featureconvex.results.multi_class.rows import read_class_rows, right
from featureconvex.results.radius_rows import RadiusRows
from featureconvex.results.record import RECORD_FILE
from featureconvex.results.rows import ROWS_FILE


@dataclass(frozen=True)
class ClassRun:
    """One run of several classes in memory, checked.

    Attributes:
        points: the rows, see :mod:`featureconvex.results.multi_class.rows`.
        record: what they cannot tell.
    """

    points: pd.DataFrame
    record: ClassRecord

    @property
    def classes(self) -> list[str]:
        """Names, in the order of the scores."""
        return self.record["classes"]

    @cached_property
    def whole(self) -> RadiusRows:
        """All points; with the levels that cover every one of them."""
        names = [c.name for c in radius_columns(map(str, self.points.columns))]
        partial = [name for name in names if self.points[name].isna().any()]
        return self._counted(self.points.drop(columns=partial))

    @cached_property
    def compared(self) -> RadiusRows:
        """The points that every level covers, with all levels."""
        names = [c.name for c in radius_columns(map(str, self.points.columns))]
        return self._counted(self.points[self.points[names].notna().all(axis=1)])

    @property
    def is_partial(self) -> bool:
        """Whether some level covers some of the points only."""
        return len(self.compared.rows) < len(self.points)

    def of_class(self, name: str) -> RadiusRows:
        """The points of one class, closed form."""
        columns = radius_columns(map(str, self.points.columns))
        above = [column.name for column in columns if column.level != CLOSED_FORM]
        return self._counted(self.points[self.points["label"] == name].drop(columns=above))

    def _counted(self, points: pd.DataFrame) -> RadiusRows:
        """Seen one-sidedly: every point is of a class to stay in, and is there if it is predicted so."""
        hit = right(points).astype(np.int8)
        return RadiusRows(points.assign(label=np.ones_like(hit), predicted=hit), self.record)


def read_class_run(directory: Path) -> ClassRun:
    """Read the two files of a run of several classes.

    Raises:
        UserError: the folder or a file is missing or damaged.
    """
    if not directory.is_dir():
        raise UserError(
            f"there is no folder {directory}; `featureconvex run TASK --multi-class own --out {directory}` "
            "makes one"
        )
    record = read_class_record(directory / RECORD_FILE)
    return ClassRun(read_class_rows(directory / ROWS_FILE, record["classes"]), record)
