"""What closed-form certificates cost, relative to one forward and one backward pass, at every batch size.

    python benchmarks/speed/closed_form.py

Three norms against one pass of autograd, in one run on the same batch and network, alternating; the
median of the ratios is the figure. Writes ``results/closed_form.json``.
"""

import json
import math
import statistics
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import torch

import featureconvex as fc
from featureconvex.files import write_text
from featureconvex.provenance import provenance

RESULT = Path(__file__).resolve().parents[2] / "results" / "closed_form.json"
# Seconds spent per batch size, and the fewest pairs.
PATIENCE, FEWEST = 6.0, 15
Build = Callable[[], fc.FeatureConvexModel]
NETWORKS: dict[str, tuple[Build, tuple[int, ...], tuple[int, ...]]] = {
    "mnist MLP 784-200-50-1": (
        lambda: fc.FeatureConvexModel(
            fc.features.Center(0.1), fc.nn.ConvexMLP(784, (200, 50), batch_norm=True)
        ),
        (1, 28, 28),
        (1, 10, 100, 1000, 10000),
    ),
    "fashion ConvNet 4 x 2": (
        lambda: fc.FeatureConvexModel(
            fc.features.Center(0.3),
            fc.nn.ConvexConvNet(1, 28, features=4, depth=2, first_kernel=5),
        ),
        (1, 28, 28),
        (1, 10, 100, 1000),
    ),
    "cifar ConvNet 16 x 4": (
        lambda: fc.FeatureConvexModel(
            fc.features.Compose(fc.features.Center(0.5), fc.features.AbsConcat()),
            fc.nn.ConvexConvNet(6, 32, features=16, depth=4, first_kernel=11),
        ),
        (3, 32, 32),
        (1, 10, 100),
    ),
}


def forward_backward(model: fc.FeatureConvexModel, x: torch.Tensor) -> None:
    """One forward and one backward pass of the network on the features, as autograd does it."""
    u = model.feature_map(x).detach().requires_grad_()
    torch.autograd.grad(model.convex_net(u).sum(), u)


def seconds(action: Callable[[], object]) -> float:
    begin = time.perf_counter()
    action()
    return time.perf_counter() - begin


def measured(model: fc.FeatureConvexModel, x: torch.Tensor) -> dict[str, Any]:
    """Both ways on one batch, in turn."""
    norms = [fc.Lp(1), fc.Lp(2), fc.Lp(math.inf)]

    def certify() -> object:
        return fc.certify(model, x, norms)

    def reference() -> object:
        return forward_backward(model, x)

    certify(), reference()
    pairs: list[tuple[float, float]] = []
    end = time.perf_counter() + PATIENCE
    while len(pairs) < FEWEST or time.perf_counter() < end:
        pairs.append((seconds(certify), seconds(reference)))
    ratios = sorted(a / b for a, b in pairs)
    spread = statistics.quantiles(ratios, n=10)
    return {
        "batch": len(x),
        "pairs": len(pairs),
        "certify_ms_per_sample": 1e3 * statistics.median(a for a, _ in pairs) / len(x),
        "forward_backward_ms_per_sample": 1e3 * statistics.median(b for _, b in pairs) / len(x),
        "ratio": statistics.median(ratios),
        "ratio_p10_p90": [spread[0], spread[-1]],
    }


def main() -> None:
    """Measure and write."""
    torch.set_num_threads(1)
    results = {}
    for name, (build, shape, sizes) in NETWORKS.items():
        torch.manual_seed(0)
        model = build().eval()
        results[name] = []
        for size in sizes:
            results[name].append(measured(model, torch.rand(size, *shape)))
            print(name, json.dumps(results[name][-1]), flush=True)
    content = {"networks": results, "threads": 1, "provenance": provenance()}
    write_text(RESULT, json.dumps(content, indent=1))


if __name__ == "__main__":
    main()
