"""What each level of certificate adds: median radii per level and norm.

    python benchmarks/levels/level_table.py [--runs runs/main_table]

Reads the runs that ``benchmarks/training/main_table.py`` left, any number of seeds, and trains nothing.
Writes ``results/level_table.json``, from which ``benchmarks/pages/certificates_page.py`` makes a table
and a figure. Rows that no run is found for, or only one trained for another norm, stay as they were, and so
do the records of the runs they come from.
"""

import argparse
import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from featureconvex.certificates import LEVELS
from featureconvex.files import write_text
from featureconvex.norms import NORM_NAMES
from featureconvex.provenance import provenance
from featureconvex.results.columns import CLOSED_FORM, RAW, RadiusColumn
from featureconvex.results.folder import Run, read_run
from featureconvex.results.record import norm_of
from featureconvex.results.statistics.curves import flagged_radii
from featureconvex.results.strict_json import dump_json

ROOT = Path(__file__).resolve().parents[2]
RESULT = ROOT / "results" / "level_table.json"
TASKS = ("mnist-3-8", "fashion-shirts", "cifar10-cats-dogs")
RECIPES = ("paper", "fixed", "default")


@dataclass(frozen=True)
class Finished:
    """One run on disk."""

    folder: Path
    run: Run

    @property
    def key(self) -> tuple[str, str, str]:
        """Task, recipe, the norm it was trained for."""
        record = self.run.record
        return record["task"], record["recipe"], norm_of(record)


def finished_runs(folder: Path) -> list[Finished]:
    """Every complete run below ``folder`` whose temperature chose itself, by name."""
    found = [
        Finished(path.parent, read_run(path.parent))
        for path in sorted(folder.glob("*/record.json"))
        if (path.parent / "rows.parquet").exists() and (path.parent / "metrics.json").exists()
    ]
    return [one for one in found if one.run.record.get("asked", {}).get("temperature") is None]


def chosen(runs: list[Finished], task: str, recipe: str, norm: str) -> list[Finished]:
    """The seeds to report: trained for the norm; where no run was, those trained for l2."""
    for trained_for in ("l2",) if recipe == "paper" else (norm, "l2"):
        found = [one for one in runs if one.key == (task, recipe, trained_for)]
        if found:
            return found
    return []


def medians(one: Finished, norm: str) -> dict[str, tuple[float, float]]:
    """Level to the median radius and the median of the ratio to level 0, sample by sample.

    Over the correctly flagged sensitive test points, in units of the raw input.
    """
    names = {column.level: column.name for column in one.run.levels(norm, RAW)}
    plain_radii = flagged_radii(one.run.rows, names[CLOSED_FORM])
    answer = {}
    for level, name in names.items():
        radii = flagged_radii(one.run.rows, name)
        both = np.isfinite(plain_radii) & np.isfinite(radii) & (plain_radii > 0)
        gain = float(np.median(radii[both] / plain_radii[both])) if both.any() else float("nan")
        answer[level] = (float(np.median(radii)) if len(radii) else float("nan"), gain)
    return answer


def line(runs: list[Finished], task: str, recipe: str, norm: str) -> dict[str, Any]:
    """One row of the table: medians over the seeds."""
    seeds = chosen(runs, task, recipe, norm)
    row: dict[str, Any] = {"task": task, "recipe": recipe, "norm": norm}
    if not seeds:
        return {**row, "seeds": [], "reason": "no such run below the folder"}
    found = [medians(one, norm) for one in seeds]
    levels: dict[str, Any] = {}
    for level in LEVELS:
        reasons = {
            one.run.record.get("levels_unavailable", {}).get(level, "not in the rows")
            for one, values in zip(seeds, found, strict=True)
            if level not in values
        }
        if reasons:
            levels[level] = {"unavailable": sorted(reasons)}
            continue
        radius = float(np.median([values[level][0] for values in found]))
        base = float(np.median([values[CLOSED_FORM][0] for values in found]))
        levels[level] = {
            "median_radius": radius,
            "ratio_of_medians": radius / base,
            "median_ratio": float(np.median([values[level][1] for values in found])),
        }
    # Fewer epochs than the recipe's are said in the table.
    epochs = {one.run.record.get("asked", {}).get("epochs") for one in seeds} - {None}
    return {
        **row,
        **({"epochs": sorted(epochs)} if epochs else {}),
        "trained_for": seeds[0].key[2],
        "seeds": [one.run.record["seed"] for one in seeds],
        "points": [len(flagged_radii(one.run.rows, RadiusColumn(norm).name)) for one in seeds],
        "levels": levels,
    }


def table(runs: list[Finished]) -> list[dict[str, Any]]:
    """All rows: task, recipe, norm."""
    return [line(runs, *key) for key in _keys()]


def _keys() -> list[tuple[str, str, str]]:
    models = [(task, recipe) for task in TASKS for recipe in RECIPES]
    # The other class sensitive, as the paper asks.
    models.append(("cifar10-dogs-cats", "paper"))
    return [(*model, norm) for model in models for norm in NORM_NAMES]


def kept(rows: list[dict[str, Any]], before: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """The rows, with an earlier result where no run was found now, or only one trained for another norm."""
    earlier = {(row["task"], row["recipe"], row["norm"]): row for row in before}
    found = []
    for row in rows:
        old = earlier.get((row["task"], row["recipe"], row["norm"]), row)
        fits, fitted = (one.get("trained_for") == one["norm"] for one in (row, old))
        found.append(old if not row["seeds"] or (fitted and not fits) else row)
    return found


def main() -> None:
    """Read the runs and write the table."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--runs", type=Path, default=ROOT / "runs" / "main_table")
    runs = finished_runs(parser.parse_args().runs)
    before = json.loads(RESULT.read_text()) if RESULT.exists() else {"table": [], "runs": {}}
    rows = kept(table(runs), before["table"])
    found = {one.folder.name: one.run.record["provenance"] for one in runs}
    sources = {**before["runs"], **found}
    write_text(RESULT, dump_json({"table": rows, "runs": sources, "provenance": provenance()}))
    for row in rows:
        print(row["task"], row["recipe"], row["norm"], row["seeds"], row.get("levels", ""))


if __name__ == "__main__":
    main()
