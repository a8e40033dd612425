"""How much memory certificates and training need beyond their input and their result.

    python benchmarks/speed/memory.py

Each case in a process of its own: anonymous resident memory (what a process allocates; the pages of a
mapped file are the input itself), watched from a thread, at most above what it was before the call (input
there, one small call made), less the result. Linux only. Writes ``results/memory.json``.
"""

import json
import math
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import torch

import featureconvex as fc
from featureconvex.files import write_text
from featureconvex.provenance import provenance

RESULT = Path(__file__).resolve().parents[2] / "results" / "memory.json"
WIDTH = 784
THREATS = [fc.Lp(1), fc.Lp(2), fc.Lp(math.inf)]
# level, rows; a training set of the size has 76 MiB.
CERTIFIED = (("closed-form", 200_000), ("closed-form", 400_000), ("domain", 200_000))
FITTED_ROWS, FITTED_WIDTH = 200_000, 100
MIB = 2**20


def resident() -> int:
    """Bytes."""
    lines = Path("/proc/self/status").read_text().splitlines()
    return 1024 * next(int(line.split()[1]) for line in lines if line.startswith("RssAnon"))


def added(action: Callable[[], Any]) -> tuple[int, Any]:
    """The most that resident memory rose while ``action`` ran, and its result."""
    before, most, done = resident(), 0, threading.Event()

    def watch() -> None:
        nonlocal most
        while not done.is_set():
            most = max(most, resident() - before)
            time.sleep(0.005)

    watcher = threading.Thread(target=watch)
    watcher.start()
    result = action()
    done.set()
    watcher.join()
    return max(most, resident() - before), result


def certifying(level: str, rows: int) -> dict[str, Any]:
    torch.manual_seed(0)
    net = fc.nn.ConvexMLP(WIDTH, (200, 50), batch_norm=True)
    model = fc.FeatureConvexModel(fc.features.Center(0.1), net).eval()
    x = np.random.default_rng(0).random((rows, WIDTH), dtype=np.float32)
    domain = None if level == "closed-form" else fc.Box(0, 1)
    fc.certify(model, x[:2000], THREATS, domain, level)
    more, found = added(lambda: fc.certify(model, x, THREATS, domain, level))
    names = ("radius", "upper", "status", "margin", "slope")
    result = sum(getattr(part, name).nbytes for part in found for name in names)
    return {
        "what": f"certify, {level}, three norms",
        "rows": rows,
        "input_mib": x.nbytes / MIB,
        "result_mib": result / MIB,
        "beyond_mib": (more - result) / MIB,
    }


def fitting(folder: Path) -> dict[str, Any]:
    rng = np.random.default_rng(0)
    x = np.lib.format.open_memmap(
        folder / "x.npy", mode="w+", dtype=np.float32, shape=(FITTED_ROWS, FITTED_WIDTH)
    )
    for start in range(0, FITTED_ROWS, 10_000):
        x[start : start + 10_000] = rng.standard_normal((10_000, FITTED_WIDTH), dtype=np.float32)
    y = (np.asarray(x[:, 0]) + 0.5 * rng.standard_normal(FITTED_ROWS) > 0).astype(int)
    del x
    data = np.load(folder / "x.npy", mmap_mode="r")

    def fit(rows: int) -> fc.FeatureConvexClassifier:
        clf = fc.FeatureConvexClassifier(epochs=1, temperature=1.0, batch_size=1024, random_state=0)
        return clf.fit(data[:rows], y[:rows])

    fit(2000)
    more, _ = added(lambda: fit(FITTED_ROWS))
    return {
        "what": "fit on a memory-mapped float32 array",
        "rows": FITTED_ROWS,
        "input_mib": data.nbytes / MIB,
        "beyond_mib": more / MIB,
    }


def main() -> None:
    """Measure in processes of their own, and write."""
    if len(sys.argv) > 1:
        case = json.loads(sys.argv[1])
        with tempfile.TemporaryDirectory() as folder:
            print(json.dumps(certifying(*case) if case else fitting(Path(folder))))
        return
    cases = []
    for case in (*CERTIFIED, ()):
        command = [sys.executable, __file__, json.dumps(case)]
        answer = subprocess.run(command, check=True, capture_output=True, text=True)
        cases.append(json.loads(answer.stdout.splitlines()[-1]))
        print(json.dumps(cases[-1]), flush=True)
    write_text(RESULT, json.dumps({"cases": cases, "provenance": provenance()}, indent=1))


if __name__ == "__main__":
    main()
