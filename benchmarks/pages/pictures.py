"""Two pictures that explain one-sided training, and the numbers in them.

    python benchmarks/pages/pictures.py

``docs/figures/one-sided.png``: the boundary of one network trained two-sidedly and one-sidedly, with
certified balls. ``docs/figures/radius.png``: digits, and the strongest perturbation found inside their
certified radius in linf. The second needs the real data (``FEATURECONVEX_DATA``) and the run that
``benchmarks/training/main_table.py --only mnist-3-8-default-inf`` makes. Numbers go to
``results/pictures.json``.
"""

import json
import math
from pathlib import Path
from typing import Any

import numpy as np
import torch
from matplotlib.collections import PatchCollection
from matplotlib.figure import Figure
from matplotlib.patches import Circle
from torch import Tensor

import featureconvex as fc
from featureconvex.data import find_task, to_tensor
from featureconvex.files import replacing, write_text
from featureconvex.provenance import provenance
from featureconvex.training import Points, Recipe, train

ROOT = Path(__file__).resolve().parents[2]
FIGURES = ROOT / "docs" / "figures"
RESULT = ROOT / "results" / "pictures.json"
MODEL = ROOT / "runs" / "main_table" / "mnist-3-8-default-linf-seed0" / "model"
TEMPERATURE = 0.3
SHOWN = 5
STEPS = 200
SENSITIVE, OTHER = "#c44e52", "#4c72b0"


def ring() -> Points:
    """A cloud of the other class, and sensitive points on a wide ring around it."""
    random = np.random.default_rng(0)
    angle = random.uniform(0, 2 * np.pi, 200)
    around = np.stack((np.cos(angle), np.sin(angle)), -1) * random.normal(2.2, 0.15, (200, 1))
    x = np.concatenate((around, random.normal(0, 0.25, (200, 2))))
    return Points(torch.tensor(x, dtype=torch.float32), torch.arange(400).lt(200).long())


def fitted(points: Points, other: float) -> fc.FeatureConvexModel:
    """A convex network whose other class has the temperature ``other``, its threshold balanced."""
    torch.manual_seed(0)
    model = fc.FeatureConvexModel(fc.features.Identity(), fc.nn.ConvexMLP(2, (64, 16)))
    recipe = Recipe(
        "ring", temperature=TEMPERATURE, other_temperature=other, epochs=150, batch_size=50
    )
    train(model, recipe.replace(learning_rate=1e-2), points, points)
    return model.eval()


def one_sided() -> tuple[Figure, dict[str, Any]]:
    """Both boundaries beside each other, and the median radius and accuracy of each."""
    points, numbers = ring(), {}
    figure = Figure(figsize=(9, 4.8), layout="constrained")
    axes = figure.subplots(1, 2, sharex=True, sharey=True)
    grid = np.stack(np.meshgrid(np.linspace(-3, 3, 300), np.linspace(-3, 3, 300)), -1)
    flat = torch.tensor(grid.reshape(-1, 2), dtype=torch.float32)
    sensitive = points.x[points.y == 1]
    for axis, (name, other) in zip(
        axes, (("two-sided", TEMPERATURE), ("one-sided", TEMPERATURE / 10)), strict=True
    ):
        model = fitted(points, other)
        certificate = fc.certify(model, sensitive, fc.Lp(2))
        flagged = certificate.radius > 0
        with torch.no_grad():
            margin = model(flat).reshape(grid.shape[:2]).numpy()
            right = ((model(points.x) > 0) == (points.y == 1)).double().mean()
        median = float(np.median(certificate.radius[flagged]))
        numbers[name] = {"median_radius": median, "accuracy": float(right)}
        axis.contourf(grid[..., 0], grid[..., 1], margin > 0, levels=[0.5, 1], colors=["#f6e3e3"])
        axis.contour(grid[..., 0], grid[..., 1], margin, levels=[0], colors="black", linewidths=1.4)
        balls = [
            Circle(at, r)
            for at, r in zip(
                sensitive[flagged][::25].tolist(), certificate.radius[flagged][::25], strict=True
            )
        ]
        axis.add_collection(PatchCollection(balls, facecolor="none", edgecolor=SENSITIVE, lw=0.8))
        for label, colour, words in ((1, SENSITIVE, "sensitive"), (0, OTHER, "other")):
            x = points.x[points.y == label].numpy()
            axis.scatter(x[:, 0], x[:, 1], s=7, color=colour, label=words)
        axis.set(aspect="equal", xlim=(-3, 3), ylim=(-3, 3), xticks=[], yticks=[])
        axis.set_title(f"{name}: median radius {median:.2f}", loc="left")
    axes[0].legend(loc="upper right", frameon=False)
    return figure, numbers


def strongest(model: fc.FeatureConvexModel, x: Tensor, radius: Tensor) -> Tensor:
    """Inputs (n, ...) inside the radius (n,) in linf and in [0, 1], with the smallest margin found."""
    reach = (radius * (1 - 1e-6)).to(x).view(-1, 1, 1, 1)
    low, high = (x - reach).clamp(0, 1), (x + reach).clamp(0, 1)
    at, best = x.clone(), x.clone()
    with torch.no_grad():
        least = model(x)
    for step in range(STEPS):
        at = at.detach().requires_grad_()
        (slope,) = torch.autograd.grad(model(at).sum(), at)
        rate = reach * 0.5 * (1 + math.cos(math.pi * step / STEPS)) * 0.2
        at = torch.minimum(torch.maximum(at.detach() - rate * slope.sign(), low), high)
        with torch.no_grad():
            margin = model(at)
        better = margin < least
        least = torch.where(better, margin, least)
        best = torch.where(better.view(-1, 1, 1, 1), at, best)
    return best


def radius_in_pictures() -> tuple[Figure, dict[str, Any]]:
    """Digits of different certified radii, attacked inside them: all are still flagged."""
    model = fc.load(MODEL)
    data = find_task("mnist-3-8").load().test
    x = to_tensor(data.x)[torch.from_numpy(data.y == 1)].to(model.dtype)[:300]
    certificate = fc.certify(model, x, fc.Lp("inf"), fc.Box(0, 1), level="sound")
    order = np.argsort(certificate.radius)
    rows = order[np.linspace(len(x) // 3, len(x) - 1, SHOWN).astype(int)]
    shown, radius = x[rows], torch.from_numpy(certificate.radius[rows])
    attacked = strongest(model, shown, radius)
    with torch.no_grad():
        before, after = model(shown), model(attacked)
    assert bool((after > 0).all()), "a certificate was broken"
    figure = Figure(figsize=(1.9 * SHOWN, 4.3), layout="constrained")
    axes = figure.subplots(2, SHOWN)
    for k in range(SHOWN):
        for axis, image, words in (
            (axes[0, k], shown[k, 0], f"margin {before[k]:.2f}"),
            (
                axes[1, k],
                attacked[k, 0],
                f"pixels changed by up to {radius[k]:.2f}\nmargin {after[k]:.2f}",
            ),
        ):
            axis.imshow(image, cmap="gray", vmin=0, vmax=1)
            axis.set_title(words, fontsize=9)
            axis.axis("off")
    numbers = {
        "radius": radius.tolist(),
        "margin": before.tolist(),
        "margin_attacked": after.tolist(),
    }
    return figure, numbers


def main() -> None:
    """Draw both."""
    results: dict[str, Any] = {"provenance": provenance()}
    for name, draw in (("one-sided", one_sided), ("radius", radius_in_pictures)):
        figure, results[name] = draw()
        with replacing(FIGURES / f"{name}.png") as path:
            figure.savefig(path, dpi=110)
    write_text(RESULT, json.dumps(results, indent=1))


if __name__ == "__main__":
    main()
