"""The leading methods of the comparison on three seeds: ``results/compare_seeds.json``.

    python benchmarks/comparison/compare_seeds.py [--only mnist] [--seeds 0,1,2]

Needs the real data (``FEATURECONVEX_DATA``). On MNIST 3-8, Fashion shirts and CIFAR-10 cats against
dogs in every norm, our model and the peers that certify most and train in minutes, one-sided where they
can be and it helps them, each at a setting that leads with seed 0; of ours in l2 on MNIST also at the
temperature that the peers have. Works in one folder each below ``runs/compare_seeds``, where a killed
job continues, and writes the result after every setting.
"""

import argparse
from pathlib import Path
from typing import Any

from featureconvex.baselines.description import setting_words
from featureconvex.files import write_text
from featureconvex.provenance import provenance
from featureconvex.results.strict_json import dump_json, load_json

ROOT = Path(__file__).resolve().parents[2]
RUNS = ROOT / "runs" / "compare_seeds"
RESULT = ROOT / "results" / "compare_seeds.json"
# Task, norm, method, and words that only this setting has.
ROWS = (
    ("mnist-3-8", "l1", "feature-convex", "norm l1, share 0.25"),
    ("mnist-3-8", "l1", "interval", "norm l1"),
    ("mnist-3-8", "l2", "feature-convex", "norm l2, share 0.5, head affine"),
    ("mnist-3-8", "l2", "feature-convex", "norm l2, share 1.0, head affine"),
    ("mnist-3-8", "l2", "sll", "share 1.0, asymmetry"),
    ("mnist-3-8", "l2", "cayley", "share 1.0, asymmetry"),
    ("mnist-3-8", "linf", "feature-convex", "norm linf, share 1.0, no head"),
    ("mnist-3-8", "linf", "feature-convex", "norm linf, share 8.0, head affine"),
    ("mnist-3-8", "linf", "linf-distance", "temperature 0.3, asymmetry"),
    ("mnist-3-8", "linf", "monotone", "0.4"),
    ("fashion-shirts", "l1", "feature-convex", "norm l1, share 0.25"),
    ("fashion-shirts", "l1", "interval", "norm l1"),
    ("fashion-shirts", "l2", "feature-convex", "norm l2, share 2.0"),
    ("fashion-shirts", "l2", "sll", "share 1.0, asymmetry"),
    ("fashion-shirts", "l2", "cayley", "share 1.0, asymmetry"),
    ("fashion-shirts", "linf", "feature-convex", "norm linf, share 1.0, head affine"),
    ("fashion-shirts", "linf", "linf-distance", "temperature 0.3, asymmetry"),
    ("fashion-shirts", "linf", "monotone", "0.4"),
    ("cifar10-cats-dogs", "l1", "feature-convex", "default, norm l1, no share"),
    ("cifar10-cats-dogs", "l1", "interval", "norm l1"),
    ("cifar10-cats-dogs", "l1", "linear", ""),
    ("cifar10-cats-dogs", "l2", "feature-convex", "default, norm l1, no share"),
    ("cifar10-cats-dogs", "l2", "feature-convex", "norm l2, share 2.0"),
    ("cifar10-cats-dogs", "l2", "feature-convex", "norm l2, share 4.0, map pixels"),
    ("cifar10-cats-dogs", "l2", "feature-convex", "norm l2, share 8.0, map pixels"),
    ("cifar10-cats-dogs", "l2", "smoothing-gaussian", "sigma 3.0"),
    ("cifar10-cats-dogs", "l2", "cayley", "share 1.0, no asymmetry"),
    ("cifar10-cats-dogs", "l2", "sll", "share 1.0, no asymmetry"),
    ("cifar10-cats-dogs", "linf", "feature-convex", "norm linf, share 8.0, head affine"),
    ("cifar10-cats-dogs", "linf", "linf-distance", "temperature 1.0, asymmetry"),
    ("cifar10-cats-dogs", "linf", "monotone", "0.1"),
)
LIMIT = 1000
# Of these, for methods that sample.
COSTLY_LIMIT = 250


def one(task: str, norm: str, method: str, words: str, seed: int) -> dict[str, Any]:
    """Fit and certify, or read what an earlier job left."""
    from featureconvex.comparison import CompareSettings, compare
    from featureconvex.comparison.folder import read_comparison
    from featureconvex.data import find_task

    folder = RUNS / "-".join([task, method, *words.replace(",", "").split(), f"seed{seed}"])
    settings = CompareSettings(
        method, limit=LIMIT, costly_limit=COSTLY_LIMIT, only=words or None, seed=seed
    )
    compare(find_task(task), folder, settings, progress=False)
    found = read_comparison(folder).derive()["methods"][method]["settings"]
    if len(found) != 1:
        raise SystemExit(f"{task}, {method}: {words!r} are the words of {len(found)} settings")
    (fit,) = found
    levels = fit["levels"]
    best = max(levels, key=lambda name: levels[name]["average_certified_radius"][norm])
    level = levels[best]
    return {
        "task": task,
        "norm": norm,
        "method": method,
        "setting": fit["setting"],
        "seed": seed,
        "level": best,
        "clean_accuracy": fit["clean_accuracy"],
        "median_radius": level["median_radius"][norm],
        "mean_radius": level["average_certified_radius"][norm],
        "train_seconds": fit["train_seconds"],
        "provenance": fit["provenance"],
    }


def main() -> None:
    """Run what is missing."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument(
        "--only", default="", help="a part of 'TASK-NORM-METHOD SETTING', for what to run"
    )
    parser.add_argument("--seeds", default="0,1,2", help="separated by commas")
    arguments = parser.parse_args()
    runs = load_json(RESULT)["runs"] if RESULT.exists() else []
    for seed in map(int, arguments.seeds.split(",")):
        for row in (row for row in ROWS if arguments.only in f"{'-'.join(row[:3])} {row[3]}"):
            new = one(*row, seed)
            runs = [run for run in runs if key_of(run) != key_of(new)] + [new]
            write_text(RESULT, dump_json({"runs": runs, "provenance": provenance()}))
            print(*key_of(new), new["clean_accuracy"], new["mean_radius"], flush=True)


def key_of(run: dict[str, Any]) -> tuple[Any, ...]:
    """What tells a run from the others."""
    names = ("task", "norm", "method", "seed")
    return *(run[name] for name in names), setting_words(run["setting"])


if __name__ == "__main__":
    main()
