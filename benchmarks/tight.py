"""Level ``tight``: how far the bracket closes, what it gains, and what it costs: ``results/tight.json``.

    python benchmarks/tight.py [--rows 200] [--only trained] [--data-dir D]

One thread. Networks: ``trained``, a 784-200-50-1 network without batch norm trained here on MNIST 3 vs 8
(normalised margin in l2, 8 epochs), and models that ``benchmarks/compare.py`` left in ``runs/compare``
where there are any: MNIST default and paper, and the ConvNet of the paper's recipe for Fashion. For each
the first correctly flagged sensitive test images, p = 1, 2, inf, with and without the box [0, 1], at the
default iterations and tolerance. Gap: ``(upper - radius) / upper``, 1 where no attack was found, over rows
of finite radius. Ratio: processor time over that of level ``closed-form`` in l2 on the same batch beside
it. L0 and patches, which have no bracket, follow.
"""

import argparse
import math
from pathlib import Path
from typing import Any

import numpy as np
import torch

import certificates_page
import featureconvex as fc
from featureconvex.certificates import Domain, Threat
from featureconvex.data import find_task, to_tensor
from featureconvex.files import write_text
from featureconvex.norms import dual_exponent, vector_norm
from featureconvex.provenance import provenance
from featureconvex.results.strict_json import dump_json
from levels import paired

ROOT = Path(__file__).resolve().parent.parent
RESULT = ROOT / "results" / "tight.json"
RUNS = ROOT / "runs" / "compare"
OURS = "methods/feature-convex"
# Name in the result -> task, and the run that left the model; None: trained here.
NETWORKS: dict[str, tuple[str, str | None]] = {
    "trained": ("mnist-3-8", None),
    "default": ("mnist-3-8", f"mnist-3-8/{OURS}/recipe-default-norm-l2"),
    "paper": ("mnist-3-8", f"mnist-3-8/{OURS}/recipe-paper-norm-l2"),
    "fashion paper ConvNet": ("fashion-shirts", f"fashion-shirts/{OURS}/recipe-paper-norm-l2"),
}
TEMPERATURE = 0.5
# Of the bracket on MNIST: median gap, 95th percentile, times level 0.
LIMITS = {"gap_median": 0.01, "gap_p95": 0.05, "ratio": 100.0}


def trained(x: torch.Tensor, y: torch.Tensor, p: float, epochs: int = 8) -> fc.FeatureConvexModel:
    """Cross-entropy on the normalised margin in the norm ``p``."""
    torch.manual_seed(0)
    net = fc.nn.ConvexMLP(x[0].numel(), (200, 50))
    model = fc.FeatureConvexModel(fc.features.Center(x.mean(0)), net)
    optimiser = torch.optim.Adam(net.parameters(), 5e-3)
    schedule = torch.optim.lr_scheduler.OneCycleLR(
        optimiser, 5e-3, total_steps=epochs * -(-len(x) // 128)
    )
    sign, t = 2 * y.float() - 1, TEMPERATURE
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


def measure(
    model: fc.FeatureConvexModel, x: torch.Tensor, threat: Threat, domain: Domain, repeats: int
) -> dict[str, Any]:
    """One line of the table."""
    cost = paired(
        lambda: fc.certify(model, x, threat, domain, "tight"),
        lambda: fc.certify(model, x, fc.Lp(2)),
        repeats,
    )
    cert = fc.certify(model, x, threat, domain, "tight")
    before = fc.certify(model, x, threat, domain, "domain").radius
    finite = np.isfinite(cert.radius)
    row: dict[str, Any] = {
        "threat": threat.name,
        "domain": str(domain),
        **cost,
        "rows": len(x),
        "unbounded": int((~finite).sum()),
        "without_attack": int((finite & np.isnan(cert.upper)).sum()),
        "median_radius": float(np.median(cert.radius)),
        "median_radius_domain": float(np.median(before)),
        "median_upper": float(np.nanmedian(cert.upper)) if finite.any() else None,
    }
    if isinstance(threat, fc.Lp):
        gap = np.where(np.isnan(cert.upper), 1.0, 1 - cert.radius / cert.upper)[finite]
        plain = fc.certify(model, x, threat).radius
        row |= {
            "gap_median": float(np.median(gap)),
            "gap_p95": float(np.quantile(gap, 0.95)),
            "gap_max": float(gap.max()),
            "gain_over_domain": float(np.median(cert.radius / before)),
            "gain_over_closed_form": float(np.median(cert.radius / plain)),
        }
        row["within"] = {name: bool(row[name] <= limit) for name, limit in LIMITS.items()}
    return row


def lines(
    model: fc.FeatureConvexModel, x: torch.Tensor, image: tuple[int, ...], repeats: int
) -> list[dict[str, Any]]:
    """All threats and domains."""
    threats: list[tuple[Threat, Domain]] = [
        (fc.Lp(p), domain) for p in (1, 2, math.inf) for domain in (fc.Unbounded(), fc.Box(0, 1))
    ]
    threats += [(threat, fc.Box(0, 1)) for threat in (fc.L0(), fc.Patch(5, image))]
    found = []
    for threat, domain in threats:
        found.append(measure(model, x, threat, domain, repeats))
        row = found[-1]
        text = {k: v for k, v in row.items() if k in ("gap_median", "gap_p95", "ratio")}
        print(row["threat"], row["domain"], {k: float(f"{v:.3g}") for k, v in text.items()})
    return found


def network(
    task: str, run: str | None, rows: int, repeats: int, data_dir: str | None
) -> dict[str, Any]:
    """One network's entry: its lines, or why there are none."""
    if run is not None and not (RUNS / run / "model").exists():
        return {
            "task": task,
            "run": run,
            "reason": "no such run; benchmarks/compare.py makes it",
        }
    data = find_task(task).load(data_dir)
    x, y = to_tensor(data.train.x), torch.as_tensor(data.train.y)
    test = to_tensor(data.test.x)[torch.as_tensor(data.test.y) == 1]
    image = tuple(test.shape[1:])
    model: fc.FeatureConvexModel
    if run is None:
        model, test = trained(x.flatten(1), y, 2.0), test.flatten(1)
    else:
        model = fc.load(RUNS / run / "model")
    with torch.no_grad():
        test = torch.cat([part[model(part) > 0] for part in test.split(200)])[:rows]
    return {"task": task, "run": run, "results": lines(model, test, image, repeats)}


def main() -> None:
    """Measure and write."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rows", type=int, default=200)
    parser.add_argument("--repeats", type=int, default=3)
    parser.add_argument("--only", choices=NETWORKS)
    parser.add_argument("--data-dir")
    parser.add_argument("--out", type=Path, default=RESULT)
    options = parser.parse_args()
    torch.set_num_threads(1)
    origin = provenance()
    found: dict[str, Any] = {}
    for name in NETWORKS if options.only is None else [options.only]:
        print(name)
        found[name] = network(*NETWORKS[name], options.rows, options.repeats, options.data_dir)
    content = {"limits": LIMITS, "networks": found, "provenance": origin}
    write_text(options.out, dump_json(content))
    if options.out == RESULT:
        certificates_page.write()


if __name__ == "__main__":
    main()
