"""What came of all rows together."""

from collections import Counter
from dataclasses import dataclass, field
from typing import Any

import pandas as pd

from featureconvex.certificates.certificate import Status
from featureconvex.experiment.certifying.certifier import OUTSIDE

STATUS = "status_"


@dataclass
class Summary:
    """Counts that grow with the rows.

    Attributes:
        rows: how many there are.
        statuses: for each threat, how many rows have each status.
        outside: rows with a feature outside the training range.
        failed: inputs that could not be read to their end, and why.
        attacker: the attacker of the model's schema in a sentence, where it is the one.
    """

    attacker: str = ""
    rows: int = 0
    outside: int = 0
    statuses: dict[str, Counter[str]] = field(default_factory=dict)
    failed: list[str] = field(default_factory=list)

    def add(self, frame: pd.DataFrame) -> None:
        """Count some rows."""
        self.rows += len(frame)
        for name in frame.columns:
            if str(name).startswith(STATUS):
                counts = self.statuses.setdefault(str(name).removeprefix(STATUS), Counter())
                counts.update(frame[name].astype(str).tolist())
        if OUTSIDE in frame:
            self.outside += int((frame[OUTSIDE].fillna(0) > 0).sum())

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
            for threat, counts in self.statuses.items()
        ]
        if self.outside:
            found.append(
                f"warning: {self.outside} of {self.rows} rows have a feature outside the range of the "
                "training rows; the certificates hold, but the model never saw the like"
            )
        return [*found, *(f"warning: {line}" for line in self.failed)]
