"""Who certifies more, and where: computed from the curves of a comparison, claimed nowhere else."""

from collections.abc import Iterator, Mapping

import numpy as np
from numpy.typing import NDArray

from featureconvex.comparison.pairwise import compare_curves, stretches
from featureconvex.comparison.schema import (
    Against,
    Area,
    Leaders,
    Leads,
    MethodTable,
    Ordering,
)
from featureconvex.results.statistics.curves import CurveTable, round_down

Methods = Mapping[str, MethodTable]
TELLING_SHARES = (0.9, 0.5, 0.1)


def derive_ordering(methods: Methods, reference: str) -> dict[str, Ordering]:
    """Per norm: areas, telling radii, and the reference's curve against every other one.

    Args:
        methods: as in ``comparison.json``; those that failed, or whose first level did, are left out.
        reference: the name of the method that all others are held against.

    Returns:
        By norm: ``radii``, worth reading; ``up_to``, the largest radius compared; ``areas`` of the
        best settings, largest first; ``largest_native``, among the methods certified in that norm
        itself; ``leaders``, who certifies most at which radii; ``reference_setting``;
        ``reference_leads``, where the reference certifies more than every other method (``alone``),
        as much as the best of them (``shared``), or less (``behind``); ``against``, by method: a
        :func:`~featureconvex.comparison.pairwise.compare_curves` of the reference's best setting with the
        method's best one (``best``), with every one (``settings``), and with the largest of them at
        each radius (``any_setting``); ``own_settings``, the reference's, each with the methods
        whose area is larger.
    """
    norms = dict.fromkeys(norm for m in methods.values() for norm in m.get("best_setting", {}))
    return {norm: _in_norm(methods, norm, reference) for norm in norms}


def first_level(method: MethodTable) -> str:
    """The level that a method is compared by."""
    return str(next(iter(method["levels"])))


def best_index(method: MethodTable, norm: str) -> int:
    """The place of the best setting in ``norm`` among the method's settings."""
    settings = [setting["setting"] for setting in method["settings"]]
    return settings.index(method["best_setting"][norm])


def _in_norm(methods: Methods, norm: str, reference: str) -> Ordering:
    shown = {name: m for name, m in methods.items() if m.get("best_setting")}
    curves = {name: _curve(m, best_index(m, norm), norm) for name, m in shown.items()}
    areas = sorted(
        (_area(name, m, best_index(m, norm), norm) for name, m in shown.items()),
        key=lambda entry: -entry["area"],
    )
    native = [entry for entry in areas if not entry["converted"]]
    radius = np.asarray(next(iter(curves.values()))["radius"])
    found: Ordering = {
        "radii": _telling([curves[e["method"]] for e in native or areas], radius),
        "up_to": float(radius[-1]),
        "areas": areas,
        "largest_native": native[0]["method"] if native else None,
        "leaders": _leaders([e["method"] for e in areas], curves, radius),
    }
    if reference not in shown:
        return found
    ours, others = curves[reference], {k: m for k, m in shown.items() if k != reference}
    return {
        **found,
        "reference_setting": shown[reference]["best_setting"][norm],
        "reference_leads": _leads(
            ours, [_curve(m, best_index(m, norm), norm) for m in others.values()]
        ),
        "against": {name: _against(ours, m, norm) for name, m in others.items()},
        "own_settings": [
            {**entry, "behind": [e["method"] for e in areas if _beats(e, entry, reference)]}
            for entry in _areas(reference, shown[reference], norm)
        ],
    }


def _beats(other: Area, entry: Area, reference: str) -> bool:
    return bool(other["method"] != reference and other["area"] > entry["area"])


def _leads(ours: CurveTable, others: list[CurveTable]) -> Leads:
    """Where one curve is above, level with and below all the others, as far as any is above 0."""
    radius, accuracy = np.asarray(ours["radius"]), np.asarray(ours["accuracy"])
    best = np.max([np.zeros_like(accuracy), *(np.asarray(c["accuracy"]) for c in others)], axis=0)
    return {
        "alone": stretches(accuracy > best, radius),
        "shared": stretches((accuracy == best) & (best > 0), radius),
        "behind": stretches(accuracy < best, radius),
    }


def _usable(method: MethodTable) -> Iterator[int]:
    level = first_level(method)
    return (k for k, s in enumerate(method["settings"]) if level in s["levels"])


def _curve(method: MethodTable, k: int, norm: str) -> CurveTable:
    return method["settings"][k]["levels"][first_level(method)]["certified_accuracy"][norm]


def _area(name: str, method: MethodTable, k: int, norm: str) -> Area:
    setting = method["settings"][k]
    level = setting["levels"][first_level(method)]
    return {
        "method": name,
        "setting": setting["setting"],
        "area": level["area"][norm],
        "converted": level["converted"][norm],
        "guarantee": level["guarantee"],
    }


def _areas(name: str, method: MethodTable, norm: str) -> list[Area]:
    return [_area(name, method, k, norm) for k in _usable(method)]


def _against(ours: CurveTable, method: MethodTable, norm: str) -> Against:
    usable = list(_usable(method))
    curves = [_curve(method, k, norm) for k in usable]
    level = method["settings"][usable[0]]["levels"][first_level(method)]
    found: Against = {
        "converted": level["converted"][norm],
        "best": compare_curves(ours, _curve(method, best_index(method, norm), norm)),
    }
    if len(usable) == 1:
        return found
    envelope: CurveTable = {
        "radius": curves[0]["radius"],
        "accuracy": np.max([curve["accuracy"] for curve in curves], axis=0),
        "low": np.max([curve["low"] for curve in curves], axis=0),
        "high": np.max([curve["high"] for curve in curves], axis=0),
    }
    return {
        **found,
        "any_setting": compare_curves(ours, envelope),
        "settings": [
            {"setting": method["settings"][k]["setting"], **compare_curves(ours, curve)}
            for k, curve in zip(usable, curves, strict=True)
        ],
    }


def _telling(curves: list[CurveTable], radius: NDArray[np.float64]) -> list[float]:
    """Round radii up to which 90 %, 50 % and 10 % of what the best curves start with is left."""
    best = np.max([np.asarray(curve["accuracy"]) for curve in curves], axis=0)
    reached = [radius[best >= share * best[0]] for share in TELLING_SHARES if best[0] > 0]
    found = {round_down(float(r.max())) for r in reached if len(r)}
    return sorted(found - {0.0})


def _leaders(
    names: list[str], curves: Mapping[str, CurveTable], radius: NDArray[np.float64]
) -> list[Leaders]:
    """Stretches of radii with the same methods in the lead, where anything is certified at all."""
    accuracy = np.array([curves[name]["accuracy"] for name in names])
    top = accuracy.max(axis=0)
    leads = [
        tuple(np.flatnonzero(column == best)) for column, best in zip(accuracy.T, top, strict=True)
    ]
    found: list[Leaders] = []
    for set_of in dict.fromkeys(leads):
        mask = np.array([lead == set_of for lead in leads]) & (top > 0)
        found += [
            {"from": first, "to": last, "methods": [names[i] for i in set_of]}
            for first, last in stretches(mask, radius)
        ]
    return sorted(found, key=lambda stretch: stretch["from"])
