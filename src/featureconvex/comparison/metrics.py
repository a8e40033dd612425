"""Every number of a comparison, derived from the rows of its methods."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from featureconvex.baselines.description import Description
from featureconvex.baselines.method import Radii
from featureconvex.comparison.curves import curve
from featureconvex.comparison.fit import OneFit
from featureconvex.comparison.norm_equivalence import in_norm
from featureconvex.comparison.ranking import derive_ordering
from featureconvex.comparison.ranking_sentences import ordering_sentences
from featureconvex.norms import norm_name, parse_norm
from featureconvex.results.columns import NORMS
from featureconvex.results.curves import certified_counts, round_grid

REFERENCE = ("feature-convex", "closed-form")
"""The method and level that costs are reported as a ratio to."""

Table = dict[str, Any]


class Failure(NamedTuple):
    """A setting of a method that did not run, and why."""

    setting: Mapping[str, Any]
    reason: str


@dataclass(frozen=True)
class Ran:
    """A method and what became of it.

    Attributes:
        method: what tables and figures say of it.
        fits: one per setting that ran.
        failures: one per setting that did not.
    """

    method: Description
    fits: Sequence[OneFit] = ()
    failures: Sequence[Failure] = ()

    @property
    def reason(self) -> str:
        """Why no setting ran, each reason once."""
        return "; ".join(dict.fromkeys(failure.reason for failure in self.failures))


def derive_comparison(results: Sequence[Ran], dimension: int, head: Table) -> Table:
    """All numbers as plain values.

    Per method: ``settings``, one entry per fit with one entry per level, and on top, in every norm,
    the setting with the largest area under its certified curve at the method's first level.

    Args:
        results: of every method, in the order of tables and figures.
        dimension: of the inputs, for norm equivalence.
        head: what stands above ``methods``: task, sizes, provenance.
    """
    radii = {
        ran.method.name: [native_radii(ran.method, fit) for fit in ran.fits] for ran in results
    }
    grids = _grids([r for fits in radii.values() for f in fits for r in f.values()], dimension)
    methods = {}
    for ran in results:
        described = ran.method.to_table()
        if not ran.fits:
            methods[ran.method.name] = {**described, "reason": ran.reason}
            continue
        settings = [
            _measured(ran.method, fit, native, grids, dimension)
            for fit, native in zip(ran.fits, radii[ran.method.name], strict=True)
        ]
        headline = _headline(ran.method, settings)
        methods[ran.method.name] = {
            **described,
            **headline,
            "settings": settings,
            "failed": [failure._asdict() for failure in ran.failures],
        }
    reference = _add_cost_ratios(methods)
    ordering = derive_ordering(methods, REFERENCE[0])
    titles = {name: method["title"] for name, method in methods.items()}
    for norm, found in ordering.items():
        found["sentences"] = ordering_sentences(norm, found, titles, REFERENCE[0])
    return {**head, "reference": reference, "methods": methods, "ordering": ordering}


def native_radii(method: Description, fit: OneFit) -> dict[str, Radii]:
    """Per level that worked: radii of the sensitive test points (n_sensitive,), 0 where not certified."""
    chosen = (fit.rows["label"] == 1).to_numpy()
    radii: dict[str, Radii] = {}
    for level in method.levels:
        columns = {
            p: fit.rows.loc[chosen, name].fillna(0).to_numpy(dtype=np.float64)
            for p in method.native_norms
            if (name := f"radius_{norm_name(p)}_{level}") in fit.rows
        }
        if columns:
            radii[level] = columns
    return radii


def _grids(all_radii: list[Radii], dimension: int) -> dict[str, NDArray[np.float64]]:
    """One grid per norm, the same for all methods, so that their curves can share a panel.

    Up to the largest radius that a twentieth of the sensitive points of some method reaches.
    """
    grids = {}
    for norm in NORMS:
        values = [in_norm(radii, parse_norm(norm), dimension)[0] for radii in all_radii]
        tops = [float(np.quantile(v[np.isfinite(v)], 0.95)) for v in values if np.isfinite(v).any()]
        top = max(tops, default=0.0)
        grids[norm] = round_grid(top)
    return grids


def _measured(
    method: Description,
    fit: OneFit,
    native: dict[str, Radii],
    grids: dict[str, NDArray[np.float64]],
    dimension: int,
) -> Table:
    rows, record = fit.rows, fit.record
    flags, truth = rows["predicted"].to_numpy() > 0, rows["label"].to_numpy() > 0
    levels = {
        level: {
            "guarantee": str(method.levels[level]),
            # The fastest step: whatever else the machine does only adds.
            "seconds_per_certificate": float(rows[f"seconds_{level}"].min()),
            **_curves(radii, flags[truth], grids, dimension),
        }
        for level, radii in native.items()
    }
    return {
        "setting": record["setting"],
        "clean_accuracy": float((flags == truth).mean()),
        "accuracy_by_class": {
            "sensitive": float(flags[truth].mean()),
            "other": float((~flags[~truth]).mean()) if (~truth).any() else None,
        },
        "train_seconds": record["train_seconds"],
        **{name: record[name] for name in ("facts", "measurements", "unavailable", "provenance")},
        "levels": levels,
    }


def _curves(radii: Radii, flags: NDArray[np.bool_], grids: Table, dimension: int) -> Table:
    """Per norm: the certified curve with exact intervals, medians, means, areas; ``converted`` norms.

    The area under the curve up to the end of its grid is a mean radius, with radii cut off there. It is
    taken from the radii, as a converted norm's may all lie between the first two points of the grid.
    """
    curves, medians, means, areas, converted = {}, {}, {}, {}, {}
    for norm, grid in grids.items():
        values, converted[norm] = in_norm(radii, parse_norm(norm), dimension)
        counts = certified_counts(np.sort(values), grid)
        # An abstention or a radius of 0 certifies nothing, not even the input itself.
        counts = np.minimum(counts, int((values > 0).sum()))
        curves[norm] = curve(grid, counts, len(values))
        medians[norm] = float(np.median(values[flags])) if flags.any() else None
        means[norm] = float(values.mean())
        areas[norm] = float(values.clip(max=grid[-1]).mean())
    return {
        "certified_accuracy": curves,
        "median_radius": medians,
        "average_certified_radius": means,
        "area": areas,
        "converted": converted,
    }


def _headline(method: Description, settings: list[Table]) -> Table:
    """At the first level: the best setting in each norm, and the best one in the native norm as a whole."""
    level = next(iter(method.levels))
    usable = [k for k, setting in enumerate(settings) if level in setting["levels"]]
    if not usable:
        return {"clean_accuracy": settings[0]["clean_accuracy"], "best_setting": {}}

    def area(k: int, norm: str) -> float:
        return float(settings[k]["levels"][level]["area"][norm])

    best = {norm: max(usable, key=lambda k, norm=norm: area(k, norm)) for norm in NORMS}  # type: ignore[misc]
    native = 2.0 if 2.0 in method.native_norms else method.native_norms[0]
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


def _add_cost_ratios(methods: Table) -> Table:
    """Seconds per certificate over those of the reference, of the same run; None without it.

    The reference is its fastest setting; a method's own ratio is that of its fastest one at the first
    level.
    """
    name, level = REFERENCE
    reference = [
        (s["levels"][level]["seconds_per_certificate"], s["setting"])
        for s in methods.get(name, {}).get("settings", [])
        if level in s["levels"]
    ]
    base, setting = min(reference, key=lambda found: found[0], default=(None, None))
    for method in methods.values():
        for measured in (x for s in method.get("settings", []) for x in s["levels"].values()):
            seconds = measured["seconds_per_certificate"]
            measured["cost_ratio"] = seconds / base if base else None
        first = next(iter(method["levels"]))
        ratios = [
            s["levels"][first]["cost_ratio"]
            for s in method.get("settings", [])
            if first in s["levels"]
        ]
        method["cost_ratio"] = min(ratios, default=None) if base else None
    return {"method": name, "level": level, "setting": setting, "seconds_per_certificate": base}
