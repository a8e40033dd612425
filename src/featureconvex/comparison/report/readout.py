"""The data behind the page's curves: every radius, so that the page reads off exact shares."""

from typing import Any

import numpy as np

from featureconvex.comparison.report.lines import (
    Line,
    level_lines,
    method_lines,
    norms,
    setting_lines,
    with_levels,
    with_settings,
)
from featureconvex.comparison.report.plot_style import filled, marker, style
from featureconvex.comparison.report.results import Results
from featureconvex.results.intervals import clopper_pearson

Table = dict[str, Any]
METHODS_KEY = "methods"


def readout_data(results: Results) -> Table:
    """Per norm and per group of lines, each line's radii and look; and the interval of every count.

    ``low[k]`` and ``high[k]`` are the ends of the exact 95 % interval for k of the ``n`` sensitive
    points. Groups: every method at its best setting; one method's settings; one method's levels.
    """
    tables = results.tables
    n = int(tables["n_sensitive"])
    low, high = clopper_pearson(np.arange(n + 1), n)
    return {
        "n": n,
        "low": low.round(6),
        "high": high.round(6),
        "unit": tables["unit"],
        "groups": _groups(tables),
        "norms": [_norm(results, norm) for norm in norms(tables)],
    }


def _groups(tables: Table) -> list[dict[str, str]]:
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


def _norm(results: Results, norm: str) -> Table:
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


def _line(results: Results, line: Line, norm: str) -> Table:
    radii = results.radii(line, norm)
    finite = radii[np.isfinite(radii)]
    kind = style(line.guarantee, line.converted)
    symbol = marker(line.slot).plotly
    return {
        "name": line.name,
        "setting": "" if line.setting == line.name else line.setting,
        "kind": str(line.guarantee) + (", converted" if line.converted else ""),
        "clean": line.clean_accuracy,
        "slot": line.slot,
        "strong": line.strong,
        "dash": kind.plotly,
        "symbol": symbol if filled(line.guarantee) else f"{symbol}-open",
        "radii": finite,
        "infinite": len(radii) - len(finite),
    }
