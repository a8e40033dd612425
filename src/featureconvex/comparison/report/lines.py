"""The lines of a comparison's figures: which curves, and how each is told apart."""

from dataclasses import dataclass

from featureconvex.baselines.description import setting_words
from featureconvex.certificates import Guarantee
from featureconvex.comparison.metrics import REFERENCE
from featureconvex.comparison.ranking import best_index, first_level
from featureconvex.comparison.schema import ComparisonTables, MethodTable
from featureconvex.results.statistics.curves import CurveTable


@dataclass(frozen=True)
class MethodLine:
    """One certified curve.

    Attributes:
        method: its name in ``comparison.json``.
        place: of the setting among the method's settings.
        level: of certificate.
        slot: of its colour and marker.
        name: what sets it apart from the other lines of its panel.
        setting: in words, empty where there is nothing to vary.
        guarantee: of its radii.
        converted: whether its radii come from another norm.
        strong: whether it is drawn thick.
        clean_accuracy: of the classifier, in [0, 1], both classes together.
        curve: ``radius``, ``accuracy``, ``low``, ``high``, each (k,).
        median: over the flagged sensitive test points; None without any.
        area: under the curve up to the end of its axis.
        points: how many of those that count it is about, the first ones; None: all.
    """

    method: str
    place: int
    level: str
    slot: int
    name: str
    setting: str
    guarantee: Guarantee
    converted: bool
    strong: bool
    clean_accuracy: float
    curve: CurveTable
    median: float | None
    area: float
    points: int | None = None


def ran(tables: ComparisonTables) -> dict[str, MethodTable]:
    """The methods with a curve, by name."""
    return {name: m for name, m in tables["methods"].items() if m.get("best_setting")}


def norms(tables: ComparisonTables) -> list[str]:
    """The norms with a curve."""
    return list(tables["ordering"])


def method_lines(tables: ComparisonTables, norm: str) -> list[MethodLine]:
    """Every method at its best setting and first level, the largest area first."""
    slots = _slots(tables)
    lines = [
        _line(
            (name, method, best_index(method, norm), first_level(method)),
            norm,
            slots[name],
            method["title"],
            name == REFERENCE[0],
        )
        for name, method in ran(tables).items()
    ]
    return sorted(lines, key=lambda line: -line.area)


def setting_lines(tables: ComparisonTables, name: str, norm: str) -> list[MethodLine]:
    """Every setting of one method at its first level; the best one strong."""
    method = tables["methods"][name]
    level, best = first_level(method), best_index(method, norm)
    return [
        _line((name, method, k, level), norm, k, setting_words(s["setting"]), k == best)
        for k, s in enumerate(method["settings"])
        if level in s["levels"]
    ]


def level_lines(tables: ComparisonTables, name: str, norm: str) -> list[MethodLine]:
    """Every level of one method at its best setting; the first one strong."""
    method = tables["methods"][name]
    best = best_index(method, norm)
    worked = method["settings"][best]["levels"]
    return [
        _line((name, method, best, level), norm, slot, level, slot == 0)
        for slot, level in enumerate(method["levels"])
        if level in worked
    ]


def all_lines(tables: ComparisonTables, norm: str) -> list[MethodLine]:
    """Every setting at every level, method by method."""
    slots = _slots(tables)
    return [
        _line((name, method, k, level), norm, slots[name], method["title"], False)
        for name, method in ran(tables).items()
        for k, setting in enumerate(method["settings"])
        for level in setting["levels"]
    ]


def fewer_points(tables: ComparisonTables) -> set[int]:
    """How many points the lines are about that are about some of the points that count only."""
    lines = (line for norm in norms(tables) for line in all_lines(tables, norm))
    return {line.points for line in lines if line.points is not None}


def with_settings(tables: ComparisonTables) -> list[str]:
    """The methods with more than one setting."""
    return [name for name, m in ran(tables).items() if len(m["settings"]) > 1]


def with_levels(tables: ComparisonTables) -> list[str]:
    """The methods with more than one level, all of them about the same points."""
    return [
        name
        for name, m in ran(tables).items()
        if len(m["levels"]) > 1
        and not any("n_points" in level for s in m["settings"] for level in s["levels"].values())
    ]


def _slots(tables: ComparisonTables) -> dict[str, int]:
    """A method keeps its slot in every norm, and whether others ran or not."""
    return {name: slot for slot, name in enumerate(tables["methods"])}


def _line(
    source: tuple[str, MethodTable, int, str], norm: str, slot: int, name: str, strong: bool
) -> MethodLine:
    method, table, k, level = source
    setting = table["settings"][k]
    measured = setting["levels"][level]
    return MethodLine(
        method=method,
        place=k,
        level=level,
        slot=slot,
        name=name,
        setting=setting_words(setting["setting"]),
        guarantee=Guarantee(measured["guarantee"]),
        converted=measured["converted"][norm],
        strong=strong,
        clean_accuracy=setting["clean_accuracy"],
        curve=measured["certified_accuracy"][norm],
        median=measured["median_radius"][norm],
        area=measured["area"][norm],
        points=measured.get("n_points"),
    )
