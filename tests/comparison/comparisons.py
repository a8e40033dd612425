"""A made-up comparison with every kind of method, setting, guarantee and failure."""

import math
from collections.abc import Sequence
from typing import Any, cast

import numpy as np
import pandas as pd

from featureconvex.baselines.description import Description
from featureconvex.certificates import Guarantee
from featureconvex.comparison.fit import OneFit
from featureconvex.comparison.folder import Comparison
from featureconvex.comparison.metrics import Failure, MethodResult
from featureconvex.comparison.schema import FitRecord, Head
from featureconvex.norms import norm_name
from featureconvex.provenance import Provenance

ALL = (1.0, 2.0, math.inf)
SIGMAS: tuple[dict[str, Any], ...] = tuple({"sigma": s} for s in (0.75, 1.5, 2.25, 3.0))
LEVELS = {
    "closed-form": (Guarantee.deterministic, 1.0),
    "domain": (Guarantee.deterministic, 1.25),
    "sound": (Guarantee.sound, 1.2499),
    "tight": (Guarantee.deterministic, 1.4),
}
DETERMINISTIC = {"certified": (Guarantee.deterministic, 1.0)}
PROBABILISTIC = {"certified": (Guarantee.probabilistic, 1.0)}
RECIPES: tuple[dict[str, Any], ...] = (
    {"recipe": "default", "norm": "l1"},
    {"recipe": "default", "norm": "l2"},
    {"recipe": "default", "norm": "linf"},
    {"recipe": "paper", "norm": "l2"},
)

# Per method: native norms, levels, settings, median radius per native norm, certificates' seconds.
MADE_UP: dict[str, tuple[Any, ...]] = {
    "feature-convex": (ALL, LEVELS, RECIPES, {1.0: 9.0, 2.0: 1.4, math.inf: 0.09}, 5e-5),
    "smoothing-gaussian": ((2.0,), PROBABILISTIC, SIGMAS, {2.0: 0.9}, 1.2),
    "smoothing-laplacian": (
        (1.0, math.inf),
        PROBABILISTIC,
        SIGMAS,
        {1.0: 2.5, math.inf: 0.004},
        1.3,
    ),
    "smoothing-uniform": ((1.0,), PROBABILISTIC, SIGMAS, {1.0: 3.0}, 1.1),
    "splitting": ((1.0,), DETERMINISTIC, SIGMAS, {1.0: 2.8}, 0.02),
    "cayley": ((2.0,), DETERMINISTIC, ({},), {2.0: 1.1}, 3e-5),
    "sll": ((2.0,), DETERMINISTIC, ({},), {2.0: 1.2}, 4e-5),
    "linf-distance": ((math.inf,), DETERMINISTIC, ({},), {math.inf: 0.2}, 6e-5),
    "alpha-beta-crown": (
        ALL,
        DETERMINISTIC,
        ({},),
        {1.0: 4.0, 2.0: 0.7, math.inf: 0.05},
        0.8,
    ),
    "monotone": (ALL, DETERMINISTIC, ({},), {1.0: 3.3, 2.0: 0.6, math.inf: 0.03}, 2e-5),
    "interval": ((math.inf,), DETERMINISTIC, ({},), {math.inf: 0.12}, 4e-4),
    "linear": (ALL, DETERMINISTIC, ({},), {1.0: 3.6, 2.0: 0.5, math.inf: 0.02}, 2e-6),
}


def synthetic_comparison(
    names: Sequence[str] = tuple(MADE_UP),
    failed: Sequence[str] = (),
    *,
    n: int = 400,
    infinite: bool = False,
    **head: Any,
) -> Comparison:
    """Rows of made-up methods on the same ``n`` test points, every other one sensitive.

    Args:
        names: of the methods, among ``MADE_UP``.
        failed: those of them that did not run.
        n: test points.
        infinite: whether the tight level finds some radii infinite.
        head: replaces fields of the head.
    """
    results = []
    for place, name in enumerate(names):
        native, levels, settings, _, _ = MADE_UP[name]
        described = Description(
            name=name,
            title=name.replace("-", " ") if name.startswith("smoothing") else name,
            native_norms=native,
            levels={level: guarantee for level, (guarantee, _) in levels.items()},
            passes=f"1 forward <{name}>",
            literature=f"What the paper of {name} reports & where: 91.4 % at 0.3.",
        )
        if name in failed:
            failures = [Failure(settings[0], "ZeroDivisionError: no luck <at> all")]
            results.append(MethodResult(described, failures=failures))
        else:
            fits = [_fit(name, k, place, n, infinite) for k in range(len(settings))]
            results.append(MethodResult(described, fits))
    sizes = {"n_test": n, "n_sensitive": n // 2}
    return Comparison(results, cast("Head", {**_HEAD, **sizes, **head}))


def _fit(name: str, k: int, place: int, n: int, infinite: bool) -> OneFit:
    native, levels, settings, medians, seconds = MADE_UP[name]
    rng = np.random.default_rng(1000 * place + k)
    label = np.arange(n) % 2
    hard = np.random.default_rng(7).normal(0, 1, n)  # The same points are hard for every method.
    strength = hard + rng.normal(0, 0.5, n) + np.where(label == 1, 2.6, -2.6) - 0.25 * k
    predicted = np.where(label == 1, strength > 0, strength > -0.4).astype(int)
    columns: dict[str, Any] = {"index": np.arange(n), "label": label, "predicted": predicted}
    asked = (label == 1) & (predicted == 1)
    sampled = "sigma" in settings[k]
    unavailable = {}
    for level, (_, factor) in levels.items():
        if level == "sound" and k == 3:
            unavailable[level] = "no bound for <batch norm> in float32"
            continue
        columns[f"seconds_{level}"] = np.where(asked, seconds * factor**9, np.nan)
        for p in native:
            radius = factor * medians[p] * np.maximum(strength, 0) / 2.6
            if sampled:
                radius = np.minimum(radius * (1 + 0.4 * k), medians[p] * (k + 1))
            elif norm_name(p) != settings[k].get("norm", norm_name(p)):
                radius = 0.7 * radius
            if infinite and level == "tight":
                radius = np.where(radius > np.quantile(radius, 0.9), np.inf, radius)
            columns[f"radius_{norm_name(p)}_{level}"] = np.where(
                label == 1, np.where(asked, radius, 0.0), np.nan
            )
    record: FitRecord = {
        "setting": settings[k],
        "facts": {"epochs": 20, "train_accuracy": 0.97},
        "train_seconds": 83.0 + 5 * k,
        "measurements": (
            {"forward_passes": 100_100.0, "seconds_with_fresh_noise": 21.0}
            if name.startswith("smoothing")
            else {}
        ),
        "unavailable": unavailable,
        "covered": {},
        "provenance": _PROVENANCE,
    }
    return OneFit(pd.DataFrame(columns), record)


_PROVENANCE: Provenance = {
    "version": "0.1.0",
    "git": "4a215a7",
    "command": "featureconvex compare mnist-3-8 --out out",
    "torch": "2.13.0",
    "numpy": "2.4.6",
    "python": "3.11.7",
    "machine": "made up, 2 cores, Linux x86_64",
    "threads": 1,
    "started": "2026-01-02T03:04:05+00:00",
}
_HEAD: dict[str, Any] = {
    "task": "mnist-3-8",
    "shape": [1, 28, 28],
    "sensitive_name": "3",
    "other_name": "8",
    "n_fitting": 10784,
    "n_validation": 1198,
    "unit": "pixels in [0, 1]",
    "note": "a made-up data set",
    "samples": 100_000,
    "seed": 0,
    "provenance": _PROVENANCE,
}
