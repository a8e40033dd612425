"""Level ``tight``: how far the bracket closes, what it gains, and what it costs: ``results/tight.json``.

    python benchmarks/levels/tight.py [--rows 200] [--only trained] [--data-dir D]

One thread. Networks: ``trained``, a 784-200-50-1 network without batch norm trained here on MNIST 3 vs 8
(normalised margin in l2, 8 epochs), and models that ``benchmarks/training/main_table.py`` left in
``runs/main_table`` (seed 0): MNIST default, one for each norm, and paper, and the ConvNet of the paper's
recipe for Fashion. Without its run a network keeps the result it had, under its own revision. For each the
first correctly flagged sensitive test images, with and without the box [0, 1], at default iterations and
tolerance, for p = 1, 2, inf, or the norm of a default network alone. Gap: ``(upper - radius) / upper``, 1
where no attack was found, over rows of finite radius. Ratio: processor time over that of level
``closed-form`` in l2 on the same batch beside it. L0 and patches, which have no bracket, follow, but for
default.
"""

import argparse
import math
from pathlib import Path
from typing import Any

import numpy as np
import torch

import featureconvex as fc
from featureconvex.certificates import Domain, Threat
from featureconvex.data import find_task, to_tensor
from featureconvex.files import write_text
from featureconvex.norms import dual_exponent, norm_name, vector_norm
from featureconvex.provenance import provenance
from featureconvex.results.strict_json import dump_json, load_json
from levels import paired

ROOT = Path(__file__).resolve().parents[2]
RESULT = ROOT / "results" / "tight.json"
RUNS = ROOT / "runs" / "main_table"
ALL = (1.0, 2.0, math.inf)
# Name in the result -> task, the run that left the model, and norms; without a run it is trained here.
NETWORKS: dict[str, tuple[str, str | None, tuple[float, ...]]] = {
    "trained": ("mnist-3-8", None, ALL),
    **{
        f"default, {norm_name(p)}": (
            "mnist-3-8",
            f"mnist-3-8-default-{norm_name(p)}-seed0",
            (p,),
        )
        for p in ALL
    },
    "paper": ("mnist-3-8", "mnist-3-8-paper-l2-seed0", ALL),
    "fashion paper ConvNet": ("fashion-shirts", "fashion-shirts-paper-l2-seed0", ALL),
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
    model: fc.FeatureConvexModel,
    x: torch.Tensor,
    image: tuple[int, ...],
    norms: tuple[float, ...],
    repeats: int,
) -> list[dict[str, Any]]:
    """All threats and domains."""
    threats: list[tuple[Threat, Domain]] = [
        (fc.Lp(p), domain) for p in norms for domain in (fc.Unbounded(), fc.Box(0, 1))
    ]
    if norms == ALL:
        threats += [(threat, fc.Box(0, 1)) for threat in (fc.L0(), fc.Patch(5, image))]
    found = []
    for threat, domain in threats:
        found.append(measure(model, x, threat, domain, repeats))
        row = found[-1]
        text = {k: v for k, v in row.items() if k in ("gap_median", "gap_p95", "ratio")}
        print(row["threat"], row["domain"], {k: float(f"{v:.3g}") for k, v in text.items()})
    return found


def network(
    name: str, rows: int, repeats: int, data_dir: str | None, before: dict[str, Any]
) -> dict[str, Any]:
    """One network's entry: its lines, those it had (also for no rows), or why there are none."""
    task, run, norms = NETWORKS[name]
    if not rows or (run is not None and not (RUNS / run / "model").exists()):
        earlier = before["networks"].get(name)
        if earlier is not None and "results" in earlier:
            return {**earlier, "provenance": earlier.get("provenance", before["provenance"])}
        return {
            "task": task,
            "run": run,
            "reason": "not measured; benchmarks/training/main_table.py makes its run",
        }
    origin = provenance()
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
    found = lines(model, test, image, norms, repeats)
    return {"task": task, "run": run, "results": found, "provenance": origin}


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
    before = load_json(options.out) if options.out.exists() else {"networks": {}}
    found: dict[str, Any] = {}
    for name in NETWORKS:
        print(name)
        wanted = options.only in (None, name)
        found[name] = network(
            name, options.rows if wanted else 0, options.repeats, options.data_dir, before
        )
    content = {"limits": LIMITS, "networks": found, "provenance": origin}
    write_text(options.out, dump_json(content))


if __name__ == "__main__":
    main()
