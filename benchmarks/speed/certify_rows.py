"""How long a million rows of fifty columns take, and how much memory.

    python benchmarks/speed/certify_rows.py [ROWS]

A random table as CSV and as Parquet, and the default recipe's model, trained on its first 5,000 rows, whose
certificates are computed by the command line with two processes: closed form, and in a box around the
training rows. Memory is that of all processes together, pages that they share counted once (Linux only).
Writes ``results/certify_rows.json``.
"""

import json
import subprocess
import sys
import tempfile
import threading
import time
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from featureconvex.files import write_text
from featureconvex.provenance import provenance

RESULT = Path(__file__).resolve().parents[2] / "results" / "certify_rows.json"
COLUMNS = 50
TRAINING = 5000
AT_ONCE = 50_000
COMMAND = (sys.executable, "-m", "featureconvex")


def write_table(folder: Path, rows: int) -> None:
    """``rows.csv`` and the folder ``rows`` of Parquet files, rounded to four digits; ``train.csv``."""
    rng = np.random.default_rng(0)
    weights = rng.standard_normal(COLUMNS)
    (folder / "rows").mkdir()
    for start in range(0, rows, AT_ONCE):
        x = rng.standard_normal((min(AT_ONCE, rows - start), COLUMNS)).round(4)
        frame = pd.DataFrame(x, columns=[f"x{i}" for i in range(COLUMNS)])
        frame.insert(0, "id", np.arange(start, start + len(x)))
        noise = 3 * rng.standard_normal(len(x))
        labelled = frame.drop(columns="id").assign(label=(x @ weights + noise > 0).astype(int))
        if start == 0:
            labelled[:TRAINING].to_csv(folder / "train.csv", index=False)
        frame.to_csv(folder / "rows.csv", mode="a", header=start == 0, index=False)
        frame.to_parquet(folder / "rows" / f"{start:08d}.parquet", index=False)


def used(pid: int) -> int:
    """Bytes of a process and its children, shared pages in equal parts."""
    total = 0
    try:
        lines = Path(f"/proc/{pid}/smaps_rollup").read_text().splitlines()
        total = 1024 * next(int(line.split()[1]) for line in lines if line.startswith("Pss:"))
        children = Path(f"/proc/{pid}/task/{pid}/children").read_text().split()
        total += sum(used(int(child)) for child in children)
    except (OSError, StopIteration):
        pass  # it has ended
    return total


def timed(arguments: list[str]) -> tuple[float, int, str]:
    """Seconds, the most memory, and what was said."""
    most, start = 0, time.perf_counter()
    with subprocess.Popen(
        [*COMMAND, *arguments], stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True
    ) as job:
        done = threading.Event()

        def watch() -> None:
            nonlocal most
            while not done.wait(0.2):
                most = max(most, used(job.pid))

        watcher = threading.Thread(target=watch)
        watcher.start()
        said, _ = job.communicate()
        seconds = time.perf_counter() - start
        done.set()
        watcher.join()
    if job.returncode:
        raise SystemExit(f"{' '.join(arguments)} failed")
    return seconds, most, said


def main() -> None:
    """Measure and write."""
    rows = int(sys.argv[1]) if len(sys.argv) > 1 else 1_000_000
    cases: list[dict[str, Any]] = []
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        write_table(folder, rows)
        train = [*COMMAND, "run", str(folder / "train.csv"), "--label", "label", "--epochs", "3"]
        train += ["--temperature", "0.5", "--out", str(folder / "run")]
        subprocess.run(train, check=True, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        levels = {"closed-form": [], "domain": ["--box", "-6", "6"]}
        for level, options in levels.items():
            for source, jobs in (("rows.csv", 2), ("rows", 2), ("rows.csv", 1)):
                out = folder / "certified.parquet"
                given = ["certify", str(folder / "run"), str(folder / source), "--out", str(out)]
                given += ["--level", level, *options, "--jobs", str(jobs)]
                given += ["--keep", "id"]
                seconds, most, said = timed(given)
                found = pd.read_parquet(out, columns=["radius_l2"])
                cases.append(
                    {
                        "level": level,
                        "input": "CSV" if source.endswith("csv") else "folder of Parquet files",
                        "jobs": jobs,
                        "rows": len(found),
                        "certified": int((found["radius_l2"] > 0).sum()),
                        "seconds": round(seconds, 1),
                        "most_mib": round(most / 2**20),
                    }
                )
                print(json.dumps(cases[-1]), said, flush=True)
    if rows == 1_000_000:
        record = {"columns": COLUMNS, "cases": cases, "provenance": provenance()}
        write_text(RESULT, json.dumps(record, indent=1))


if __name__ == "__main__":
    main()
