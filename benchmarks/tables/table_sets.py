"""Every public table by the default recipe, beside logistic regression and boosted trees.

    python benchmarks/tables/table_sets.py [--only phishing] [--seeds 0,1,2] [--norms 1,2,inf]

Needs the real data (``FEATURECONVEX_DATA``). Every run is one `featureconvex run` in a process of its own
with one thread, below ``runs/table_sets``; runs that are there are kept. Writes
``results/table_sets.json`` after every run, for the table of ``docs/tables.md``.
"""

import argparse
import os
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import Any

from featureconvex.data import resolve_data_dir
from featureconvex.files import write_text
from featureconvex.provenance import provenance
from featureconvex.results.columns import RadiusColumn
from featureconvex.results.rows import read_rows
from featureconvex.results.statistics.detection import certified_recall, threshold_at
from featureconvex.results.strict_json import dump_json, load_json
from table_files import HALVES, TABLES, arguments_of

ROOT = Path(__file__).resolve().parents[2]
RUNS, RESULT = ROOT / "runs" / "table_sets", ROOT / "results" / "table_sets.json"
NAMED = ("spambase", "breast-cancer")
NORMS = ("1", "2", "inf")
RATES = (0.01, 0.05)
MOVE = {"1": 1.0, "2": 0.5, "inf": 0.1}
"""In training standard deviations: what certified recall is shown for."""


def run(name: str, norm: str, seed: int, data_dir: Path) -> Path:
    """The folder of a run; it is done where it is not there."""
    folder = RUNS / f"{name}-l{norm}-seed{seed}"
    if not (folder / "report.html").exists():
        with tempfile.TemporaryDirectory() as scratch:
            chosen = arguments_of(name, data_dir / "tables", Path(scratch))
            command = [sys.executable, "-m", "featureconvex", "run", *chosen]
            command += ["--norm", norm, "--seed", str(seed), "--out", str(folder)]
            environment = {"OMP_NUM_THREADS": "1", "FEATURECONVEX_DATA": str(data_dir)}
            subprocess.run(command, env={**os.environ, **environment}, check=True)
    return folder


def answer(name: str, norm: str, seed: int, folder: Path) -> dict[str, Any]:
    """What is kept of a run."""
    metrics, rows = load_json(folder / "metrics.json"), read_rows(folder / "rows.parquet")
    attacker = load_json(folder / "attacker.json")
    thresholds = [threshold_at(rows, rate) for rate in RATES]
    column = RadiusColumn(f"l{norm}", unit="std")
    recalls = certified_recall(rows, column, thresholds, [0.0, MOVE[norm]])
    return {
        "set": name,
        "norm": f"l{norm}",
        "seed": seed,
        **{key: metrics[key] for key in ("n_train", "n_test", "n_sensitive")},
        **{key: metrics[key] for key in ("clean_accuracy", "auc")},
        "median_radius_in_std": metrics["training_std_units"]["median_radius"][f"l{norm}"],
        "false_positive_rates": RATES,
        "recall": recalls[:, 0].tolist(),
        "certified_recall": recalls[:, 1].tolist(),
        "certified_for_std": MOVE[norm],
        "median_price": {budget["unit"]: budget["median"] for budget in attacker["budgets"]},
        "baselines": attacker["baselines"],
        "train_seconds": metrics["seconds"]["train"],
        "provenance": metrics["provenance"],
    }


def main() -> None:
    """Run and write."""
    parser = argparse.ArgumentParser(description=__doc__)
    names = (*NAMED, *TABLES, *HALVES)
    parser.add_argument("--only", nargs="*", choices=names, default=list(names))
    parser.add_argument("--seeds", default="0,1,2")
    parser.add_argument("--norms", default=",".join(NORMS))
    options = parser.parse_args()
    data_dir = resolve_data_dir()
    runs = load_json(RESULT)["runs"] if RESULT.exists() else []
    for seed in map(int, options.seeds.split(",")):
        for name in options.only:
            for norm in options.norms.split(","):
                new = answer(name, norm, seed, run(name, norm, seed, data_dir))
                key = [new[part] for part in ("set", "norm", "seed")]
                runs = [r for r in runs if [r[p] for p in ("set", "norm", "seed")] != key] + [new]
                order = {name: k for k, name in enumerate(names)}
                runs.sort(key=lambda r: (order[r["set"]], NORMS.index(r["norm"][1:]), r["seed"]))
                write_text(RESULT, dump_json({"runs": runs, "provenance": provenance()}))


if __name__ == "__main__":
    main()
