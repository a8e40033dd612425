"""``metrics.json``: every number of a run that others compare, derived from its rows and its record."""

from pathlib import Path
from typing import Any, NotRequired, TypedDict, cast

import pandas as pd

from featureconvex.files import write_text
from featureconvex.norms import NORM_NAMES
from featureconvex.provenance import Provenance
from featureconvex.results.columns import CLOSED_FORM, RAW, STD, RadiusColumn, radius_columns
from featureconvex.results.record import (
    CalibrationRecord,
    ModelRecord,
    Record,
    Seconds,
    norm_of,
)
from featureconvex.results.rows import sensitive
from featureconvex.results.statistics.curves import Floats
from featureconvex.results.statistics.detection import (
    FALSE_POSITIVE_RATES,
    area_under_curve,
    certified_recall,
    confusion,
    false_positive_rate_at,
    threshold_at,
)
from featureconvex.results.statistics.radii import RadiiByLevel, radii_by_level, telling_radii
from featureconvex.results.strict_json import dump_json, jsonable
from featureconvex.results.warnings import run_warnings

METRICS_FILE = "metrics.json"


class Recall(TypedDict):
    """Recall at false-positive rates (r,), certified for radii (k,) of one norm: (r, k)."""

    radius: list[float]
    recall: Floats


class ClassAccuracy(TypedDict):
    """Accuracy on the points of each class."""

    sensitive: float
    other: float


class Metrics(RadiiByLevel):
    """The file. ``certified_recall`` holds a :class:`Recall` per norm beside the rates themselves."""

    task: str
    recipe: str
    seed: int
    n_train: int
    n_test: int
    n_sensitive: int
    norm: str
    clean_accuracy: float
    accuracy_by_class: ClassAccuracy
    train_accuracy: float | None
    auc: float
    certified_recall: dict[str, Any]
    confusion: dict[str, int]
    status: dict[str, int]
    calibration: CalibrationRecord
    tau: float
    temperature: float | None
    epochs: int
    model: ModelRecord
    warnings: list[str]
    seconds: Seconds
    provenance: Provenance
    training_std_units: NotRequired[RadiiByLevel]


def derive_metrics(rows: pd.DataFrame, record: Record) -> Metrics:
    """All metrics as plain JSON values: ``"inf"`` for infinity, None for a median that does not exist.

    Radii are in raw input units at the top level and under ``levels``; under ``training_std_units``
    (tables only) the same in training standard deviations.
    """
    counts = confusion(rows)
    columns = radius_columns(map(str, rows.columns))
    raw = radii_by_level(rows, [c for c in columns if c.unit == RAW])
    metrics: Metrics = {
        "task": record["task"],
        "recipe": record["recipe"],
        "seed": record["seed"],
        "n_train": record["n_train"],
        "n_test": len(rows),
        "n_sensitive": int(sensitive(rows).sum()),
        "norm": norm_of(record),
        "clean_accuracy": counts.accuracy,
        "accuracy_by_class": {
            "sensitive": counts.sensitive_accuracy,
            "other": counts.other_accuracy,
        },
        "train_accuracy": record["train_accuracy"],
        "certified_accuracy": raw["certified_accuracy"],
        "median_radius": raw["median_radius"],
        "average_certified_radius": raw["average_certified_radius"],
        "levels": raw["levels"],
        "auc": area_under_curve(rows),
        "certified_recall": _recall(rows, [c for c in columns if c.unit == RAW]),
        "confusion": vars(counts),
        "status": {str(k): int(v) for k, v in rows["status"].value_counts().sort_index().items()},
        "calibration": record["calibration"],
        "tau": record["tau"],
        "temperature": record["temperature"],
        "epochs": record["epochs"],
        "model": record["model"],
        "warnings": run_warnings(rows, record),
        "seconds": record["seconds"],
        "provenance": record["provenance"],
    }
    standardised = [c for c in columns if c.unit == STD]
    if standardised:
        metrics["training_std_units"] = radii_by_level(rows, standardised)
    return cast("Metrics", jsonable(metrics))


def write_metrics(metrics: Metrics, path: Path) -> None:
    """Write strict JSON, whole or not at all."""
    write_text(path, dump_json(metrics))


def _recall(rows: pd.DataFrame, columns: list[RadiusColumn]) -> dict[str, Any]:
    """Recall and certified recall at fixed false-positive rates on these rows, closed form, per norm."""
    thresholds = [threshold_at(rows, rate) for rate in FALSE_POSITIVE_RATES]
    closed = {c.threat: c for c in columns if c.level == CLOSED_FORM and c.threat in NORM_NAMES}
    per_norm: dict[str, Recall] = {}
    for norm, column in closed.items():
        radii = telling_radii(rows, column.name)
        per_norm[norm] = {
            "radius": radii,
            "recall": certified_recall(rows, column, thresholds, radii),
        }
    return {
        "target_false_positive_rate": FALSE_POSITIVE_RATES,
        "false_positive_rate": [false_positive_rate_at(rows, t) for t in thresholds],
        "recall": certified_recall(rows, closed["l2"], thresholds, [0.0])[:, 0],
        **per_norm,
    }
