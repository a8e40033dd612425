"""A user's own table: a CSV or Parquet file with one row per example."""

import gzip
import re
import warnings
import zlib
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from featureconvex.data.classes import choose_sensitive
from featureconvex.data.columns import class_names, encode_features
from featureconvex.data.dataset import Dataset, Split
from featureconvex.data.location import Location
from featureconvex.data.split import stratified_split
from featureconvex.errors import UserError

if TYPE_CHECKING:
    import pandas as pd

CSV_SUFFIXES = (".csv", ".csv.gz")
PARQUET_SUFFIXES = (".parquet", ".pq")
SEPARATORS = {";": "';'", "\t": "a tab", "|": "'|'"}
"""What some programs write between columns instead of commas, and what to call it."""


@dataclass(frozen=True)
class TableReader:
    """Reads a table whose columns are the features and one label.

    Attributes:
        path: the file.
        label: the name of the label column.
        sensitive: the sensitive class; may be None when the labels are 0 and 1 or False and True.
            With more than two classes the others together are class 0.
    """

    path: Path
    label: str | None
    sensitive: str | None

    def locate(self, data_dir: Path) -> Location:
        """Whether the file exists."""
        found = self.path.is_file()
        return Location(found, str(self.path), "" if found else f"put the file at {self.path}")

    def load(self, name: str, data_dir: Path, download: bool) -> Dataset:
        """Read the file; every class is split 80 to 20.

        Raises:
            UserError: the file cannot be read, the label column is missing or unnamed, the
                sensitive class is unknown, or a column has no use as a feature.
        """
        frame = read_frame(self.path)
        origin = str(self.path)
        listed = ", ".join(str(column) for column in frame.columns[:10])
        listed += " ..." if len(frame.columns) > 10 else ""
        if self.label is None:
            raise UserError(f"{origin}: name the label column with --label, one of: {listed}")
        if self.label not in frame.columns:
            raise UserError(
                f"{origin} has no column {self.label!r}; --label must be one of: {listed}"
            )
        labels = class_names(frame[self.label], origin)
        classes = [str(value) for value in np.unique(labels)]
        sensitive, other = choose_sensitive(classes, self.sensitive, origin)
        features = encode_features(frame.drop(columns=self.label), origin)
        y = (labels == sensitive).astype(np.int8)
        train, test = stratified_split(labels)
        several = len(classes) > 2
        return Dataset(
            name=name,
            train=Split(features.x[train], y[train]),
            test=Split(features.x[test], y[test]),
            kind="table",
            sensitive_name=sensitive,
            other_name=other,
            feature_names=features.names,
            feature_groups=features.groups,
            source=origin,
            note=f"One-hot encoded: {', '.join(features.encoded)}." if features.encoded else "",
            train_family=labels[train] if several else None,
            test_family=labels[test] if several else None,
        )


def is_table(path: Path) -> bool:
    """Whether the name ends like a table's."""
    return path.name.lower().endswith(CSV_SUFFIXES + PARQUET_SUFFIXES)


def read_frame(path: Path) -> "pd.DataFrame":
    """The file as a data frame with distinct column names and at least one row.

    Raises:
        UserError: it is missing, damaged, empty, its rows differ in length, or its columns are not
            separated by commas.
    """
    import pandas as pd

    _check_separator(path)
    try:
        if path.name.lower().endswith(CSV_SUFFIXES):
            with warnings.catch_warnings():
                warnings.simplefilter("error", pd.errors.ParserWarning)
                frame = pd.read_csv(path, index_col=False, low_memory=False)
            # As written: the names of the frame are made distinct by a suffix.
            names = pd.read_csv(path, header=None, nrows=1, dtype=str).iloc[0]
        else:
            frame = pd.read_parquet(path)
            names = frame.columns.to_series()
    except (OSError, EOFError, ValueError, pd.errors.ParserWarning) as error:
        reason = " ".join(str(error).split()) or type(error).__name__
        raise UserError(
            f"cannot read {path} as a table: {reason}; correct or replace it"
        ) from error
    if frame.empty:
        raise UserError(f"{path} has no rows or no columns; a table needs both")
    if not names.dropna().is_unique:
        twice = names.dropna()[names.dropna().duplicated()].iloc[0]
        raise UserError(f"{path} has two columns named {twice!r}; rename one")
    return frame


def _check_separator(path: Path) -> None:
    """Refuse a CSV file whose first line is split by something else: read on, it is one odd column."""
    if not path.name.lower().endswith(CSV_SUFFIXES) or not path.is_file():
        return
    opened = gzip.open if path.name.lower().endswith(".gz") else open
    try:
        with opened(path, "rt", encoding="utf-8", errors="replace") as file:
            header = re.sub(r'"[^"]*"', "", file.readline())  # quoted names may hold anything
    except (OSError, EOFError, zlib.error):
        return  # the reader behind this names what is wrong with the file
    for separator, name in SEPARATORS.items():
        if separator in header and "," not in header:
            raise UserError(
                f"{path}: the separator looks like {name}, not a comma; save the table with commas "
                "between columns (and points in decimal numbers)"
            )
