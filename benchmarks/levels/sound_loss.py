"""What level ``sound`` takes off the radii of networks of recipe default: ``results/sound_loss.json``.

    python benchmarks/levels/sound_loss.py [--rows 100] [--runs runs/main_table] [--data-dir D]

Models that ``benchmarks/training/main_table.py`` left (seed 0), each in the norm that it was trained for;
without its run a model keeps the line it had, under its own revision.
For the first correctly flagged sensitive test images in the box [0, 1]: the median of ``1 - sound /
domain`` for every arithmetic, and its largest value. ``real`` is about the exact margin of the stored
weights, the others about the decision that the machine computes in that precision.
"""

import argparse
from pathlib import Path
from typing import Any

import numpy as np
import torch

import featureconvex as fc
from featureconvex.data import find_task, to_tensor
from featureconvex.files import write_text
from featureconvex.norms import NORM_NAMES, parse_norm
from featureconvex.provenance import provenance
from featureconvex.results.strict_json import dump_json, load_json

ROOT = Path(__file__).resolve().parents[2]
RESULT = ROOT / "results" / "sound_loss.json"
TASKS = ("mnist-3-8", "fashion-shirts", "cifar10-cats-dogs")
ARITHMETIC = ("real", "float64", "float32")


def measured(task: str, norm: str, model: Path, rows: int, data_dir: str | None) -> dict[str, Any]:
    """One line of the table."""
    origin = provenance()
    test = find_task(task).load(data_dir).test
    x = to_tensor(test.x)[torch.as_tensor(test.y) == 1]
    detector, threat, box = fc.load(model), fc.Lp(parse_norm(norm)), fc.Box(0, 1)
    with torch.no_grad():
        x = torch.cat([part[detector(part) > 0] for part in x[: 2 * rows].split(100)])[:rows]
    base = fc.certify(detector, x, threat, box, "domain").radius
    bounded = np.isfinite(base)
    losses = {}
    for arithmetic in ARITHMETIC:
        level = fc.levels.Sound("domain", arithmetic)
        radius = fc.certify(detector, x, threat, box, level).radius
        loss = 1 - radius[bounded] / base[bounded]
        losses[arithmetic] = {"median": float(np.median(loss)), "largest": float(loss.max())}
    line = {"task": task, "norm": norm, "rows": int(bounded.sum()), "losses": losses}
    return {**line, "provenance": origin}


def main() -> None:
    """Measure and write."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rows", type=int, default=100)
    parser.add_argument("--runs", type=Path, default=ROOT / "runs" / "main_table")
    parser.add_argument("--data-dir")
    options = parser.parse_args()
    torch.set_num_threads(1)
    before = load_json(RESULT) if RESULT.exists() else {"results": []}
    kept = {
        (line["task"], line["norm"]): {"provenance": before.get("provenance"), **line}
        for line in before["results"]
    }
    origin, found = provenance(), []
    for task in TASKS:
        for norm in NORM_NAMES:
            model = options.runs / f"{task}-default-{norm}-seed0" / "model"
            if model.exists():
                found.append(measured(task, norm, model, options.rows, options.data_dir))
                print(found[-1])
            elif line := kept.get((task, norm)):
                found.append(line)
    write_text(RESULT, dump_json({"results": found, "provenance": origin}))


if __name__ == "__main__":
    main()
