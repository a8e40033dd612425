"""A run's folder: the three files from which everything else is rebuilt."""

from dataclasses import dataclass
from pathlib import Path

import pandas as pd

from featureconvex.errors import UserError
from featureconvex.results.columns import (
    CLOSED_FORM,
    RAW,
    UNITS,
    RadiusColumn,
    is_patch,
    radius_columns,
)
from featureconvex.results.examples import EXAMPLES_FILE, Examples, read_examples
from featureconvex.results.record import RECORD_FILE, Record, norm_of, read_record
from featureconvex.results.review import Review, read_review
from featureconvex.results.rows import ROWS_FILE, read_rows


@dataclass(frozen=True)
class Run:
    """One run in memory: its rows, its record, its examples; all checked. And its attacker, where known."""

    rows: pd.DataFrame
    record: Record
    examples: Examples
    review: Review | None = None

    @property
    def columns(self) -> list[RadiusColumn]:
        """Every radius column; training standard deviations before raw units, then by threat and level."""
        return radius_columns(map(str, self.rows.columns))

    @property
    def units(self) -> list[str]:
        """The units present, the one to show first first."""
        return [unit for unit in UNITS if any(c.unit == unit for c in self.columns)]

    @property
    def unit(self) -> str:
        """The unit to show first."""
        return self.units[0]

    def threats(self, unit: str) -> list[str]:
        """The threats with a radius in ``unit``, in reading order."""
        return list(dict.fromkeys(c.threat for c in self.columns if c.unit == unit))

    def ranges(self, unit: str) -> list[str]:
        """The threats whose radius has a range worth a curve: all but patches."""
        return [threat for threat in self.threats(unit) if not is_patch(threat)]

    def levels(self, threat: str, unit: str) -> list[RadiusColumn]:
        """The radius columns of one threat and unit, weakest level first."""
        return [c for c in self.columns if (c.threat, c.unit) == (threat, unit)]

    @property
    def headline(self) -> RadiusColumn:
        """The closed-form column of the norm the model was trained for, in the unit shown first."""
        return self.closed_form(norm_of(self.record), self.unit)

    @property
    def movable(self) -> RadiusColumn:
        """The headline's column, or the raw one where only that has a slope (see ``shifted_radii``)."""
        if self.headline.slope in self.rows.columns:
            return self.headline
        return self.closed_form(self.headline.threat, RAW)

    def closed_form(self, threat: str, unit: str) -> RadiusColumn:
        """The closed-form column of a threat.

        Raises:
            UserError: the rows have none.
        """
        for column in self.levels(threat, unit):
            if column.level == CLOSED_FORM:
                return column
        name = RadiusColumn(threat, unit=unit).name
        raise UserError(f"the rows have no column {name!r}; run the task again with this version")


def read_run(directory: Path) -> Run:
    """Read the three files of a run and check that they belong together.

    Raises:
        UserError: the folder or a file is missing, damaged, or does not fit the others.
    """
    if not directory.is_dir():
        raise UserError(
            f"there is no folder {directory}; `featureconvex run TASK --out {directory}` makes one"
        )
    run = Run(
        rows=read_rows(directory / ROWS_FILE),
        record=read_record(directory / RECORD_FILE),
        examples=read_examples(directory / EXAMPLES_FILE),
        review=read_review(directory),
    )
    _check_shapes(run, directory)
    return run


def _check_shapes(run: Run, directory: Path) -> None:
    record, shape = run.record, run.examples.x.shape[1:]
    expected = (
        tuple(record["image_shape"] or ())
        if record["kind"] == "image"
        else (len(record["feature_names"] or ()),)
    )
    if len(run.examples) and shape != expected:
        raise UserError(
            f"{directory}: {EXAMPLES_FILE} holds inputs of shape {shape}, {RECORD_FILE} says {expected}; "
            f"the files are not from one run"
        )
