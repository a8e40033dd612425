"""What all pairs say together: matrices, and how well characteristics predict them."""

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from featureconvex.norms import NORM_NAMES
from featureconvex.study.pairs.characteristics import DESCRIBED
from featureconvex.study.pairs.regression import (
    Floats,
    Pairs,
    coefficients,
    explained,
    fit,
    over_classes,
    predicted_elsewhere,
)
from featureconvex.study.ranks import rank_correlation
from featureconvex.study.study import Row

Statistic = Callable[[NDArray[np.intp]], float]
TRAINED = "l2"
ODD = {
    "hull": ("hull",),
    "linear_margin": ("linear_margin",),
    "nearest": ("nearest",),
    "spread": ("spread", "other_spread"),
    "dimension": ("dimension", "other_dimension"),
    "gap": ("gap", "other_gap"),
    "ink": ("ink", "other_ink"),
}
"""Of an asymmetry: the same characteristic of (a, b) less that of (b, a), or of a less that of b."""


def summary(rows: Sequence[Row]) -> dict[str, Any]:
    """One entry per family and kind of model, and what carries over from one family to the other."""
    seed = min(row["settings"]["seed"] for row in rows)
    measured = {_key(row): row["characteristics"] for row in rows if "characteristics" in row}
    groups: dict[tuple[str, str], list[Row]] = {}
    for row in rows:
        if row["settings"]["seed"] == seed:
            groups.setdefault((row["settings"]["kind"], row["settings"]["family"]), []).append(row)
    found = {}
    for (kind, family), own in groups.items():
        radius, asymmetry = tables(own, measured)
        found[f"{kind} {family}"] = {
            "kind": kind,
            "family": family,
            "settings": {k: own[0]["settings"][k] for k in ("model", "recipe")},
            "pairs": [_pair(row) for row in own],
            "radius": predictability(radius, list(DESCRIBED)),
            "asymmetry": predictability(asymmetry, list(ODD)),
            "transfer": {
                other: transfer(own, group, measured)
                for (other_kind, other), group in groups.items()
                if other_kind == kind and other != family
            },
        }
    return {
        "sets": found,
        "characteristics": {"/".join(map(str, key)): value for key, value in measured.items()},
        "described": DESCRIBED,
        "discussed": discussed(rows),
    }


def _key(row: Row) -> tuple[str, int, int]:
    settings = row["settings"]
    return settings["family"], settings["sensitive"], settings["other"]


def _pair(row: Row) -> dict[str, Any]:
    _, a, b = _key(row)
    return {
        "sensitive": a,
        "other": b,
        "clean_accuracy": row["clean_accuracy"],
        "accuracy_by_class": row["accuracy_by_class"],
        "train_accuracy": row["train_accuracy"],
        "median_radius": {
            norm: {k: value[k] for k in ("estimate", "low", "high")}
            for norm, value in row["median_radius"].items()
        },
    }


def tables(own: list[Row], measured: dict[Any, dict[str, float]]) -> tuple[Pairs, Pairs]:
    """The radii of ordered pairs, and the differences of both orders, with their characteristics."""
    radius = {_key(row)[1:]: row["median_radius"][TRAINED]["estimate"] or 0.0 for row in own}
    family = _key(own[0])[0]
    known = {pair: measured[(family, *pair)] for pair in radius}
    ordered = list(radius)
    x = np.array([[known[pair][name] for name in DESCRIBED] for pair in ordered])
    y = np.array([radius[pair] for pair in ordered])
    half = [pair for pair in ordered if pair[0] < pair[1]]
    differences = [[_odd(known[a, b], known[b, a], ODD[name]) for name in ODD] for a, b in half]
    gaps = [radius[a, b] - radius[b, a] for a, b in half]
    return (
        Pairs(np.array(ordered), x, y),
        Pairs(np.array(half), np.array(differences), np.array(gaps), odd=True),
    )


def _odd(forward: dict[str, float], back: dict[str, float], names: tuple[str, ...]) -> float:
    if len(names) == 2:
        return forward[names[0]] - forward[names[1]]
    return forward[names[0]] - back[names[0]]


def predictability(pairs: Pairs, names: list[str]) -> dict[str, Any]:
    """How well a regression predicts pairs of classes it never saw, and what each number is worth."""
    guess = predicted_elsewhere(pairs)
    whole = coefficients(pairs)[0]

    def single(column: int) -> Statistic:
        return lambda rows: rank_correlation(pairs.x[rows, column], pairs.y[rows])

    result: dict[str, Any] = {
        "pairs": len(pairs.y),
        "mean": float(pairs.y.mean()),
        "size": float(np.abs(pairs.y).mean()),
        "explained_on_unseen": over_classes(pairs.classes, _explained(pairs, guess)).table(),
        "rank_correlation_on_unseen": over_classes(pairs.classes, _agreement(pairs, guess)).table(),
        "mean_error_on_unseen": over_classes(
            pairs.classes, lambda rows: float(np.abs(pairs.y[rows] - guess[rows]).mean())
        ).table(),
        "truth": pairs.y,
        "guess": guess,
        "classes": pairs.classes,
        "weights": dict(zip(names, whole, strict=True)),
        "rank_correlation": {
            name: over_classes(pairs.classes, single(k)).table() for k, name in enumerate(names)
        },
    }
    if pairs.odd:
        result["signs_on_unseen"] = over_classes(
            pairs.classes, lambda rows: float((pairs.y[rows] * guess[rows] > 0).mean())
        ).table()
        result["single_signs"] = {
            name: over_classes(pairs.classes, _signs(pairs, k)).table()
            for k, name in enumerate(names)
        }
    return result


def _explained(pairs: Pairs, guess: Floats) -> Statistic:
    return lambda rows: explained(pairs.y[rows], guess[rows], pairs.odd)


def _agreement(pairs: Pairs, guess: Floats) -> Statistic:
    return lambda rows: rank_correlation(pairs.y[rows], guess[rows])


def _signs(pairs: Pairs, column: int) -> Statistic:
    """How often a characteristic alone says which order has the larger radius, larger meaning larger."""
    return lambda rows: float((pairs.x[rows, column] * pairs.y[rows] > 0).mean())


def transfer(
    own: list[Row], other: list[Row], measured: dict[Any, dict[str, float]]
) -> dict[str, Any]:
    """A regression on one family's pairs, checked on the other's."""
    result = {}
    for name, here, there in zip(
        ("radius", "asymmetry"), tables(own, measured), tables(other, measured), strict=True
    ):
        guess = fit(here)(there.x)
        result[name] = {
            "rank_correlation": over_classes(there.classes, _agreement(there, guess)).table(),
            "explained": over_classes(there.classes, _explained(there, guess)).table(),
        }
    return result


def discussed(rows: Sequence[Row]) -> list[dict[str, Any]]:
    """Of pairs with several seeds: every seed's numbers."""
    groups: dict[tuple[str, ...], list[Row]] = {}
    for row in rows:
        groups.setdefault((row["settings"]["kind"], *map(str, _key(row))), []).append(row)
    return [
        {
            "kind": kind,
            "family": family,
            "sensitive": int(a),
            "other": int(b),
            "seeds": [row["settings"]["seed"] for row in own],
            "clean_accuracy": [row["clean_accuracy"]["estimate"] for row in own],
            "median_radius": {
                norm: [row["median_radius"][norm]["estimate"] for row in own] for norm in NORM_NAMES
            },
        }
        for (kind, family, a, b), own in groups.items()
        if len(own) > 1
    ]
