"""The perfect fit of Corollary 3.8: ``results/perfect_fit.json``.

    python benchmarks/theory/perfect_fit.py [--only mnist-3-8] [--rows 200] [--data-dir D]

One max-affine model per task, constructed from the hyperplanes of convex separability and pruned greedily:
training and test accuracy, and radii at every level over the first ``--rows`` sensitive test points that
are flagged. One thread.
"""

import argparse
import tempfile
import time
from pathlib import Path
from typing import Any

import numpy as np
import torch

import featureconvex as fc
from featureconvex.data import find_task, to_tensor
from featureconvex.files import write_text
from featureconvex.models.file import load_model, save_model
from featureconvex.norms import NORMS, norm_name
from featureconvex.provenance import provenance
from featureconvex.results.strict_json import dump_json, load_json
from featureconvex.theory.perfect_fit import perfect_fit
from featureconvex.theory.separability import Lattice

ROOT = Path(__file__).resolve().parents[2]
RESULT = ROOT / "results" / "perfect_fit.json"
TASKS = ("mnist-3-8", "fashion-shirts", "cifar10-cats-dogs", "cifar10-dogs-cats")
LEVELS = ("closed-form", "domain", "tight", "sound")


def fitted(name: str, rows: int, data_dir: str | None) -> dict[str, Any]:
    """One task's entry."""
    data = find_task(name).load(data_dir)
    begun = time.perf_counter()
    lattice = Lattice.of(data.train.x)
    built = perfect_fit(lattice.take(data.train.y == 1), lattice.take(data.train.y == 0))
    seconds = time.perf_counter() - begun
    with tempfile.TemporaryDirectory() as folder:
        model = load_model(save_model(built, Path(folder) / "model"))[0].eval()
    accuracy: dict[str, Any] = {}
    for split, half in (("train", data.train), ("test", data.test)):
        x = to_tensor(half.x).flatten(1)
        with torch.no_grad():
            flagged = torch.cat([model(part) > 0 for part in x.split(1000)]).numpy()
        right = flagged == (half.y == 1)
        accuracy[split] = {
            "both": right.mean(),
            "sensitive": right[half.y == 1].mean(),
            "other": right[half.y == 0].mean(),
        }
        if split == "test":
            x = x[torch.from_numpy(flagged & (half.y == 1))][:rows]
    radii: dict[str, Any] = {}
    for level in LEVELS:
        radii[level] = {}
        for p in NORMS:
            found = fc.certify(model, x, fc.Lp(p), fc.Box(0, 1), level)
            radii[level][norm_name(p)] = float(np.median(found.radius))
    return {
        "pieces": built.convex_net.pieces,
        "sensitive_points": int((data.train.y == 1).sum()),
        "accuracy": accuracy,
        "median_radius": radii,
        "rows": len(x),
        "domain": "Box(0, 1)",
        "seconds": seconds,
        "note": data.note,
        "provenance": provenance(),
    }


def main() -> None:
    """Measure and write; tasks that were measured before stay."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--only", nargs="*", choices=TASKS, default=list(TASKS))
    parser.add_argument("--rows", type=int, default=200)
    parser.add_argument("--data-dir")
    parser.add_argument("--out", type=Path, default=RESULT)
    options = parser.parse_args()
    torch.set_num_threads(1)
    content: dict[str, Any] = load_json(options.out) if options.out.exists() else {"tasks": {}}
    for name in options.only:
        content["tasks"][name] = fitted(name, options.rows, options.data_dir)
        write_text(options.out, dump_json(content))
        print(name, content["tasks"][name]["accuracy"], flush=True)


if __name__ == "__main__":
    main()
