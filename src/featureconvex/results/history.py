"""The training history and the temperature sweep of a record, cleaned for drawing."""

import math
from dataclasses import dataclass
from typing import Literal

from featureconvex.results.record import Record, RunRecord
from featureconvex.results.strict_json import number

_Field = Literal["loss", "train_accuracy", "validation_accuracy", "validation_median_radius"]
_PANELS: tuple[tuple[str, tuple[tuple[_Field, str], ...]], ...] = (
    ("loss", (("loss", "loss"),)),
    ("accuracy", (("train_accuracy", "training"), ("validation_accuracy", "validation"))),
    ("validation median radius", (("validation_median_radius", "validation"),)),
)


@dataclass(frozen=True)
class Series:
    """One quantity over the epochs where it is known and finite."""

    name: str
    epochs: list[float]
    values: list[float]


@dataclass(frozen=True)
class Panel:
    """Quantities that share a vertical axis."""

    title: str
    series: list[Series]


@dataclass(frozen=True)
class TradeoffPoint:
    """What one temperature led to on the validation split."""

    temperature: float
    accuracy: float
    radius: float
    chosen: bool


def known_series(record: RunRecord) -> list[Panel]:
    """Loss, accuracy and median radius; a quantity that was never recorded is left out."""
    panels = []
    for title, fields in _PANELS:
        series = [_series(record, field, name) for field, name in fields]
        kept = [one for one in series if one.epochs]
        if kept:
            panels.append(Panel(title, kept))
    return panels


def sorted_tradeoff(record: Record) -> list[TradeoffPoint]:
    """The chosen feature map's pilots by temperature; those without finite radius or accuracy left out."""
    points, entries = [], record.get("tradeoff") or []
    chosen_map = {entry.get("feature_map") for entry in entries if entry["chosen"]}
    for entry in entries:
        if chosen_map and entry.get("feature_map") not in chosen_map:
            continue
        radius = number(entry["validation_median_radius"])
        accuracy = number(entry["validation_accuracy"])
        if radius is not None and accuracy is not None and math.isfinite(radius):
            chosen = bool(entry["chosen"])
            points.append(TradeoffPoint(float(entry["temperature"]), accuracy, radius, chosen))
    return sorted(points, key=lambda p: p.temperature)


def _series(record: RunRecord, field: _Field, name: str) -> Series:
    pairs = [(entry["epoch"], number(entry[field])) for entry in record["history"]]
    known = [(float(e), v) for e, v in pairs if v is not None and math.isfinite(v)]
    return Series(name, [e for e, _ in known], [v for _, v in known])
