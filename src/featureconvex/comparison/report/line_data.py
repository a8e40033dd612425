"""The data behind the page's curves: every radius of every line, and how the line is drawn."""

from typing import Any

from featureconvex.comparison.report.line_radii import LineRadii
from featureconvex.comparison.report.line_style import filled, marker, style
from featureconvex.comparison.report.lines import (
    MethodLine,
    fewer_points,
    level_lines,
    method_lines,
    norms,
    setting_lines,
    with_levels,
    with_settings,
)
from featureconvex.comparison.report.words import counted_words, points_words
from featureconvex.comparison.schema import ComparisonTables, counted_points
from featureconvex.report.readout import counted_radii, interval_of_counts

METHODS_KEY = "methods"


def line_data(results: LineRadii) -> dict[str, Any]:
    """Per norm and per group of lines, each line's radii and look; and the interval of every count.

    Groups: every method at its best setting; one method's settings; one method's levels. ``fewer`` has the
    intervals of lines that are about some of the points only, by how many.
    """
    tables = results.tables
    return {
        **interval_of_counts(counted_points(tables)),
        "fewer": {str(n): interval_of_counts(n) for n in fewer_points(tables)},
        "points": points_words(tables),
        "counted": counted_words(tables),
        "unit": tables["unit"],
        "groups": _groups(tables),
        "norms": [_norm(results, norm) for norm in norms(tables)],
    }


def _groups(tables: ComparisonTables) -> list[dict[str, str]]:
    title = {name: method["title"] for name, method in tables["methods"].items()}
    return [
        {"key": METHODS_KEY, "name": "every method at its best setting"},
        *(
            {"key": f"settings:{name}", "name": f"{title[name]}: every setting"}
            for name in with_settings(tables)
        ),
        *(
            {"key": f"levels:{name}", "name": f"{title[name]}: every level"}
            for name in with_levels(tables)
        ),
    ]


def _norm(results: LineRadii, norm: str) -> dict[str, Any]:
    tables = results.tables
    found = tables["ordering"][norm]
    lines = {METHODS_KEY: method_lines(tables, norm)}
    for name in with_settings(tables):
        lines[f"settings:{name}"] = setting_lines(tables, name, norm)
    for name in with_levels(tables):
        lines[f"levels:{name}"] = level_lines(tables, name, norm)
    radii = found["radii"] or [found["up_to"] / 2]
    return {
        "key": norm,
        "top": found["up_to"],
        "begin": radii[len(radii) // 2],
        "lines": {
            key: [_line(results, line, norm) for line in group] for key, group in lines.items()
        },
    }


def _line(results: LineRadii, line: MethodLine, norm: str) -> dict[str, Any]:
    kind = style(line.guarantee, line.converted)
    symbol = marker(line.slot).plotly
    return {
        "name": line.name,
        "setting": "" if line.setting == line.name else line.setting,
        "points": line.points,
        "kind": str(line.guarantee) + (", converted" if line.converted else ""),
        "clean": line.clean_accuracy,
        "slot": line.slot,
        "strong": line.strong,
        "dash": kind.plotly,
        "symbol": symbol if filled(line.guarantee) else f"{symbol}-open",
        **counted_radii(results.radii(line, norm)),
    }
