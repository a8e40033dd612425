"""A comparison's numbers together with the radii behind its lines."""

from dataclasses import dataclass
from functools import cached_property

import numpy as np

from featureconvex.baselines.method import Radii
from featureconvex.comparison.folder import Comparison
from featureconvex.comparison.metrics import native_radii
from featureconvex.comparison.norm_equivalence import in_norm
from featureconvex.comparison.report.lines import MethodLine
from featureconvex.comparison.schema import ComparisonTables, counted_points
from featureconvex.norms import parse_norm
from featureconvex.results.statistics.curves import Floats, certified_counts


@dataclass(frozen=True)
class LineRadii:
    """A comparison, derived once.

    Attributes:
        comparison: methods, rows and records.
        tables: what ``comparison.json`` holds.
    """

    comparison: Comparison
    tables: ComparisonTables

    @cached_property
    def _native(self) -> dict[tuple[str, int, str], Radii]:
        return {
            (result.method.name, k, level): radii
            for result in self.comparison.results
            for k, fit in enumerate(result.fits)
            for level, radii in native_radii(result.method, fit).items()
        }

    def radii(self, line: MethodLine, norm: str) -> Floats:
        """The positive radii of a line in a norm, increasing; ``inf`` allowed."""
        native = self._native[line.method, line.place, line.level]
        values, _ = in_norm(native, parse_norm(norm), self.comparison.dimension)
        return np.sort(values[values > 0])

    def share(self, line: MethodLine, norm: str, radius: float) -> float:
        """Certified accuracy: the share of the points that count with at least this radius."""
        counts = certified_counts(self.radii(line, norm), [radius])
        return float(counts[0]) / (line.points or counted_points(self.tables))
