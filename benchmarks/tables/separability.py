"""Convex separability of every data set, with proofs and distances: ``results/separability.json``.

    python benchmarks/tables/separability.py [--only mnist-3-8] [--quick] [--data-dir D]

Each line is one `featureconvex separability` in a process of its own, on one thread: what it answers, how
long the verdicts and proofs take (``seconds``, without distances; ``processor_seconds`` do not depend on
what else the machine does), the same with the distances refined (``--distance 2``), and the largest
memory of either process. The tables are those of ``table_files.py``.
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
from featureconvex.results.strict_json import dump_json, load_json
from table_files import HALVES, TABLES, arguments_of

ROOT = Path(__file__).resolve().parents[2]
RESULT = ROOT / "results" / "separability.json"

NAMED = ("mnist-3-8", "fashion-shirts", "cifar10-cats-dogs", "spambase", "breast-cancer")
MAPS = ("abs-concat", "scattering")
KEPT = (
    *(
        "task",
        "split",
        "features",
        "dimension",
        "separable",
        "separable_reverse",
        "points",
        "proved",
    ),
    *(
        "seconds",
        "processor_seconds",
        "linearly_separable",
        "linear_accuracy",
        "concerns",
        "forward",
        "reverse",
        "note",
    ),
)


def ask(arguments: list[str], data_dir: Path, scratch: Path) -> dict[str, Any]:
    """One command in its own process: its answer, and the most memory it took."""
    folder = Path(tempfile.mkdtemp(dir=scratch))
    command = [sys.executable, "-m", "featureconvex", "separability", *arguments]
    command += ["--out", str(folder)]
    environment = {**os.environ, "OMP_NUM_THREADS": "1", "FEATURECONVEX_DATA": str(data_dir)}
    process = subprocess.Popen(command, env=environment)
    _, status, usage = os.wait4(process.pid, 0)
    if status:
        raise SystemExit(f"{' '.join(command)} failed")
    found = load_json(folder / "separability.json")
    answer = {name: found[name] for name in KEPT}
    return {**answer, "memory_mib": usage.ru_maxrss / 1024}


# Many points in few dimensions: their distances take half an hour.
WITHOUT_DISTANCES = ("shuttle",)


def both(arguments: list[str], data_dir: Path, scratch: Path, refine: bool) -> dict[str, Any]:
    """Verdicts alone, timed; then with distances."""
    quick = ask(arguments, data_dir, scratch)
    if not refine:
        return quick
    refined = ask([*arguments, "--distance", "2"], data_dir, scratch)
    memory = max(quick["memory_mib"], refined["memory_mib"])
    times = {name: quick[name] for name in ("seconds", "processor_seconds")}
    times["processor_seconds_with_distances"] = refined["processor_seconds"]
    return {**refined, **times, "memory_mib": memory}


def main() -> None:
    """Measure and write; data sets that were measured before stay."""
    parser = argparse.ArgumentParser(description=__doc__)
    names = (*NAMED, *TABLES, *HALVES, *(f"mnist-3-8 {m}" for m in MAPS))
    parser.add_argument("--only", nargs="*", choices=names, default=list(names))
    parser.add_argument("--quick", action="store_true", help="no distances")
    parser.add_argument("--data-dir")
    parser.add_argument("--out", type=Path, default=RESULT)
    options = parser.parse_args()
    data_dir = resolve_data_dir(options.data_dir)
    content: dict[str, Any] = {"sets": {}}
    if options.out.exists():
        content = load_json(options.out)
    with tempfile.TemporaryDirectory() as folder:
        for name in options.only:
            task, _, features = name.partition(" ")
            arguments = arguments_of(task, data_dir / "tables", Path(folder))
            arguments += ["--features", features] if features else []
            refine = not (features or task in WITHOUT_DISTANCES or options.quick)
            answer = both(arguments, data_dir, Path(folder), refine)
            content["sets"][name] = {**answer, "task": name, "provenance": provenance()}
            write_text(options.out, dump_json(content))


if __name__ == "__main__":
    main()
