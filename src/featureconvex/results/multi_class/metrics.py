"""``metrics.json`` of a run of several classes, derived from its rows and its record."""

from pathlib import Path
from typing import NotRequired, TypedDict, cast

import numpy as np

from featureconvex.files import write_text
from featureconvex.provenance import Provenance
from featureconvex.results.columns import CLOSED_FORM, RAW, STD, RadiusColumn
from featureconvex.results.multi_class.counts import class_counts
from featureconvex.results.multi_class.folder import ClassRun
from featureconvex.results.multi_class.warnings import class_warnings
from featureconvex.results.radius_rows import RadiusRows
from featureconvex.results.record import ModelRecord, Seconds, norm_of
from featureconvex.results.statistics.curves import average_certified_radius, median_radius
from featureconvex.results.statistics.radii import Radii, RadiiByLevel, radii_of_levels
from featureconvex.results.strict_json import dump_json, jsonable


class OneClass(TypedDict):
    """The test points of one class: how many, how many are recognised, and how safely."""

    n: int
    accuracy: float
    median_radius: dict[str, float | None]
    average_certified_radius: dict[str, float]
    nearest_rival: str | None


class ClassMetrics(RadiiByLevel):
    """The file.

    Radii are those within which a point stays in its own class; medians are over the points that are
    recognised, averages over all, 0 where one is not. At the top level and in ``by_class`` they are of the
    closed form on all points, under ``levels`` of all levels on the first ``n_compared``.
    """

    task: str
    multi_class: str
    classes: list[str]
    recipe: str
    seed: int
    n_train: int
    n_test: int
    n_compared: int
    norm: str
    clean_accuracy: float
    accuracy_by_class: dict[str, float]
    train_accuracy: float | None
    by_class: dict[str, OneClass]
    confusion: list[list[int]]
    status: dict[str, int]
    tau: list[float]
    temperature: float | None
    epochs: int
    model: ModelRecord
    warnings: list[str]
    seconds: Seconds
    provenance: Provenance
    training_std_units: NotRequired[RadiiByLevel]


def derive_class_metrics(run: ClassRun) -> ClassMetrics:
    """All metrics as plain JSON values: ``"inf"`` for infinity, None for a median that does not exist."""
    record, counts = run.record, class_counts(run.points, run.classes)
    raw = _radii(run, RAW)
    metrics: ClassMetrics = {
        "task": record["task"],
        "multi_class": record["multi_class"],
        "classes": run.classes,
        "recipe": record["recipe"],
        "seed": record["seed"],
        "n_train": record["n_train"],
        "n_test": len(run.points),
        "n_compared": len(run.compared.rows),
        "norm": norm_of(record),
        "clean_accuracy": counts.accuracy,
        "accuracy_by_class": dict(zip(run.classes, counts.by_class.tolist(), strict=True)),
        "train_accuracy": record["train_accuracy"],
        "certified_accuracy": raw["certified_accuracy"],
        "median_radius": raw["median_radius"],
        "average_certified_radius": raw["average_certified_radius"],
        "levels": raw["levels"],
        "by_class": {name: _one_class(run.of_class(name), RAW) for name in run.classes},
        "confusion": counts.table.tolist(),
        "status": {
            str(k): int(v) for k, v in run.points["status"].value_counts().sort_index().items()
        },
        "tau": record["tau"],
        "temperature": record["temperature"],
        "epochs": record["epochs"],
        "model": record["model"],
        "warnings": class_warnings(run.points, record),
        "seconds": record["seconds"],
        "provenance": record["provenance"],
    }
    if STD in run.whole.units:
        metrics["training_std_units"] = _radii(run, STD)
    return cast("ClassMetrics", jsonable(metrics))


def write_class_metrics(metrics: ClassMetrics, path: Path) -> None:
    """Write strict JSON, whole or not at all."""
    write_text(path, dump_json(metrics))


def _radii(run: ClassRun, unit: str) -> RadiiByLevel:
    closed = _levels(run.whole, unit)[CLOSED_FORM]
    return {**closed, "levels": _levels(run.compared, unit)}


def _levels(seen: RadiusRows, unit: str) -> dict[str, Radii]:
    return radii_of_levels(seen.rows, [c for c in seen.columns if c.unit == unit])


def _one_class(seen: RadiusRows, unit: str) -> OneClass:
    columns = [c for c in seen.columns if c.unit == unit]
    rows = seen.rows
    return {
        "n": len(rows),
        "accuracy": float(np.mean(rows["predicted"])),
        "median_radius": {c.threat: median_radius(rows, c.name) for c in columns},
        "average_certified_radius": {
            c.threat: average_certified_radius(rows, c.name) for c in columns
        },
        "nearest_rival": nearest_rival(seen, seen.closed_form(norm_of(seen.record), unit)),
    }


def nearest_rival(seen: RadiusRows, column: RadiusColumn) -> str | None:
    """The class that the recognised points are nearest to most often; None where none is recognised."""
    rivals = seen.rows.loc[seen.rows["predicted"] == 1, column.rival]
    return None if rivals.empty else str(rivals.value_counts().index[0])
