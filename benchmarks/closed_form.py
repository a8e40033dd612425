"""What closed-form certificates cost, relative to one forward and one backward pass.

    python benchmarks/closed_form.py

Both in one run on the same batch and network, alternating; the ratio of the medians is the figure.
Writes ``results/closed_form.json``.
"""

import json
import math
import statistics
import time
from collections.abc import Callable
from pathlib import Path

import torch

import featureconvex as fc
from featureconvex.files import write_text
from featureconvex.provenance import provenance

RESULT = Path(__file__).resolve().parent.parent / "results" / "closed_form.json"
REPEATS = 15
NETWORKS: dict[str, tuple[Callable[[], fc.FeatureConvexModel], tuple[int, ...]]] = {
    "mnist MLP 784-200-50-1": (
        lambda: fc.FeatureConvexModel(
            fc.features.Center(0.1), fc.nn.ConvexMLP(784, (200, 50), batch_norm=True)
        ),
        (1000, 1, 28, 28),
    ),
    "fashion ConvNet 4 x 2": (
        lambda: fc.FeatureConvexModel(
            fc.features.Center(0.3),
            fc.nn.ConvexConvNet(1, 28, features=4, depth=2, first_kernel=5),
        ),
        (1000, 1, 28, 28),
    ),
    "cifar ConvNet 16 x 4": (
        lambda: fc.FeatureConvexModel(
            fc.features.Compose(fc.features.Center(0.5), fc.features.AbsConcat()),
            fc.nn.ConvexConvNet(6, 32, features=16, depth=4, first_kernel=11),
        ),
        (250, 3, 32, 32),
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


def main() -> None:
    """Measure and write."""
    norms = [fc.Lp(1), fc.Lp(2), fc.Lp(math.inf)]
    results = {}
    for name, (build, shape) in NETWORKS.items():
        torch.manual_seed(0)
        model, x = build().eval(), torch.rand(shape)

        def certify(model: fc.FeatureConvexModel = model, x: torch.Tensor = x) -> None:
            fc.certify(model, x, norms, batch_size=len(x))

        def reference(model: fc.FeatureConvexModel = model, x: torch.Tensor = x) -> None:
            forward_backward(model, x)

        certify(), reference()
        pairs = [(seconds(certify), seconds(reference)) for _ in range(REPEATS)]
        ratios = sorted(a / b for a, b in pairs)
        results[name] = {
            "batch": shape[0],
            "certify_ms_per_sample": 1e3 * statistics.median(a for a, _ in pairs) / shape[0],
            "forward_backward_ms_per_sample": 1e3
            * statistics.median(b for _, b in pairs)
            / shape[0],
            "ratio": statistics.median(ratios),
            "ratio_range": [ratios[0], ratios[-1]],
        }
        print(name, json.dumps(results[name]))
    content = {"networks": results, "repeats": REPEATS, "provenance": provenance()}
    write_text(RESULT, json.dumps(content, indent=1))


if __name__ == "__main__":
    main()
