"""Level ``tight``: how far the bracket closes, what it gains, and what it costs.

    python benchmarks/tight.py [--task mnist-3-8] [--norm 2] [--rows 200] [--data-dir D] [--out FILE]

Trains a 784-200-50-1 network on the task's training images for the norm (normalised margin, 8 epochs,
no batch norm), takes the first correctly classified sensitive test images, and certifies them for p = 1,
2, inf with and without the box [0, 1]. Gap: ``(upper - radius) / upper``. Ratio: processor time over that
of level ``closed-form`` on the same batch, one thread. L0 and patches, which have no bracket, follow.
"""

import argparse
import json
import math
import statistics
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import torch

import featureconvex as fc
from featureconvex.certificates import Domain, Threat
from featureconvex.data import find_task, to_tensor
from featureconvex.norms import dual_exponent, parse_norm, vector_norm
from featureconvex.provenance import provenance

TEMPERATURE = {1.0: 4.0, 2.0: 0.5, math.inf: 0.04}


def trained(x: torch.Tensor, y: torch.Tensor, p: float, epochs: int) -> fc.FeatureConvexModel:
    """Cross-entropy on the normalised margin in the norm ``p``."""
    torch.manual_seed(0)
    net = fc.nn.ConvexMLP(x[0].numel(), (200, 50))
    model = fc.FeatureConvexModel(fc.features.Center(x.mean(0)), net)
    optimiser = torch.optim.Adam(net.parameters(), 5e-3)
    schedule = torch.optim.lr_scheduler.OneCycleLR(
        optimiser, 5e-3, total_steps=epochs * -(-len(x) // 128)
    )
    sign, t = 2 * y.float() - 1, TEMPERATURE[p]
    for _ in range(epochs):
        for rows in torch.split(torch.randperm(len(x)), 128):
            u = model.feature_map(x[rows]).requires_grad_()
            logits = net(u)
            (slope,) = torch.autograd.grad(logits.sum(), u, create_graph=True)
            radius = logits / (vector_norm(slope, dual_exponent(p)).float() + 1e-6)
            loss = t * torch.nn.functional.softplus(-sign[rows] * radius / t).mean()
            optimiser.zero_grad()
            loss.backward()  # type: ignore[no-untyped-call]
            optimiser.step()
            schedule.step()
            fc.nn.project_(net)
    return model.eval()


def seconds(run: Callable[[], Any], repeats: int) -> float:
    """Median processor time."""
    times = []
    for _ in range(repeats):
        start = time.process_time()
        run()
        times.append(time.process_time() - start)
    return statistics.median(times)


def measure(model: fc.FeatureConvexModel, x: torch.Tensor, threat: Threat, domain: Domain) -> Any:
    """One line of the table."""
    base = seconds(lambda: fc.certify(model, x, fc.Lp(2)), 15)
    taken = seconds(lambda: fc.certify(model, x, threat, domain, "tight"), 3)
    cert = fc.certify(model, x, threat, domain, "tight")
    before = fc.certify(model, x, threat, domain, "domain").radius
    row = {
        "threat": threat.name,
        "domain": str(domain),
        "level_0_ms": 1e3 * base,
        "ratio": taken / base,
        "mean_radius": float(cert.radius[np.isfinite(cert.radius)].mean()),
        "mean_radius_domain": float(before[np.isfinite(before)].mean()),
        "unbounded": int(np.isinf(cert.radius).sum()),
    }
    if isinstance(threat, fc.Lp):
        finite = np.isfinite(cert.radius)
        gap = np.where(np.isnan(cert.upper), 1.0, 1 - cert.radius / cert.upper)[finite]
        plain = fc.certify(model, x, threat).radius
        row |= {
            "gap_median": float(np.median(gap)),
            "gap_p95": float(np.quantile(gap, 0.95)),
            "gap_max": float(gap.max()),
            "gain_over_domain": float(np.median(cert.radius / before)),
            "gain_over_closed_form": float(np.median(cert.radius / plain)),
        }
    return row


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--task", default="mnist-3-8")
    parser.add_argument("--norm", default="2")
    parser.add_argument("--rows", type=int, default=200)
    parser.add_argument("--epochs", type=int, default=8)
    parser.add_argument("--data-dir")
    parser.add_argument("--out", type=Path)
    options = parser.parse_args()
    torch.set_num_threads(1)
    data = find_task(options.task).load(options.data_dir)
    x, y = to_tensor(data.train.x).flatten(1), torch.as_tensor(data.train.y)
    model = trained(x, y, parse_norm(options.norm), options.epochs)
    test = to_tensor(data.test.x).flatten(1)[torch.as_tensor(data.test.y) == 1]
    with torch.no_grad():
        test = test[model(test) > 0][: options.rows]
    shape = data.test.x.shape[1:]
    threats: list[tuple[Threat, Domain]] = [
        (fc.Lp(p), domain) for p in (1, 2, math.inf) for domain in (fc.Unbounded(), fc.Box(0, 1))
    ]
    threats += [(threat, fc.Box(0, 1)) for threat in (fc.L0(), fc.Patch(5, shape))]
    rows = [measure(model, test, *item) for item in threats]
    for row in rows:
        print(
            "  ".join(
                f"{k} {v:.3g}" if isinstance(v, float) else f"{k} {v}" for k, v in row.items()
            )
        )
    if options.out:
        record = {
            "task": options.task,
            "norm": options.norm,
            "rows": len(test),
            "results": rows,
            "provenance": provenance(),
        }
        options.out.write_text(json.dumps(record, indent=1, default=str) + "\n")


if __name__ == "__main__":
    main()
