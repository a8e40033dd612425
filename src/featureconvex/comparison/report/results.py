"""A comparison's numbers together with the radii behind them."""

from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np
from numpy.typing import NDArray

from featureconvex.baselines.method import Radii
from featureconvex.comparison.folder import Comparison
from featureconvex.comparison.metrics import native_radii
from featureconvex.comparison.norm_equivalence import in_norm
from featureconvex.comparison.report.lines import Line
from featureconvex.norms import parse_norm
from featureconvex.results.curves import certified_counts

Table = dict[str, Any]


@dataclass(frozen=True)
class Results:
    """A comparison, derived once.

    Attributes:
        comparison: methods, rows and records.
        tables: what ``comparison.json`` holds.
    """

    comparison: Comparison
    tables: Table

    @cached_property
    def _native(self) -> dict[tuple[str, int, str], Radii]:
        return {
            (ran.method.name, k, level): radii
            for ran in self.comparison.results
            for k, fit in enumerate(ran.fits)
            for level, radii in native_radii(ran.method, fit).items()
        }

    def radii(self, line: Line, norm: str) -> NDArray[np.float64]:
        """The positive radii of a line in a norm, increasing; ``inf`` allowed."""
        native = self._native[line.method, line.place, line.level]
        values, _ = in_norm(native, parse_norm(norm), self.comparison.dimension)
        return np.sort(values[values > 0])

    def share(self, line: Line, norm: str, radius: float) -> float:
        """Certified accuracy: the share of sensitive test points with at least this radius."""
        counts = certified_counts(self.radii(line, norm), [radius])
        return float(counts[0]) / int(self.tables["n_sensitive"])
