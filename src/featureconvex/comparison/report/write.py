"""``report.html`` and the figures of a comparison, rebuilt from its two files.

This module imports matplotlib and plotly; import it only where a report is made.
"""

from pathlib import Path
from typing import Any

from markupsafe import Markup

from featureconvex.comparison.folder import read_comparison, write_comparison
from featureconvex.comparison.report.class_tables import class_tables, gain_table
from featureconvex.comparison.report.costs import every_runtime_table, runtime_table
from featureconvex.comparison.report.line_data import line_data
from featureconvex.comparison.report.line_figures import draw_comparison
from featureconvex.comparison.report.line_radii import LineRadii
from featureconvex.comparison.report.line_style import COLOURS
from featureconvex.comparison.report.lines import fewer_points, norms
from featureconvex.comparison.report.method_tables import every_table, norm_table, overview_table
from featureconvex.comparison.report.origins import origins
from featureconvex.comparison.report.pairwise_tables import leaders_table, pairwise_table
from featureconvex.comparison.report.remarks import (
    failures,
    guarantees,
    literature,
    meaning,
    opening,
    unavailable,
)
from featureconvex.report.page import publish, render
from featureconvex.report.plot_style import png_bytes

OWN_TEMPLATES = Path(__file__).parent / "templates"
DRAWN = ("certified_*.png", "settings.png", "levels.png")
"""The figures that a comparison may have."""


def write_comparison_report(directory: Path) -> list[Path]:
    """Rebuild ``comparison.json``, ``figures/*.png`` and ``report.html`` of a comparison's folder.

    From ``comparison.json`` and ``rows.parquet`` alone, in seconds: neither the methods nor their
    models nor the data set are needed.

    Returns:
        The files written, the report last.

    Raises:
        UserError: one of the two files is missing, damaged, or does not fit the other.
    """
    comparison = read_comparison(directory)
    results = LineRadii(comparison, comparison.derive())
    pictures = {name: png_bytes(f) for name, f in draw_comparison(results.tables).items()}
    data = {"readout": line_data(results)}
    page = render("comparison", _context(results), data, OWN_TEMPLATES)
    return [*write_comparison(comparison, directory), *publish(directory, page, pictures, DRAWN)]


def _context(results: LineRadii) -> dict[str, Any]:
    tables = results.tables
    return {
        "about": tables,
        "opening": opening(tables),
        "origins": origins(tables),
        "meaning": meaning(tables),
        "guarantees": guarantees(tables),
        "fewer": bool(fewer_points(tables)),
        "classes": tables.get("classes", []),
        "by_class": class_tables(tables),
        "gains": gain_table(tables),
        "overview": overview_table(tables),
        "norms": [_norm(results, norm) for norm in norms(tables)],
        "runtime": runtime_table(tables),
        "every_runtime": every_runtime_table(tables),
        "literature": literature(tables),
        "failures": failures(tables),
        "unavailable": unavailable(tables),
        "palette": _palette(),
    }


def _norm(results: LineRadii, norm: str) -> dict[str, Any]:
    tables = results.tables
    return {
        "name": norm,
        "sentences": tables["ordering"][norm]["sentences"],
        "best": norm_table(results, norm),
        "every": every_table(results, norm),
        "pairwise": pairwise_table(tables, norm),
        "pairwise_every": pairwise_table(tables, norm, every_setting=True),
        "leaders": leaders_table(tables, norm),
    }


def _palette() -> Markup:
    """The lines' colours as the style sheet's variables, on light and on dark pages."""
    light, dark = (
        "".join(f"--m{slot}:{pair[side]};" for slot, pair in enumerate(COLOURS)) for side in (0, 1)
    )
    text = f":root{{{light}}}@media (prefers-color-scheme: dark){{:root{{{dark}}}}}"
    return Markup(text)
