"""A user's own table: a CSV or Parquet file with one row per example."""

import shlex
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Generic, Literal

import numpy as np
from numpy.typing import NDArray

from featureconvex.data.classes.order import in_order
from featureconvex.data.classes.question import Question
from featureconvex.data.location import Location
from featureconvex.data.schema.form import TableForm
from featureconvex.data.schema.schema import STD, Schema
from featureconvex.data.source import read_source
from featureconvex.data.split import stratified_split
from featureconvex.data.tables.columns import Column, feature_groups, feature_names
from featureconvex.data.tables.encoding import check_complete, encode
from featureconvex.data.tables.frame import STANDARD_INPUT
from featureconvex.data.tables.labels import class_names
from featureconvex.data.tables.learning import columns_of_schema, learn_columns
from featureconvex.data.task import Loaded
from featureconvex.errors import UserError
from featureconvex.scalars import listed

if TYPE_CHECKING:
    import pandas as pd

Missing = Literal["refuse", "drop"]
MANY_LEVELS = 100
"""A category with more is said to be slow."""


@dataclass(frozen=True)
class TableReader(Generic[Loaded]):
    """Reads a table whose columns are the features and one label.

    Attributes:
        path: the file.
        label: the name of the label column.
        question: what is asked of the classes. Of one sensitive class out of more than two the others
            together are class 0.
        keep: columns that are no features: they are kept beside the test rows as they are written.
        missing: what to do with a row that has a gap: ``"refuse"`` the file, or ``"drop"`` the row.
        schema: what the columns are, where the user says it; its label and ids count.
        form: how a CSV file is written, where that is said; None: commas, decimal points and UTF-8.
    """

    path: Path
    label: str | None
    question: Question[Loaded]
    keep: tuple[str, ...] = ()
    missing: Missing = "refuse"
    schema: Schema | None = None
    form: TableForm | None = None

    def locate(self, data_dir: Path) -> Location:
        """Whether the file exists."""
        found = self.path == STANDARD_INPUT or self.path.is_file()
        return Location(found, str(self.path), "" if found else f"put the file at {self.path}")

    def load(self, name: str, data_dir: Path, download: bool) -> Loaded:
        """Read the file; every class is split 80 to 20.

        Raises:
            UserError: the file cannot be read, the label column is missing or unnamed, the
                sensitive class is unknown, or a column has no use as a feature.
        """
        frame, rows = self._read()
        origin = str(self.path)
        asked = (self.label, *self.keep)
        index = [column for column in frame.attrs.get("index", []) if column not in asked]
        features = frame.drop(columns=[*asked, *index])
        with self._or_described():
            columns = self._columns(features, origin)
            x = encode(features, columns, origin).x
        dropped = 0
        if self.missing == "drop":
            unlabelled = frame[self.label].isna() | (frame[self.label].astype(str) == "")
            whole = np.flatnonzero(np.isfinite(x).all(axis=1) & ~unlabelled.to_numpy(dtype=bool))
            dropped = len(x) - len(whole)
            if not len(whole):
                raise UserError(f"{origin}: every row has a gap, so none is left; fill them in")
            frame, features, rows = frame.iloc[whole], features.iloc[whole], rows[whole]
            # Anew: a category of dropped rows only was never seen in training.
            columns = self._columns(features, origin)
            x = encode(features, columns, origin).x
        with self._or_described():
            check_complete(x, columns, origin, self.schema is not None)
        labels = class_names(frame[self.label], origin, rows)
        classes = in_order(map(str, np.unique(labels)))
        sides = self.question.sides(classes, origin)
        train, test = stratified_split(labels)
        return sides.dataset(
            x,
            labels,
            (train, test),
            name=name,
            kind="table",
            feature_names=feature_names(columns),
            feature_groups=feature_groups(columns),
            source=origin,
            note=" ".join(
                (
                    *_notes(columns, dropped, sides.remark(labels), index),
                    *_without_std(x, train, columns, self.schema),
                )
            ),
            columns=columns,
            train_rows=rows[train],
            test_rows=rows[test],
            rows_from=f"a row of {origin}, counted from 0 below the header",
            test_kept=frame[list(self.keep)].iloc[test] if self.keep else None,
            schema=self.schema,
            form=self.form,
        )

    def _read(self) -> "tuple[pd.DataFrame, NDArray[np.int64]]":
        """The table, which has the columns that are named, and which row of the file each row is.

        Raises:
            UserError: the file cannot be read, or has no such columns.
        """
        # Labels as they are written: 01 and 1 are two.
        words = (
            [c.name for c in self.schema.features if c.type == "category"] if self.schema else []
        )
        as_written = (*self.keep, *words, *([] if self.label is None else [self.label]))
        with self._or_described():
            source = read_source(self.path, as_written, form=self.form)
        frame, rows = source.frame, source.rows
        assert frame is not None
        known = listed(frame.columns)
        if self.label is None:
            raise UserError(f"{self.path}: name the label column with --label, one of: {known}")
        if self.label not in frame.columns:
            raise UserError(
                f"{self.path} has no column {self.label!r}; --label must be one of: {known}"
            )
        for kept in self.keep:
            if kept not in frame.columns or kept == self.label:
                raise UserError(
                    f"{self.path}: --keep {kept!r} must name a column besides the label, one of: {known}"
                )
        return frame, rows

    @contextmanager
    def _or_described(self) -> Iterator[None]:
        """Names the way out for a table that is refused as it is: a schema, which need not be guessed."""
        try:
            yield
        except UserError as error:
            if self.schema is not None or not self.path.is_file():
                raise
            file, label = str(self.path), ["--label", self.label or "LABEL"]
            look = [
                "featureconvex",
                "inspect",
                file,
                *label,
                *self.question.options,
                "--out",
                "schema.toml",
            ]
            raise UserError(
                f"{error}; or `{shlex.join(look)}` writes down what every column is, to be edited, and "
                f"`run {shlex.quote(file)} --schema schema.toml` takes the table as it is"
            ) from error

    def _columns(self, features: "pd.DataFrame", origin: str) -> tuple[Column, ...]:
        if self.schema is None:
            return learn_columns(features, origin)
        named = {column.name for column in self.schema.columns}
        unknown = [str(name) for name in features.columns if str(name) not in named]
        if unknown:
            raise UserError(
                f"{origin} has the column {unknown[0]!r}, which the schema does not name; add it there, "
                'with role = "drop" if it is of no use'
            )
        return columns_of_schema(features, self.schema.features, origin)


def _without_std(
    x: NDArray[np.float64],
    train: NDArray[np.int64],
    columns: tuple[Column, ...],
    schema: Schema | None,
) -> list[str]:
    """A sentence for each column priced by a standard deviation that the training rows do not have."""
    features = schema.features if schema else ()
    priced = {
        said.name
        for said in features
        if said.numeric and said.cost == STD and said.attacker != "fixed"
    }
    ends = np.cumsum([column.width for column in columns])
    return [
        f"The column {column.name!r} is the same in all training rows, so it has no standard deviation and "
        'its price is 1 per unit; write another cost in the schema, or role = "drop".'
        for column, end in zip(columns, ends, strict=True)
        if column.name in priced and np.ptp(x[train, end - column.width]) == 0
    ]


def _notes(columns: tuple[Column, ...], dropped: int, merged: str, index: list[str]) -> list[str]:
    one_hot = [column.name for column in columns if column.kind == "category"]
    remarks = [f"One-hot encoded: {listed(one_hot, None)}."] if one_hot else []
    remarks += [
        f"The category {column.name!r} has {column.width} levels, each of them a feature, so all that "
        'follows takes longer; name the common ones in the schema and write rare = "other", or write '
        'role = "drop".'
        for column in columns
        if column.kind == "category" and column.width > MANY_LEVELS
    ]
    if dropped:
        remarks.append(f"{dropped} rows with missing or non-finite values were dropped.")
    if merged:
        remarks.append(merged)
    remarks += [
        f"The file's index {name!r} is no feature; --keep copies it beside the rows."
        for name in index
    ]
    return remarks
