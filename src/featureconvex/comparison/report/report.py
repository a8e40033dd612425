"""``report.html`` and the figures of a comparison, rebuilt from its two files.

This module imports matplotlib and plotly; import it only where a report is made.
"""

from pathlib import Path
from typing import Any

from markupsafe import Markup

from featureconvex.comparison.folder import read_comparison, write_comparison
from featureconvex.comparison.report.costs import every_runtime_table, runtime_table
from featureconvex.comparison.report.figures import draw_comparison
from featureconvex.comparison.report.lines import norms
from featureconvex.comparison.report.origins import origins
from featureconvex.comparison.report.pairwise_tables import contest_table, leaders_table
from featureconvex.comparison.report.plot_style import COLOURS
from featureconvex.comparison.report.readout import readout_data
from featureconvex.comparison.report.results import Results
from featureconvex.comparison.report.tables import every_table, norm_table, overview_table
from featureconvex.comparison.report.wording import (
    MEANING,
    failures,
    guarantees,
    literature,
    opening,
    unavailable,
)
from featureconvex.files import write_bytes, write_text
from featureconvex.report.figures import png_bytes
from featureconvex.report.page import TEMPLATES, environment, inline, plotly_script
from featureconvex.report.report import FIGURES_FOLDER, REPORT_FILE
from featureconvex.results.strict_json import jsonable

OWN_TEMPLATES = Path(__file__).parent / "templates"
DRAWN = ("certified_*.png", "settings.png", "levels.png")
"""The figures this module may have written: those without data any more are removed."""


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
    results = Results(comparison, comparison.derive())
    pictures = {name: png_bytes(f) for name, f in draw_comparison(results.tables).items()}
    page = render_comparison(results)
    written = write_comparison(comparison, directory)
    figures = directory / FIGURES_FOLDER
    for stale in (path for pattern in DRAWN for path in figures.glob(pattern)):
        if stale.name not in pictures:
            stale.unlink()
    for name, content in pictures.items():
        write_bytes(figures / name, content)
        written.append(figures / name)
    write_text(directory / REPORT_FILE, page)
    return [*written, directory / REPORT_FILE]


def render_comparison(results: Results) -> str:
    """The whole page as one string of HTML: styles, scripts and data inside."""
    template = environment([OWN_TEMPLATES]).get_template("comparison.html.j2")
    return template.render(**_context(results))


def _context(results: Results) -> dict[str, Any]:
    tables = results.tables
    scripts = (TEMPLATES / "charts.js", OWN_TEMPLATES / "comparison.js")
    return {
        "about": tables,
        "opening": opening(tables),
        "origins": origins(tables),
        "meaning": MEANING,
        "guarantees": guarantees(tables),
        "overview": overview_table(tables),
        "norms": [_norm(results, norm) for norm in norms(tables)],
        "runtime": runtime_table(tables),
        "every_runtime": every_runtime_table(tables),
        "literature": literature(tables),
        "failures": failures(tables),
        "unavailable": unavailable(tables),
        "style": inline(TEMPLATES / "report.css", OWN_TEMPLATES / "comparison.css"),
        "palette": _palette(),
        "script": inline(*scripts),
        "plotly": plotly_script(),
        "data": jsonable({"readout": readout_data(results)}),
    }


def _norm(results: Results, norm: str) -> dict[str, Any]:
    tables = results.tables
    return {
        "name": norm,
        "sentences": tables["ordering"][norm]["sentences"],
        "best": norm_table(results, norm),
        "every": every_table(results, norm),
        "contests": contest_table(tables, norm),
        "contests_every": contest_table(tables, norm, every_setting=True),
        "leaders": leaders_table(tables, norm),
    }


def _palette() -> Markup:
    """The lines' colours as the style sheet's variables, on light and on dark pages."""
    light, dark = (
        "".join(f"--m{slot}:{pair[side]};" for slot, pair in enumerate(COLOURS)) for side in (0, 1)
    )
    text = f":root{{{light}}}@media (prefers-color-scheme: dark){{:root{{{dark}}}}}"
    return Markup(text)
