"""``metrics.json``: every number of a run that others compare, derived from its rows and its record."""

from pathlib import Path
from typing import Any

import pandas as pd

from featureconvex.files import replacing
from featureconvex.results.columns import (
    CLOSED_FORM,
    LEVELS,
    NORMS,
    RAW,
    STD,
    RadiusColumn,
    radius_columns,
)
from featureconvex.results.curves import (
    average_certified_radius,
    certified_curve,
    flagged_radii,
    median_radius,
    radius_grid,
    round_down,
)
from featureconvex.results.detection import (
    FALSE_POSITIVE_RATES,
    area_under_curve,
    certified_recall,
    confusion,
    false_positive_rate_at,
    threshold_at,
)
from featureconvex.results.record import Record, norm_of
from featureconvex.results.rows import sensitive
from featureconvex.results.strict_json import dump_json, jsonable
from featureconvex.results.warnings import run_warnings

METRICS_FILE = "metrics.json"
Metrics = dict[str, Any]


def derive_metrics(rows: pd.DataFrame, record: Record) -> Metrics:
    """All metrics as plain JSON values: ``"inf"`` for infinity, None for a median that does not exist.

    Radii are in raw input units at the top level and under ``levels``; under ``training_std_units``
    (tables only) the same in training standard deviations.
    """
    counts = confusion(rows)
    columns = radius_columns(map(str, rows.columns))
    metrics = {
        **{key: record[key] for key in ("task", "recipe", "seed", "n_train")},
        "n_test": len(rows),
        "n_sensitive": int(sensitive(rows).sum()),
        "norm": norm_of(record),
        "clean_accuracy": counts.accuracy,
        "accuracy_by_class": {
            "sensitive": counts.sensitive_accuracy,
            "other": counts.other_accuracy,
        },
        "train_accuracy": record["train_accuracy"],
        **_radii(rows, [c for c in columns if c.unit == RAW]),
        "auc": area_under_curve(rows),
        "certified_recall": _recall(rows, [c for c in columns if c.unit == RAW]),
        "confusion": vars(counts),
        "status": {str(k): int(v) for k, v in rows["status"].value_counts().sort_index().items()},
        **{key: record[key] for key in ("calibration", "tau", "temperature", "epochs", "model")},
        "warnings": run_warnings(rows, record),
        "seconds": record["seconds"],
        "provenance": record["provenance"],
    }
    standardised = [c for c in columns if c.unit == STD]
    if standardised:
        metrics["training_std_units"] = _radii(rows, standardised)
    return dict(jsonable(metrics))


def write_metrics(metrics: Metrics, path: Path) -> None:
    """Write strict JSON, whole or not at all."""
    with replacing(path) as temporary:
        temporary.write_text(dump_json(metrics), encoding="utf-8")


def telling_radii(rows: pd.DataFrame, column: str) -> list[float]:
    """Up to three round radii worth reading: the quartiles of the finite positive ones, cut short."""
    radii = flagged_radii(rows, column)
    finite = pd.Series(radii[(radii > 0) & (radii < float("inf"))])
    if finite.empty:
        return []
    quartiles = finite.quantile([0.25, 0.5, 0.75])
    return sorted({round_down(float(value)) for value in quartiles})


def _radii(rows: pd.DataFrame, columns: list[RadiusColumn]) -> dict[str, Any]:
    """The closed form at the top, the other levels under ``levels``."""
    by_level = {level: [c for c in columns if c.level == level] for level in LEVELS}
    above = {
        level: _level(rows, chosen, columns)
        for level, chosen in by_level.items()
        if chosen and level != CLOSED_FORM
    }
    return {**_level(rows, by_level[CLOSED_FORM], columns), "levels": above}


def _level(
    rows: pd.DataFrame, chosen: list[RadiusColumn], columns: list[RadiusColumn]
) -> dict[str, Any]:
    curves: dict[str, dict[str, Any]] = {}
    for column in chosen:
        grid = radius_grid(rows, [c for c in columns if c.threat == column.threat])
        curves[column.threat] = vars(certified_curve(rows, column.name, grid))
    return {
        "certified_accuracy": curves,
        "median_radius": {c.threat: median_radius(rows, c.name) for c in chosen},
        "average_certified_radius": {
            c.threat: average_certified_radius(rows, c.name) for c in chosen
        },
    }


def _recall(rows: pd.DataFrame, columns: list[RadiusColumn]) -> dict[str, Any]:
    """Recall and certified recall at fixed false-positive rates on these rows, closed form, per norm."""
    thresholds = [threshold_at(rows, rate) for rate in FALSE_POSITIVE_RATES]
    closed = {c.threat: c for c in columns if c.level == CLOSED_FORM and c.threat in NORMS}
    per_norm = {}
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
