"""The training history and the temperature sweep of a record, cleaned for drawing."""

import math
from dataclasses import dataclass

from featureconvex.results.record import Record
from featureconvex.results.strict_json import number

_PANELS = (
    ("loss", (("loss", "loss"),)),
    ("accuracy", (("train_accuracy", "training"), ("validation_accuracy", "validation"))),
    ("validation median radius", (("validation_median_radius", "validation"),)),
)


@dataclass(frozen=True)
class Line:
    """One quantity over the epochs where it is known and finite."""

    name: str
    epochs: list[float]
    values: list[float]


@dataclass(frozen=True)
class Panel:
    """Quantities that share a vertical axis."""

    title: str
    lines: list[Line]


@dataclass(frozen=True)
class TradeoffPoint:
    """What one temperature led to on the validation split."""

    temperature: float
    accuracy: float
    radius: float
    chosen: bool


def known_series(record: Record) -> list[Panel]:
    """Loss, accuracy and median radius; a quantity that was never recorded is left out."""
    panels = []
    for title, series in _PANELS:
        lines = [_line(record, key, name) for key, name in series]
        kept = [line for line in lines if line.epochs]
        if kept:
            panels.append(Panel(title, kept))
    return panels


def sorted_tradeoff(record: Record) -> list[TradeoffPoint]:
    """The sweep by increasing temperature, without points that have no finite radius or accuracy."""
    points = []
    for entry in record.get("tradeoff") or []:
        radius, accuracy = (number(entry[f"validation_{k}"]) for k in ("median_radius", "accuracy"))
        if radius is not None and accuracy is not None and math.isfinite(radius):
            chosen = bool(entry["chosen"])
            points.append(TradeoffPoint(float(entry["temperature"]), accuracy, radius, chosen))
    return sorted(points, key=lambda p: p.temperature)


def _line(record: Record, key: str, name: str) -> Line:
    pairs = [(entry["epoch"], number(entry[key])) for entry in record["history"]]
    known = [(float(e), v) for e, v in pairs if v is not None and math.isfinite(v)]
    return Line(name, [e for e, _ in known], [v for _, v in known])
