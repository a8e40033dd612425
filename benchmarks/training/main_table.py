"""The main table: every task, recipe and norm of the README, three seeds each.

    python benchmarks/training/main_table.py [--only mnist] [--jobs 2] [--seeds 0,1,2]

Needs the real data (``FEATURECONVEX_DATA``). Writes one run folder each below ``runs/main_table``
and, after every run, ``results/main_table.json``. Runs that are already there are kept, so a killed
table continues.
"""

import argparse
import json
import os
import statistics
from concurrent.futures import ProcessPoolExecutor, as_completed
from pathlib import Path
from typing import Any

from featureconvex.files import write_text
from featureconvex.provenance import provenance

ROOT = Path(__file__).resolve().parents[2]
RUNS = ROOT / "runs" / "main_table"
RESULT = ROOT / "results" / "main_table.json"
# Task, recipe, norm; and a temperature where it does not choose itself: another operating point.
ROWS: tuple[tuple[str, ...], ...] = (
    ("mnist-3-8", "paper", "2"),
    ("fashion-shirts", "paper", "2"),
    *(("mnist-3-8", "default", norm) for norm in ("1", "2", "inf")),
    *(("fashion-shirts", "default", norm) for norm in ("1", "2", "inf")),
    # More accuracy in exchange for radius than the recipe's own choice, or the reverse.
    ("mnist-3-8", "default", "1", "5.4"),
    ("mnist-3-8", "default", "2", "2.65"),
    ("mnist-3-8", "default", "inf", "0.2"),
    ("fashion-shirts", "default", "1", "36"),
    ("fashion-shirts", "default", "2", "9"),
    ("fashion-shirts", "default", "inf", "0.22"),
    *(("cifar10-cats-dogs", "default", norm) for norm in ("1", "2", "inf")),
    ("cifar10-cats-dogs", "default", "2", "1.8"),
    *(("breast-cancer", "default", norm) for norm in ("1", "2", "inf")),
    *(("spambase", "default", norm) for norm in ("1", "2", "inf")),
)
SEEDS = (0, 1, 2)


def one(row: tuple[str, ...], seed: int, threads: int) -> dict[str, Any]:
    """Run once, or read what an earlier run left."""
    import torch

    from featureconvex.data import find_task
    from featureconvex.experiment import Settings, run
    from featureconvex.norms import parse_norm

    torch.set_num_threads(threads)
    task, recipe, norm, *asked = row
    at = "".join(f"-temperature{temperature}" for temperature in asked)
    folder = RUNS / f"{task}-{recipe}-l{norm}{at}-seed{seed}"
    if not (folder / "report.html").exists():
        settings = Settings(
            norm=parse_norm(norm),
            recipe=recipe,
            seed=seed,
            temperature=float(asked[0]) if asked else None,
        )
        run(find_task(task), folder, settings, progress=False)
    metrics = json.loads((folder / "metrics.json").read_text())
    record = json.loads((folder / "record.json").read_text())
    kept = ("task", "recipe", "seed", "n_train", "n_test", "clean_accuracy", "accuracy_by_class")
    return {
        **{name: metrics[name] for name in kept},
        "norm": f"l{norm}",
        **({"asked_temperature": float(asked[0])} if asked else {}),
        "train_accuracy": metrics["train_accuracy"],
        "median_radius": metrics["median_radius"],
        # Tables only: every column measured in its standard deviation over the training rows.
        **(
            {"median_radius_in_std": metrics["training_std_units"]["median_radius"]}
            if "training_std_units" in metrics
            else {}
        ),
        "levels": {
            level: values["median_radius"] for level, values in metrics.get("levels", {}).items()
        },
        "feature_map": record.get("feature_map"),
        "temperature": record["temperature"],
        "seconds": metrics["seconds"],
        "provenance": metrics["provenance"],
    }


def key_of(run: dict[str, Any]) -> list[Any]:
    """What tells a run from the others: its row, and the seed."""
    named = [run[name] for name in ("task", "recipe", "norm")]
    return [*named, run.get("asked_temperature"), run["seed"]]


def summary(results: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """The median over seeds of every row that is complete so far."""
    rows = []
    for task, recipe, norm, *asked in ROWS:
        temperature = float(asked[0]) if asked else None
        wanted = [task, recipe, f"l{norm}", temperature]
        seeds = [r for r in results if key_of(r)[:-1] == wanted]
        if seeds:
            kinds = [kind for kind in ("median_radius", "median_radius_in_std") if kind in seeds[0]]
            rows.append(
                {
                    "task": task,
                    "recipe": recipe,
                    "norm": f"l{norm}",
                    **({} if temperature is None else {"asked_temperature": temperature}),
                    "seeds": len(seeds),
                    "clean_accuracy": statistics.median(r["clean_accuracy"] for r in seeds),
                    **{
                        kind: {
                            name: statistics.median(r[kind][name] for r in seeds)
                            for name in ("l1", "l2", "linf")
                        }
                        for kind in kinds
                    },
                    "train_seconds": statistics.median(r["seconds"]["train"] for r in seeds),
                }
            )
    return rows


def main() -> None:
    """Run the table."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--only", default="", help="a part of the name of the rows to run")
    parser.add_argument("--jobs", type=int, default=1, help="runs at a time")
    parser.add_argument("--seeds", default=",".join(map(str, SEEDS)), help="separated by commas")
    arguments = parser.parse_args()
    threads = max(1, (os.cpu_count() or 1) // arguments.jobs)
    jobs = [
        (row, seed, threads)
        for seed in map(int, arguments.seeds.split(","))
        for row in ROWS
        if arguments.only in "-".join(row)
    ]
    results = json.loads(RESULT.read_text())["runs"] if RESULT.exists() else []
    with ProcessPoolExecutor(arguments.jobs) as pool:
        for future in as_completed([pool.submit(one, *job) for job in jobs]):
            new = future.result()
            results = [r for r in results if key_of(r) != key_of(new)] + [new]
            results.sort(key=lambda r: [str(part or "") for part in key_of(r)])
            content = {"table": summary(results), "runs": results, "provenance": provenance()}
            write_text(RESULT, json.dumps(content, indent=1))
            print(
                f"{new['task']:18} {new['recipe']:8} {new['norm']:5} seed {new['seed']} "
                f"{100 * new['clean_accuracy']:6.2f} %  {new['median_radius']}  "
                f"{new['seconds']['train']:.0f} s",
                flush=True,
            )


if __name__ == "__main__":
    main()
