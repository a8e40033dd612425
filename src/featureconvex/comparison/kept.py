"""A comparison together with settings of an earlier one, of which only ``comparison.json`` is left.

The earlier file has every curve as counts of certified points on its grids. They are exact there, so the
new settings are put on the same grids, continued in their own steps where every kept curve has ended.
"""

from collections.abc import Mapping
from typing import Any, cast

import numpy as np

from featureconvex.baselines.description import MethodFacts, setting_words
from featureconvex.baselines.method import Setting
from featureconvex.comparison.curves import COUNTS, GRIDS, restored
from featureconvex.comparison.folder import Comparison
from featureconvex.comparison.metrics import (
    Grids,
    MeasuredMethod,
    derive_comparison,
    tables_of,
)
from featureconvex.comparison.schema import (
    ComparisonTables,
    MethodTable,
    SettingTable,
    counted_points,
)
from featureconvex.errors import UserError
from featureconvex.results.statistics.curves import Floats

SAME = ("task", "shape", "n_fitting", "n_validation", "n_test", "samples", "seed", "data")
"""What two comparisons share if their settings stand side by side."""


def with_kept(
    comparison: Comparison, earlier: Mapping[str, Any], digest_of_first: str | None = None
) -> ComparisonTables:
    """The numbers of ``comparison``, and of the settings of ``earlier`` that it does not have.

    Every setting keeps its provenance, so that tables can say what comes from which command. Methods stand
    in the order of ``earlier``.

    Args:
        comparison: with rows.
        earlier: a ``comparison.json``.
        digest_of_first: where it has fewer test points, the digest of this comparison's data with as many;
            its settings are then about the first points, and say so.

    Raises:
        UserError: they are not about the same points.
    """
    wanted: dict[str, Any] = {**comparison.head}
    fewer = digest_of_first is not None and earlier["n_test"] < wanted["n_test"]
    if fewer:
        wanted |= {"n_test": earlier["n_test"], "data": digest_of_first}
    different = [key for key in SAME if earlier.get(key) != wanted.get(key)]
    if different:
        raise UserError(
            f"the earlier comparison has another {', '.join(different)}; run all its methods again"
        )
    own = comparison.derive()
    kept = {
        name: _missing(method, own["methods"].get(name))
        for name, method in earlier["methods"].items()
    }
    grids = {
        norm: _continued(np.asarray(grid), norm, kept, _end(own, norm))
        for norm, grid in earlier[GRIDS].items()
    }
    new = derive_comparison(comparison.results, comparison.dimension, comparison.head, grids)
    before = {
        name: {**method, "settings": [_padded(setting, grids) for setting in kept[name]]}
        for name, method in earlier["methods"].items()
    }
    old = restored({**earlier, GRIDS: grids, "methods": before})["methods"]
    if fewer:
        _say_how_many(old, counted_points(earlier))
    order = [
        setting["setting"]
        for method in earlier["methods"].values()
        for setting in method.get("settings", [])
    ]
    measured = {
        name: _joined(old.get(name), new["methods"].get(name), order)
        for name in dict.fromkeys((*earlier["methods"], *own["methods"]))
    }
    return tables_of(measured, comparison.head)


def _say_how_many(methods: Mapping[str, MethodTable], points: int) -> None:
    for method in methods.values():
        for setting in method.get("settings", []):
            for level in setting["levels"].values():
                level.setdefault("n_points", points)


def _missing(method: Mapping[str, Any], fresh: MethodTable | None) -> list[dict[str, Any]]:
    """The settings of a method that were not run again."""
    again: list[Setting] = []
    if fresh is not None:
        again = [one["setting"] for one in (*fresh.get("settings", []), *fresh.get("failed", []))]
    return [s for s in method.get("settings", []) if s["setting"] not in again]


def _end(tables: ComparisonTables, norm: str) -> float:
    """Where the grid of a comparison by itself ends."""
    for method in tables["methods"].values():
        for setting in method.get("settings", []):
            for level in setting["levels"].values():
                return float(np.asarray(level["certified_accuracy"][norm]["radius"])[-1])
    return 0.0


def _continued(
    grid: Floats, norm: str, kept: Mapping[str, list[dict[str, Any]]], end: float
) -> Floats:
    """The grid up to ``end``, if all kept curves are 0 where it ended before."""
    last = [
        level[COUNTS][norm][-1]
        for settings in kept.values()
        for setting in settings
        for level in setting["levels"].values()
    ]
    if any(last) or end <= grid[-1]:
        return grid
    steps = int(np.ceil(end / grid[1] - 1e-9))
    longer = [float(f"{k * grid[1]:.9g}") for k in range(len(grid), steps + 1)]
    return np.concatenate((grid, longer))


def _padded(setting: Mapping[str, Any], grids: Grids) -> dict[str, Any]:
    """A kept setting with zeros after the end of its curves."""
    levels = {
        name: {
            **level,
            COUNTS: {
                norm: [*counts, *[0] * (len(grids[norm]) - len(counts))]
                for norm, counts in level[COUNTS].items()
            },
        }
        for name, level in setting["levels"].items()
    }
    return {**setting, "levels": levels}


def _joined(
    old: MethodTable | None, new: MethodTable | None, order: list[Setting]
) -> MeasuredMethod:
    """The facts of the later one, and the settings of both, in an order, what is not in it last."""
    both = [method for method in (old, new) if method is not None]
    settings = [setting for method in both for setting in method.get("settings", [])]
    # Of a setting that failed and ran since, or failed twice, what came last counts.
    ran = [setting["setting"] for setting in settings]
    latest = {
        setting_words(failure["setting"]): failure
        for method in both
        for failure in method.get("failed", [])
        if failure["setting"] not in ran
    }
    failed = list(latest.values())

    def place(setting: SettingTable) -> int:
        return order.index(setting["setting"]) if setting["setting"] in order else len(order)

    facts = {name: both[-1][name] for name in MethodFacts.__annotations__}  # type: ignore[literal-required]
    return MeasuredMethod(cast("MethodFacts", facts), sorted(settings, key=place), failed)
