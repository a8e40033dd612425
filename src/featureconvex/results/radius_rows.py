"""Rows with radii, and what their columns offer a reader to choose from."""

from dataclasses import dataclass

import pandas as pd

from featureconvex.errors import UserError
from featureconvex.results.columns import (
    CLOSED_FORM,
    UNITS,
    RadiusColumn,
    is_patch,
    radius_columns,
)
from featureconvex.results.record import RunRecord, norm_of


@dataclass(frozen=True)
class RadiusRows:
    """Test points with their radii.

    Attributes:
        rows: one per point; ``label`` is 1 where a point counts, ``predicted`` 1 where it is certified
            for being what it is.
        record: what else the run knows.
    """

    rows: pd.DataFrame
    record: RunRecord

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
