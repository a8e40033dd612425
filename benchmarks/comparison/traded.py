"""What a larger training radius gives alpha,beta-CROWN in l1, and a larger temperature ours.

    python benchmarks/comparison/traded.py

The comparison trains one network of each per norm: alpha,beta-CROWN for one radius, ours at the
temperature that its recipe tunes. Both can trade accuracy for radius. Here they do, certified in l1 on the
same test points as in ``results/compare_<task>.json``, whose networks stand beside them:
``results/traded.json``, for ``benchmarks/pages/comparison_page.py``. One thread. A killed run goes on.
"""

import argparse
import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any, ClassVar

import numpy as np
import torch

from featureconvex.baselines import Method, Options
from featureconvex.baselines.feature_convex import FeatureConvex
from featureconvex.baselines.relu.crown.method import AlphaBetaCrown
from featureconvex.comparison.columns import radius_column
from featureconvex.comparison.data import ComparisonData, comparison_data
from featureconvex.comparison.fit import run_one_fit
from featureconvex.data import find_task
from featureconvex.files import write_text
from featureconvex.provenance import provenance
from featureconvex.results.strict_json import dump_json
from featureconvex.training.recipes import Recipe

ROOT = Path(__file__).resolve().parents[2]
RUNS = ROOT / "runs" / "traded"
RESULT = ROOT / "results" / "traded.json"
# Training radii of alpha,beta-CROWN beyond those of the comparison.
EPSILONS = {"mnist-3-8": (10.0, 14.0), "fashion-shirts": (9.0, 12.0)}
# Times the temperature that our recipe tunes.
FACTORS = (1.5, 2.5)
KNOBS = ("epsilon", "temperature")


def trained_for(task: str, epsilon: float) -> type[AlphaBetaCrown]:
    """The method with another training radius, certified in l1 alone."""

    class Other(AlphaBetaCrown):
        native_norms = (1.0,)
        radii: ClassVar[Mapping[str, Mapping[float, float]]] = {task: {1.0: epsilon}}

    return Other


def ours_at(temperature: float) -> type[FeatureConvex]:
    """Our default recipe for l1 at a temperature of one's own."""

    class Other(FeatureConvex):
        def _recipe(self, shape: torch.Size) -> Recipe:
            return super()._recipe(shape).replace(temperature=temperature)

    return Other


def measured(method: Method, data: ComparisonData, folder: Path) -> dict[str, Any]:
    """One network: clean accuracy and l1 radii over the sensitive test points."""
    fit = run_one_fit(method, data, folder, progress=True)
    sensitive = fit.rows["label"] > 0
    level = next(iter(method.levels))
    radius = fit.rows.loc[sensitive, radius_column(1.0, level)].fillna(0.0).to_numpy()
    flagged = fit.rows.loc[sensitive, "predicted"].to_numpy() > 0
    return {
        "method": method.name,
        **{key: fit.record["facts"].get(key) for key in KNOBS},
        "git": fit.record["provenance"]["git"],
        "clean_accuracy": float((fit.rows["predicted"] == fit.rows["label"]).mean()),
        "median_radius": float(np.median(radius[flagged])),
        "average_certified_radius": float(radius.mean()),
    }


def compared(method: str, table: dict[str, Any]) -> dict[str, Any]:
    """The l1 setting of a method in the comparison, at its first level."""
    entry = table["methods"][method]
    setting = next(s for s in entry["settings"] if s["setting"] == entry["best_setting"]["l1"])
    level = setting["levels"][next(iter(entry["levels"]))]
    return {
        "method": method,
        **{key: setting["facts"].get(key) for key in KNOBS},
        "git": setting["provenance"]["git"],
        "clean_accuracy": setting["clean_accuracy"],
        "median_radius": level["median_radius"]["l1"],
        "average_certified_radius": level["average_certified_radius"]["l1"],
    }


def rows_of(task: str) -> list[dict[str, Any]]:
    """All networks of a task: the comparison's own of each method first."""
    path = ROOT / "results" / f"compare_{task}.json"
    table = json.loads(path.read_text(encoding="utf-8"))
    data = comparison_data(find_task(task).load(None), table["n_test"], table["seed"])
    options = Options(shape=data.shape, task=task, seed=table["seed"])
    ours = compared(FeatureConvex.name, table)
    rows = [ours]
    for factor in FACTORS:
        method = ours_at(factor * ours["temperature"])(options, {"recipe": "default", "norm": "l1"})
        rows.append(measured(method, data, RUNS / task / f"ours-{factor:g}"))
    rows.append(compared(AlphaBetaCrown.name, table))
    for epsilon in EPSILONS[task]:
        crown = trained_for(task, epsilon)(options, {"norm": "l1"})
        rows.append(measured(crown, data, RUNS / task / f"{epsilon:g}"))
    return rows


def main() -> None:
    """Measure and write."""
    argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    ).parse_args()
    torch.set_num_threads(1)
    origin = provenance()
    rows = {task: rows_of(task) for task in EPSILONS}
    write_text(RESULT, dump_json({"tasks": rows, "provenance": origin}))


if __name__ == "__main__":
    main()
