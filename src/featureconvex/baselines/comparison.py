"""``comparison.json``: every number of a comparison, derived from the rows of its methods."""

import json
from typing import Any

import numpy as np
from numpy.typing import NDArray

from featureconvex.baselines.conversion import in_norm
from featureconvex.baselines.method import Method, Radii
from featureconvex.baselines.one_fit import OneFit
from featureconvex.evaluation.curves import GRID_POINTS, certified_counts, round_up
from featureconvex.evaluation.intervals import clopper_pearson
from featureconvex.norms import norm_name, parse_norm

NORMS = ("l1", "l2", "linf")
REFERENCE = ("feature-convex", "closed-form")
"""The method and level that costs are reported as a ratio to."""

Outcome = list[OneFit] | str
"""What a method gave: one fit per setting, or the reason why it did not run."""
Table = dict[str, Any]


def derive_comparison(outcomes: dict[type[Method], Outcome], dimension: int, head: Table) -> Table:
    """All numbers as plain values.

    Per method: ``settings``, one entry per fit with one entry per level, and on top, in every norm,
    the setting with the largest area under its certified curve at the method's first level.

    Args:
        outcomes: by method.
        dimension: of the inputs, for norm equivalence.
        head: what stands above ``methods``: task, sizes, provenance.
    """
    entries = {kind.name: _settings(kind, outcome) for kind, outcome in outcomes.items()}
    grids = _grids(
        [radii for e in entries.values() for s in e for radii in s["radii"].values()], dimension
    )
    methods = {}
    for kind, outcome in outcomes.items():
        described: Table = {
            "title": kind.title,
            "native_norm": [norm_name(p) for p in kind.native_norms],
            "guarantee": str(next(iter(kind.levels.values()))),
            "passes": kind.passes,
            "literature": kind.literature,
        }
        if isinstance(outcome, str):
            methods[kind.name] = {**described, "reason": outcome}
            continue
        settings = [_measured(kind, s, grids, dimension) for s in entries[kind.name]]
        methods[kind.name] = {**described, **_headline(kind, settings), "settings": settings}
    _add_cost_ratios(methods)
    return {**head, "methods": methods}


def _settings(kind: type[Method], outcome: Outcome) -> list[Table]:
    """Per fit: its record, labels, predictions, and per level the native radii of the flagged."""
    if isinstance(outcome, str):
        return []
    found = []
    for fit in outcome:
        rows = fit.rows
        chosen = (rows["label"] == 1).to_numpy()
        radii: dict[str, Radii] = {}
        for level in kind.levels:
            columns = {
                parse_norm(norm): rows.loc[chosen, f"radius_{norm}_{level}"].fillna(0).to_numpy()
                for norm in map(norm_name, kind.native_norms)
                if f"radius_{norm}_{level}" in rows
            }
            if columns:
                radii[level] = columns
        found.append({"record": fit.record, "rows": rows, "chosen": chosen, "radii": radii})
    return found


def _grids(all_radii: list[Radii], dimension: int) -> dict[str, NDArray[np.float64]]:
    """One grid per norm, the same for all methods, so that their curves can share a panel.

    Up to the largest radius that a twentieth of the sensitive points of some method reaches.
    """
    grids = {}
    for norm in NORMS:
        values = [in_norm(radii, parse_norm(norm), dimension)[0] for radii in all_radii]
        tops = [float(np.quantile(v[np.isfinite(v)], 0.95)) for v in values if np.isfinite(v).any()]
        top = max(tops, default=0.0)
        grids[norm] = np.linspace(0.0, round_up(top) if top > 0 else 1.0, GRID_POINTS)
    return grids


def _measured(kind: type[Method], setting: Table, grids: Table, dimension: int) -> Table:
    record, rows, chosen = setting["record"], setting["rows"], setting["chosen"]
    flags, truth = rows["predicted"].to_numpy() > 0, rows["label"].to_numpy() > 0
    levels = {
        level: {
            "guarantee": str(kind.levels[level]),
            "seconds_per_certificate": float(rows[f"seconds_{level}"].mean()),
            **_curves(radii, flags[chosen], grids, dimension),
        }
        for level, radii in setting["radii"].items()
    }
    return {
        "setting": record["setting"],
        "clean_accuracy": float((flags == truth).mean()),
        "accuracy_by_class": {
            "sensitive": float(flags[truth].mean()),
            "other": float((~flags[~truth]).mean()) if (~truth).any() else None,
        },
        "train_seconds": record["train_seconds"],
        **{name: record[name] for name in ("facts", "measurements", "unavailable")},
        "levels": levels,
    }


def _curves(radii: Radii, flags: NDArray[np.bool_], grids: Table, dimension: int) -> Table:
    """Per norm: the certified curve with exact intervals, medians and means; ``converted`` norms."""
    curves, medians, means, converted = {}, {}, {}, {}
    for norm, grid in grids.items():
        values, converted[norm] = in_norm(radii, parse_norm(norm), dimension)
        counts = certified_counts(np.sort(values), grid)
        # An abstention or a radius of 0 certifies nothing, not even the input itself.
        counts = np.minimum(counts, int((values > 0).sum()))
        low, high = clopper_pearson(counts, len(values))
        accuracy = counts / len(values)
        curves[norm] = {"radius": grid, "accuracy": accuracy, "low": low, "high": high}
        medians[norm] = float(np.median(values[flags])) if flags.any() else None
        means[norm] = float(values.mean())
    return {
        "certified_accuracy": curves,
        "median_radius": medians,
        "average_certified_radius": means,
        "converted": converted,
    }


def _headline(kind: type[Method], settings: list[Table]) -> Table:
    """At the first level: the best setting in each norm, and the best one in the native norm as a whole."""
    level = next(iter(kind.levels))
    usable = [k for k, setting in enumerate(settings) if level in setting["levels"]]
    if not usable:
        return {"clean_accuracy": settings[0]["clean_accuracy"], "best_setting": {}}

    def area(k: int, norm: str) -> float:
        return float(settings[k]["levels"][level]["certified_accuracy"][norm]["accuracy"].mean())

    best = {norm: max(usable, key=lambda k, norm=norm: area(k, norm)) for norm in NORMS}  # type: ignore[misc]
    native = 2.0 if 2.0 in kind.native_norms else kind.native_norms[0]
    chosen = settings[best[norm_name(native)]]
    return {
        "clean_accuracy": chosen["clean_accuracy"],
        "certified_accuracy": {
            norm: settings[k]["levels"][level]["certified_accuracy"][norm]
            for norm, k in best.items()
        },
        "median_radius": {
            norm: settings[k]["levels"][level]["median_radius"][norm] for norm, k in best.items()
        },
        "best_setting": {norm: settings[k]["setting"] for norm, k in best.items()},
        "converted": chosen["levels"][level]["converted"],
        "seconds_per_certificate": chosen["levels"][level]["seconds_per_certificate"],
        "train_seconds": chosen["train_seconds"],
    }


def _add_cost_ratios(methods: Table) -> None:
    """Seconds per certificate over those of the reference, of the same run; None without it."""
    name, level = REFERENCE
    reference = [
        s["levels"][level]["seconds_per_certificate"]
        for s in methods.get(name, {}).get("settings", [])
        if level in s["levels"]
    ]
    base = min(reference, default=None)
    for method in methods.values():
        seconds = method.get("seconds_per_certificate")
        method["cost_ratio"] = seconds / base if base and seconds is not None else None


def setting_words(setting: Table) -> str:
    """A setting in words: ``sigma 0.75``; empty where there is nothing to vary."""
    return ", ".join(
        f"{key} {value if isinstance(value, str) else json.dumps(value)}"
        for key, value in setting.items()
    )
