"""Every number of a comparison, derived from the rows of its methods."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import NamedTuple, cast

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from featureconvex.baselines.description import Description, MethodFacts
from featureconvex.baselines.method import Radii, Setting
from featureconvex.certificates import Guarantee
from featureconvex.comparison.by_class import accuracy_by_class, add_by_class, was_asked
from featureconvex.comparison.columns import radius_column, seconds_column
from featureconvex.comparison.curves import curve
from featureconvex.comparison.fit import OneFit
from featureconvex.comparison.norm_equivalence import in_norm
from featureconvex.comparison.ranking import derive_ordering, first_level
from featureconvex.comparison.ranking_sentences import ordering_sentences
from featureconvex.comparison.schema import (
    ComparisonTables,
    FailureTable,
    Head,
    Headline,
    LevelTable,
    MethodTable,
    Reference,
    SettingTable,
)
from featureconvex.norms import NORM_NAMES, parse_norm
from featureconvex.results.statistics.curves import CurveTable, Floats, certified_counts, round_grid

REFERENCE = ("feature-convex", "closed-form")
"""The method and level that costs are reported as a ratio to."""
# The share of points with a radius below which a curve is drawn for them alone.
FEW_CERTIFIED = 0.1

Grids = dict[str, Floats]
"""Radii of the curves, per norm."""


class Failure(NamedTuple):
    """A setting of a method that is left out, and why: it failed, or it detects nothing."""

    setting: Setting
    reason: str


@dataclass(frozen=True)
class MethodResult:
    """A method and what became of it.

    Attributes:
        method: what tables and figures say of it.
        fits: one per setting that is compared.
        failures: one per setting that is left out.
    """

    method: Description
    fits: Sequence[OneFit] = ()
    failures: Sequence[Failure] = ()

    @property
    def reason(self) -> str:
        """Why every setting is left out, each reason once."""
        return "; ".join(dict.fromkeys(failure.reason for failure in self.failures))


def derive_comparison(
    results: Sequence[MethodResult], dimension: int, head: Head, grids: Grids | None = None
) -> ComparisonTables:
    """All numbers as plain values.

    Per method: ``settings``, one entry per fit with one entry per level, and on top, in every norm,
    the setting with the largest area under its certified curve at the method's first level.

    Args:
        results: of every method, in the order of tables and figures.
        dimension: of the inputs, for norm equivalence.
        head: what stands above ``methods``: task, sizes, provenance.
        grids: radii of the curves, per norm; None: as far as a twentieth of some method's points reach.
    """
    radii = {
        result.method.name: [native_radii(result.method, fit) for fit in result.fits]
        for result in results
    }
    if grids is None:
        grids = _grids([r for fits in radii.values() for f in fits for r in f.values()], dimension)
    measured = {
        result.method.name: MeasuredMethod(
            result.method.to_table(),
            [
                _measured(result.method, fit, native, grids, dimension)
                for fit, native in zip(result.fits, radii[result.method.name], strict=True)
            ],
            [{"setting": f.setting, "reason": f.reason} for f in result.failures],
        )
        for result in results
    }
    return tables_of(measured, head)


class MeasuredMethod(NamedTuple):
    """A method's facts, and the settings that are compared and left out."""

    facts: MethodFacts
    settings: Sequence[SettingTable]
    failed: Sequence[FailureTable]


def tables_of(measured: Mapping[str, MeasuredMethod], head: Head) -> ComparisonTables:
    """What follows from settings whose curves share their grids: best settings, costs, the ordering."""
    methods = {name: _method(*method) for name, method in measured.items()}
    reference = _add_cost_ratios(methods)
    ordering = derive_ordering(methods, REFERENCE[0])
    titles = {name: method["title"] for name, method in methods.items()}
    for norm, found in ordering.items():
        found["sentences"] = ordering_sentences(norm, found, titles, REFERENCE[0])
    numbers = {"reference": reference, "methods": methods, "ordering": ordering}
    return cast("ComparisonTables", {**head, **numbers})


def native_radii(method: Description, fit: OneFit) -> dict[str, Radii]:
    """Per level that worked: radii of the points that count, (n,), 0 where not certified.

    Those that a level does not cover, the last ones, are left out.
    """
    radii: dict[str, Radii] = {}
    for level in method.levels:
        if fit.classes and not was_asked(level, fit):
            continue
        end = fit.record["covered"].get(level)
        rows = fit.rows[:end][fit.counted[:end]]
        columns = {
            # Of several classes earlier versions wrote NaN alone where a level does not cover a point.
            p: (found.dropna() if fit.classes else found.fillna(0)).to_numpy(dtype=np.float64)
            for p in method.native_norms
            if (name := radius_column(p, level)) in rows
            for found in [rows[name]]
        }
        if columns:
            radii[level] = columns
    return radii


def _grids(all_radii: list[Radii], dimension: int) -> Grids:
    """One grid per norm, the same for all methods, so that their curves can share a panel.

    Up to the largest radius that a twentieth of the points of some method reaches.
    """
    grids = {}
    for norm in NORM_NAMES:
        values = [in_norm(radii, parse_norm(norm), dimension)[0] for radii in all_radii]
        grids[norm] = round_grid(max((_reached(radii) for radii in values), default=0.0))
    return grids


def _reached(radii: Floats) -> float:
    """What a twentieth of the points (n,) reach, or of those with a radius where these are few."""
    finite = radii[np.isfinite(radii)]
    positive = finite[finite > 0]
    counted = finite if len(positive) >= FEW_CERTIFIED * len(finite) else positive
    return float(np.quantile(counted, 0.95)) if len(counted) else 0.0


def _method(
    facts: MethodFacts, settings: Sequence[SettingTable], failed: Sequence[FailureTable]
) -> MethodTable:
    if not settings:
        reasons = dict.fromkeys(str(failure["reason"]) for failure in failed)
        return cast("MethodTable", {**facts, "reason": "; ".join(reasons)})
    numbers = {**_headline(facts, settings), "settings": settings, "failed": failed}
    return cast("MethodTable", {**facts, **numbers})


def _measured(
    method: Description,
    fit: OneFit,
    native: dict[str, Radii],
    grids: Grids,
    dimension: int,
) -> SettingTable:
    rows, record, right = fit.rows, fit.record, fit.right
    kept = right[fit.counted]
    converted = {
        level: {norm: in_norm(radii, parse_norm(norm), dimension) for norm in grids}
        for level, radii in native.items()
    }
    levels = {
        level: _level(method.levels[level], rows[seconds_column(level)], found, kept, grids)
        for level, found in converted.items()
    }
    for level, radii in native.items():
        points = len(next(iter(radii.values())))
        if points < len(kept):
            levels[level]["n_points"] = points
    if fit.classes:
        add_by_class(levels, converted, fit)
    return {
        "setting": record["setting"],
        "clean_accuracy": float(right.mean()),
        "accuracy_by_class": accuracy_by_class(fit),
        "train_seconds": record["train_seconds"],
        "facts": record["facts"],
        "measurements": record["measurements"],
        "unavailable": record["unavailable"],
        "covered": record["covered"],
        "provenance": record["provenance"],
        "levels": levels,
    }


def _level(
    guarantee: Guarantee,
    seconds: pd.Series,
    radii: dict[str, tuple[Floats, bool]],
    kept: NDArray[np.bool_],
    grids: Grids,
) -> LevelTable:
    """Per norm: the certified curve with exact intervals, medians, means, areas; ``converted`` norms.

    The area under the curve up to the end of its grid is a mean radius, with radii cut off there. It is
    taken from the radii, as a converted norm's may all lie between the first two points of the grid.
    """
    values = {norm: found for norm, (found, _) in radii.items()}
    flags = kept[: min(map(len, values.values()))]
    return {
        "guarantee": str(guarantee),
        # The fastest step: whatever else the machine does only adds.
        "seconds_per_certificate": float(seconds.min()),
        "certified_accuracy": {norm: _curve(values[norm], grid) for norm, grid in grids.items()},
        "median_radius": {
            norm: float(np.median(v[flags])) if flags.any() else None for norm, v in values.items()
        },
        "average_certified_radius": {norm: float(v.mean()) for norm, v in values.items()},
        "area": {norm: float(v.clip(max=grids[norm][-1]).mean()) for norm, v in values.items()},
        "converted": {norm: converted for norm, (_, converted) in radii.items()},
    }


def _curve(radii: Floats, grid: Floats) -> CurveTable:
    counts = certified_counts(np.sort(radii), grid)
    # An abstention or a radius of 0 certifies nothing, not even the input itself.
    return curve(grid, np.minimum(counts, int((radii > 0).sum())), len(radii))


def _headline(method: MethodFacts, settings: Sequence[SettingTable]) -> Headline:
    """At the first level: the best setting in each norm, and the best one in the native norm as a whole."""
    level = next(iter(method["levels"]))
    usable = [k for k, setting in enumerate(settings) if level in setting["levels"]]
    if not usable:
        return {"clean_accuracy": settings[0]["clean_accuracy"], "best_setting": {}}

    def area(k: int, norm: str) -> float:
        return float(settings[k]["levels"][level]["area"][norm])

    best = {norm: max(usable, key=lambda k, norm=norm: area(k, norm)) for norm in NORM_NAMES}  # type: ignore[misc]
    norms = method["native_norm"]
    chosen = settings[best["l2" if "l2" in norms else norms[0]]]
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


def _add_cost_ratios(methods: dict[str, MethodTable]) -> Reference:
    """Seconds per certificate over those of the reference, of the same run; None without it.

    The reference is its fastest setting; a method's own ratio is that of its fastest one at the first
    level.
    """
    name, level = REFERENCE
    ours = methods[name].get("settings", []) if name in methods else []
    reference = [
        (s["levels"][level]["seconds_per_certificate"], s["setting"])
        for s in ours
        if level in s["levels"]
    ]
    base, setting = min(reference, key=lambda found: found[0], default=(None, None))
    for method in methods.values():
        for measured in (x for s in method.get("settings", []) for x in s["levels"].values()):
            seconds = measured["seconds_per_certificate"]
            measured["cost_ratio"] = seconds / base if base else None
        first = first_level(method)
        ratios = [
            s["levels"][first]["seconds_per_certificate"] / base
            for s in method.get("settings", [])
            if base and first in s["levels"]
        ]
        method["cost_ratio"] = min(ratios, default=None)
    return {"method": name, "level": level, "setting": setting, "seconds_per_certificate": base}
