"""Many variants of one setting, several seeds each: what the sweeps of this room share."""

from collections.abc import Sequence
from typing import Any

from featureconvex.norms import NORM_NAMES
from featureconvex.results.statistics.intervals import student
from featureconvex.study.study import Row, Settings

SEEDS = 3


def variant(base: dict[str, Any], **changes: dict[str, Any]) -> dict[str, Any]:
    """``base`` with values of its groups changed: ``variant(base, recipe={"epochs": 3})``."""
    made = {**base}
    for name, change in changes.items():
        made[name] = {**base.get(name, {}), **change} if isinstance(change, dict) else change
    return made


def seeded(labelled: Sequence[tuple[str, str, Settings]], seed: int, seeds: int) -> list[Settings]:
    """Cells for (group, label, settings), seed by seed, so that a sweep has all variants early."""
    return [
        {"group": group, "label": label, **settings, "seed": seed + k}
        for k in range(seeds)
        for group, label, settings in labelled
    ]


def variants(rows: Sequence[Row]) -> list[dict[str, Any]]:
    """One entry per group and label: mean over seeds with Student's interval, and every seed's values."""
    groups: dict[tuple[str, str], list[Row]] = {}
    for row in rows:
        key = (row["settings"]["group"], row["settings"]["label"])
        groups.setdefault(key, []).append(row)
    return [_entry(group, label, own) for (group, label), own in groups.items()]


def _entry(group: str, label: str, own: list[Row]) -> dict[str, Any]:
    measured = {
        "clean_accuracy": [row["clean_accuracy"]["estimate"] for row in own],
        "train_accuracy": [row["train_accuracy"] for row in own],
        **{
            f"{kind} {norm}": [_radius(row, kind, norm) for row in own]
            for kind in ("median", "mean")
            for norm in NORM_NAMES
        },
    }
    hidden = ("group", "label", "seed")
    return {
        "group": group,
        "label": label,
        "settings": {k: v for k, v in own[0]["settings"].items() if k not in hidden},
        "seeds": [row["settings"]["seed"] for row in own],
        "n_train": own[0]["n_train"],
        "n_test": own[0]["n_test"],
        **{
            name: {**student(values).table(), "values": values} for name, values in measured.items()
        },
    }


def _radius(row: Row, kind: str, norm: str) -> float:
    found = row["median_radius"][norm]["estimate"] if kind == "median" else row["mean_radius"][norm]
    return 0.0 if found is None else float(found)


def difference(one: dict[str, Any], base: dict[str, Any], name: str) -> dict[str, float]:
    """What a variant changes, seed by seed, with Student's interval."""
    there = dict(zip(base["seeds"], base[name]["values"], strict=True))
    pairs = zip(one["seeds"], one[name]["values"], strict=True)
    return student([value - there[seed] for seed, value in pairs if seed in there]).table()
