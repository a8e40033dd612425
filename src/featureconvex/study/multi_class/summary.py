"""What all cells say: means over seeds with Student's interval, and differences seed by seed."""

from collections.abc import Sequence
from typing import Any

from featureconvex.results.statistics.intervals import student
from featureconvex.study.multi_class.grid import grouped
from featureconvex.study.multi_class.ten_classes import FAMILIES
from featureconvex.study.study import Row

SET_NAMES = ("recall", "false_positive_rate", "mean_radius", "median_radius")


def summary(rows: Sequence[Row]) -> dict[str, Any]:
    """Models of all classes by data, scores and temperature; and every set's detectors beside them."""
    whole = [row for row in rows if row["settings"]["model"] != "detector"]
    return {
        "models": [
            {
                **{"data": data, "title": FAMILIES[data], "scores": scores, "temperature": t},
                **{"n_train": own[0]["n_train"], "n_test": own[0]["n_test"]},
                **_means(own),
                "certified": [sum(part) / len(own) for part in zip(*_curves(own), strict=True)],
            }
            for (data, scores, t), own in grouped(whole, "data", "model", "temperature").items()
        ],
        "gain": {data: _gain(own) for (data,), own in grouped(whole, "data").items()},
        "sets": [
            {"data": data, "title": FAMILIES[data], "set": name, **_answers(own, name)}
            for data, name, own in _sets(rows)
        ],
    }


def _means(own: Sequence[Row]) -> dict[str, Any]:
    measured = {
        "accuracy": [row["accuracy"]["estimate"] for row in own],
        "median_radius": [row["median_radius"]["estimate"] for row in own],
        "mean_radius": [row["mean_radius"] for row in own],
        "tight_gain": [row["tight_gain"] for row in own],
    }
    return {
        name: {**student(values).table(), "values": values} for name, values in measured.items()
    }


def _curves(own: Sequence[Row]) -> list[list[float]]:
    return [row["certified"] for row in own]


def _gain(own: Sequence[Row]) -> dict[str, Any]:
    """What convex scores have more than affine ones, for each seed and temperature."""
    cells = grouped(own, "seed", "temperature", "model")
    found: dict[str, Any] = {}
    for name in ("mean_radius", "accuracy"):
        pairs = [
            _value(cells[(seed, t, "convex")][0], name)
            - _value(cells[(seed, t, "affine")][0], name)
            for seed, t, model in cells
            if model == "convex"
        ]
        found[name] = student(pairs).table()
    return found


def _value(row: Row, name: str) -> float:
    value = row[name]
    return float(value["estimate"] if isinstance(value, dict) else value)


def _sets(rows: Sequence[Row]) -> list[tuple[str, str, list[Row]]]:
    """(data, name, rows with that set) in the order of the cells."""
    names = dict.fromkeys((row["settings"]["data"], name) for row in rows for name in row["sets"])
    return [
        (
            data,
            name,
            [row for row in rows if row["settings"]["data"] == data and name in row["sets"]],
        )
        for data, name in names
    ]


def _answers(own: Sequence[Row], name: str) -> dict[str, Any]:
    """By model and temperature: recall, false positives and radii of the set's points."""
    return {
        "answers": [
            {
                **{"model": model, "temperature": t},
                **{
                    key: {**student(values).table(), "values": values}
                    for key in SET_NAMES
                    for values in [[row["sets"][name][key] for row in rows]]
                },
            }
            for (model, t), rows in grouped(own, "model", "temperature").items()
        ]
    }
