"""Counts of a campaign, line by line: added up, and written as plain values."""

from collections.abc import Iterable
from dataclasses import asdict, dataclass, field, fields
from typing import Any

# The smallest margins kept for each way to certify.
KEPT = 5
_COUNTS = ("certificates", "attacked", "points", "judged", "violations", "gross")
_CHECKED = ("tried", "refused", "violations")


@dataclass(frozen=True)
class TallyRow:
    """What was certified, and how it fared.

    Attributes:
        level: with the arithmetic of level ``sound``.
        rests_on: of level ``sound``, else empty.
        threat: in words.
        domain: ``everywhere``, ``box`` or ``restricted box``.
        architecture: of the network.
        features: the feature map.
        origin: of the weights.
        dtype: of the model.
        certificates: rows with a positive radius.
        attacked: of these, rows with a point inside the radius other than the input itself.
        points: all points inside a radius.
        judged: of these, points judged in exact arithmetic, or by the deployed forward pass.
        violations: certificates that a judged point inside the radius contradicts.
        gross: of these, by more than rounding in the model's dtype explains, and a millionth of the margin.
    """

    level: str
    rests_on: str
    threat: str
    domain: str
    architecture: str
    features: str
    origin: str
    dtype: str
    certificates: int = 0
    attacked: int = 0
    points: int = 0
    judged: int = 0
    violations: int = 0
    gross: int = 0

    def counts(self) -> dict[str, int]:
        """The numbers alone."""
        return {name: getattr(self, name) for name in _COUNTS}


@dataclass(frozen=True)
class Near:
    """A judged point near the boundary, with what it takes to find it again.

    Attributes:
        share: its margin over that of the input it belongs to; <= 0 for a violation.
        margin: the margin itself.
        level, rests_on, threat, domain, architecture, features, origin: as in :class:`TallyRow`.
        shard: of the campaign.
        row: of the shard's points.
        radius: the certificate's.
    """

    share: float
    margin: float
    level: str
    rests_on: str
    threat: str
    domain: str
    architecture: str
    features: str
    origin: str
    shard: int
    row: int
    radius: float


@dataclass(frozen=True)
class Check:
    """What is promised besides radii, and how often it was kept.

    Attributes:
        kind: ``must be refused``, ``threads`` or ``law``.
        what: the intruder, what the threads did, or the law.
        level: certified at; empty where that says nothing.
        tried: times.
        refused: of these, times the library refused to certify.
        violations: times the promise was broken.
    """

    kind: str
    what: str
    level: str
    tried: int
    refused: int
    violations: int


@dataclass
class Tally:
    """All lines, the nearest points of every level, and what a level refused to certify, with its words."""

    lines: list[TallyRow] = field(default_factory=list)
    nearest: list[Near] = field(default_factory=list)
    refused: list[dict[str, str]] = field(default_factory=list)
    checks: list[Check] = field(default_factory=list)

    @property
    def certificates(self) -> int:
        """Certificates that were attacked."""
        return sum(line.attacked for line in self.lines)

    def add(self, other: "Tally") -> None:
        """Everything of another tally; of the nearest points, the :data:`KEPT` nearest of each level."""
        self.lines += other.lines
        self.refused += other.refused
        self.checks += other.checks
        every = sorted([*self.nearest, *other.nearest], key=lambda near: near.share)
        seen: dict[str, int] = {}
        self.nearest = []
        for near in every:
            seen[near.level] = seen.get(near.level, 0) + 1
            if seen[near.level] <= KEPT:
                self.nearest.append(near)

    def by(self, *names: str) -> dict[str, Any]:
        """Counts grouped by attributes of the lines, nested in the order of the names."""
        return grouped(self.lines, names)

    def violations(self, level: str) -> int:
        """Of all levels whose name starts so."""
        return sum(line.violations for line in self.lines if line.level.startswith(level))

    def gross(self, level: str, without: Iterable[str] = ()) -> int:
        """Of all levels whose name starts so, but for models of some origins."""
        return sum(
            line.gross
            for line in self.lines
            if line.level.startswith(level) and line.origin not in without
        )

    def checked(self) -> dict[str, Any]:
        """Counts of the checks by kind, what and level; no level where there is none."""
        found: dict[str, Any] = {}
        for check in self.checks:
            group = found.setdefault(check.kind, {}).setdefault(check.what, {})
            counts = group.setdefault(check.level or "all", dict.fromkeys(_CHECKED, 0))
            for name in _CHECKED:
                counts[name] += getattr(check, name)
        return found

    def values(self) -> dict[str, Any]:
        """Plain values, for JSON."""
        return {
            "lines": [asdict(line) for line in self.lines],
            "nearest": [asdict(near) for near in self.nearest],
            "refused": self.refused,
            "checks": [asdict(check) for check in self.checks],
        }

    @staticmethod
    def of(values: dict[str, Any]) -> "Tally":
        """The inverse of :meth:`values`."""
        return Tally(
            [TallyRow(**line) for line in values["lines"]],
            [Near(**near) for near in values["nearest"]],
            values["refused"],
            [Check(**check) for check in values["checks"]],
        )


def grouped(lines: Iterable[TallyRow], names: tuple[str, ...]) -> dict[str, Any]:
    """Sums of the counts.

    >>> line = TallyRow("tight", "", "l2", "box", "mlp", "identity", "random", "float32", certificates=3)
    >>> grouped([line, line], ("threat",))["l2"]["certificates"]
    6
    """
    chosen: dict[str, list[TallyRow]] = {}
    for line in lines:
        chosen.setdefault(getattr(line, names[0]), []).append(line)
    if len(names) > 1:
        return {key: grouped(part, names[1:]) for key, part in sorted(chosen.items())}
    return {
        key: {name: sum(getattr(line, name) for line in part) for name in _COUNTS}
        for key, part in sorted(chosen.items())
    }


assert set(_COUNTS) <= {entry.name for entry in fields(TallyRow)}
