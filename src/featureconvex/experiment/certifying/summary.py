"""What came of all rows together."""

from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from featureconvex.certificates import Append, Change, Edits, Insert, Slack
from featureconvex.certificates.certificate import Status
from featureconvex.experiment.certifying.certifier import OUTSIDE
from featureconvex.results.columns import RADIUS, is_count, is_patch
from featureconvex.results.numbers import significant
from featureconvex.results.strict_json import jsonable

STATUS = "status_"
STEPS = 64
"""Radii are counted in so many sizes per factor of 2."""
ENDLESS = 2**40
"""The size of an infinite one."""


@dataclass
class Summary:
    """Counts that grow with the rows.

    Attributes:
        rows: how many there are.
        statuses: for each threat, how many rows have each status.
        outside: rows with a feature outside the training range.
        failed: inputs that could not be read to their end, and why.
        attacker: the attacker of the model's schema in a sentence, where it is the one.
        units: of the radii of norms and of edits, in words.
    """

    attacker: str = ""
    units: Mapping[str, str] = field(default_factory=dict)
    rows: int = 0
    outside: int = 0
    statuses: dict[str, Counter[str]] = field(default_factory=dict)
    failed: list[str] = field(default_factory=list)
    _sizes: dict[str, Counter[int]] = field(default_factory=dict)

    def add(self, frame: pd.DataFrame) -> None:
        """Count some rows."""
        self.rows += len(frame)
        for name in frame.columns:
            if str(name).startswith(STATUS):
                counts = self.statuses.setdefault(str(name).removeprefix(STATUS), Counter())
                counts.update(frame[name].astype(str).tolist())
            elif str(name).startswith(RADIUS):
                self._count(
                    str(name).removeprefix(RADIUS).lstrip("_"),
                    frame[name].to_numpy(dtype=np.float64),
                )
        if OUTSIDE in frame:
            self.outside += int((frame[OUTSIDE].fillna(0) > 0).sum())

    def _count(self, threat: str, radius: NDArray[np.float64]) -> None:
        """How many positive radii are of which size: a memory that does not grow with the rows."""
        radius = radius[radius > 0]
        size = np.where(np.isinf(radius), ENDLESS, np.floor(STEPS * np.log2(radius)))
        self._sizes.setdefault(threat, Counter()).update(size.astype(np.int64).tolist())

    def median(self, threat: str) -> float | None:
        """What at least half of the certified rows have: at most the median, and 1 % below at most."""
        sizes = self._sizes.get(threat, Counter())
        left = (sizes.total() + 1) // 2
        for size in sorted(sizes, reverse=True):
            left -= sizes[size]
            if left <= 0:
                return np.inf if size == ENDLESS else float(2.0 ** (size / STEPS))
        return None

    def _half(self, threat: str) -> str:
        median = self.median(threat)
        if median is None:
            return ""
        if np.isinf(median):
            return "; half of them whatever is spent"
        counted = _counted(threat)
        if counted is not None:
            # Whole numbers: the next one has the same size.
            median = float(np.ceil(median * (1 - 1e-9)))
            return (
                f"; half of them for {significant(median)} {counted}{'s' * (median != 1)} or more"
            )
        if is_patch(threat):
            return ""  # it has one size
        unit = self.units.get(threat, "")
        if threat == Edits.NAME:
            return f"; half of them for {significant(median)}{' ' * bool(unit)}{unit} or more"
        return f"; half of them for {significant(median)} or more{', in ' * bool(unit)}{unit}"

    def certified(self, threat: str) -> int:
        """Rows with a positive radius."""
        counts = self.statuses[threat]
        return counts[str(Status.certified)] + counts[str(Status.unbounded)]

    @property
    def values(self) -> dict[str, Any]:
        """The same as plain values."""
        return {
            "rows": self.rows,
            "outside_range": self.outside,
            "attacker": self.attacker,
            "certified": {threat: self.certified(threat) for threat in self.statuses},
            "median": {threat: jsonable(self.median(threat)) for threat in self.statuses},
            "statuses": {threat: dict(counts) for threat, counts in self.statuses.items()},
            "failed": list(self.failed),
        }

    @property
    def lines(self) -> list[str]:
        """One line per threat with every status, and warnings."""
        found = [
            f"{threat}: {self.certified(threat)} of {self.rows} rows certified ("
            + ", ".join(f"{counts[str(s)]} {s}" for s in Status if counts[str(s)])
            + ")"
            + self._half(threat)
            for threat, counts in self.statuses.items()
        ]
        if self.outside:
            found.append(
                f"warning: {self.outside} of {self.rows} rows have a feature outside the range of the "
                "training rows; the certificates hold, but the model never saw the like"
            )
        return [*found, *(f"warning: {line}" for line in self.failed)]


def _counted(threat: str) -> str | None:
    """What a threat's radius counts, one of them; None where it is a length or a price."""
    if threat.partition("-")[0] in (Append.NAME, Insert.NAME, Change.NAME, Slack.NAME):
        return "byte"
    return "coordinate" if is_count(threat) and not is_patch(threat) else None
