"""The comparison of the README: every method on MNIST 3-8, Fashion shirts and CIFAR cats against dogs.

    python benchmarks/comparison/compare.py [--only mnist] [--jobs 2] [--methods a,b]
        [--settings words] [--keep]

Needs the real data (``FEATURECONVEX_DATA``). Works in one folder each below ``runs/compare``, where a
killed comparison continues, and copies each ``comparison.json`` to ``results/compare_<task>.json``; then
``benchmarks/pages/every_page.py`` brings pages and figures up to date. With ``--keep`` settings that the
committed result has and the folder has not stay in it, under their own command and revision, and about
fewer points if it has fewer. The same as
``featureconvex compare TASK --out DIR --costly-limit N``.
"""

import argparse
import os
from concurrent.futures import ProcessPoolExecutor, as_completed
from pathlib import Path

from featureconvex.comparison.curves import stored
from featureconvex.files import write_text
from featureconvex.results.strict_json import dump_json, load_json

ROOT = Path(__file__).resolve().parents[2]
RUNS = ROOT / "runs" / "compare"
RESULTS = ROOT / "results"
TASKS = ("mnist-3-8", "fashion-shirts", "cifar10-cats-dogs")
LIMIT = 1000
# Of colour images fewer, where a thousand certificates of one setting take minutes to hours.
COSTLY_LIMITS = {"cifar10-cats-dogs": 250}


def one(task: str, methods: str | None, only: str | None, threads: int, keep: bool) -> str:
    """Compare on one task; the path of the committed result."""
    import torch

    from featureconvex.comparison import CompareSettings, compare, comparison_data
    from featureconvex.comparison.folder import read_comparison
    from featureconvex.comparison.kept import with_kept
    from featureconvex.data import find_task

    torch.set_num_threads(threads)
    settings = CompareSettings(
        methods, limit=LIMIT, only=only, costly_limit=COSTLY_LIMITS.get(task)
    )
    compare(find_task(task), RUNS / task, settings, progress=False)
    result = RESULTS / f"compare_{task}.json"
    comparison = read_comparison(RUNS / task)
    earlier = load_json(result) if keep and result.exists() else None
    if earlier is None:
        tables = comparison.derive()
    else:
        dataset = find_task(task).load()
        first = comparison_data(dataset, earlier["n_test"], settings.seed).digest
        tables = with_kept(comparison, earlier, first)
    write_text(result, dump_json(stored(tables)))
    return str(result.relative_to(ROOT))


def main() -> None:
    """Run the comparisons."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--only", default="", help="a part of the name of the tasks to run")
    parser.add_argument("--jobs", type=int, default=1, help="tasks at a time")
    parser.add_argument("--methods", help="methods separated by commas (default: all)")
    parser.add_argument("--settings", help="only settings that have this in their words")
    parser.add_argument("--keep", action="store_true", help="settings that are not run again")
    arguments = parser.parse_args()
    threads = max(1, (os.cpu_count() or 1) // arguments.jobs)
    with ProcessPoolExecutor(arguments.jobs) as pool:
        jobs = [
            pool.submit(
                one,
                task,
                arguments.methods,
                arguments.settings,
                threads,
                arguments.keep,
            )
            for task in TASKS
            if arguments.only in task
        ]
        for job in as_completed(jobs):
            print(job.result(), flush=True)


if __name__ == "__main__":
    main()
