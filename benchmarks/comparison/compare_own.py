"""Methods for several classes side by side: ten digits, ten garments, each of which is to stay what it is.

    python benchmarks/comparison/compare_own.py [--only fashion] [--methods a,b]

Needs the real data (``FEATURECONVEX_DATA``). Works in folders below ``runs/compare-own``, where a killed
comparison continues, and writes ``results/compare_own_<task>.json``; then
``benchmarks/pages/every_page.py`` brings the pages up to date. With ``--methods`` the others stay as the
committed result has them, under their own command and revision. The same as ``featureconvex compare TASK
--multi-class own --limit 1000 --samples 10000 --epochs 2`` with all methods but smoothing, whose small
network gets ten epochs in a folder of its own. About half an hour of a core for each task.
"""

import argparse
from pathlib import Path
from typing import cast

import torch

from featureconvex.baselines.multi_class.registry import CLASS_METHODS, find_class_methods
from featureconvex.comparison import CompareSettings, compare
from featureconvex.comparison.curves import stored
from featureconvex.comparison.folder import Comparison, read_comparison
from featureconvex.comparison.kept import with_kept
from featureconvex.comparison.schema import Head
from featureconvex.data import find_class_task
from featureconvex.files import write_text
from featureconvex.results.strict_json import dump_json, load_json

ROOT = Path(__file__).resolve().parents[2]
RUNS = ROOT / "runs" / "compare-own"
RESULTS = ROOT / "results"
TASKS = ("mnist", "fashion")
SMOOTHING = "smoothing-gaussian"
EPOCHS = {",".join(name for name in CLASS_METHODS if name != SMOOTHING): 2, SMOOTHING: 10}
"""By methods: over 60,000 pictures a pass of the others takes half a minute, one of smoothing seconds."""


def one(task: str, named: list[str]) -> None:
    """Compare the methods named on one task, and write its result."""
    folders = []
    for methods, epochs in EPOCHS.items():
        asked = [name for name in methods.split(",") if name in named]
        if not asked:
            continue
        folder = RUNS / f"{task}-{epochs}"
        settings = CompareSettings(",".join(asked), limit=1000, samples=10_000, epochs=epochs)
        compare(find_class_task(task), folder, settings)
        folders.append(folder)
    parts = [read_comparison(folder) for folder in folders]
    results = {one.method.name: one for part in parts for one in part.results}
    # Every setting says how many epochs it had.
    head = cast("Head", {**parts[0].head, "epochs": None})
    new = Comparison([results[name] for name in CLASS_METHODS if name in results], head)
    path = RESULTS / f"compare_own_{task}.json"
    kept = path.exists() and len(named) < len(CLASS_METHODS)
    tables = with_kept(new, load_json(path)) if kept else new.derive()
    write_text(path, dump_json(stored(tables)))


def main() -> None:
    """Run the comparisons."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--only", default="", help="a part of the name of the tasks to run")
    parser.add_argument("--methods", help="methods separated by commas (default: all)")
    arguments = parser.parse_args()
    torch.set_num_threads(1)
    named = [kind.name for kind in find_class_methods(arguments.methods)]
    for task in TASKS:
        if arguments.only in task:
            one(task, named)


if __name__ == "__main__":
    main()
