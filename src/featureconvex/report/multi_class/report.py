"""``report.html`` and everything else that is derived from the rows and record of a run of several classes.

This module imports matplotlib and plotly; import it only where a report is made.
"""

from pathlib import Path
from typing import Any

from featureconvex.report.charts import Chart, radius_histograms, training_charts
from featureconvex.report.context import shared_context
from featureconvex.report.multi_class.charts import class_chart, confusion_chart
from featureconvex.report.multi_class.figures import FIGURES, draw_class_figures
from featureconvex.report.multi_class.tables import class_table, confusion_table
from featureconvex.report.multi_class.wording import (
    LIMITS,
    MEANING,
    ROUNDING,
    class_headline,
    class_level_text,
)
from featureconvex.report.page import publish, render
from featureconvex.report.plot_style import png_bytes
from featureconvex.report.readout import readout_data
from featureconvex.report.tables import median_table
from featureconvex.report.wording import LEVEL_NAMES
from featureconvex.results.metrics import METRICS_FILE
from featureconvex.results.multi_class.folder import ClassRun, read_class_run
from featureconvex.results.multi_class.metrics import derive_class_metrics, write_class_metrics
from featureconvex.results.multi_class.warnings import class_warnings


def write_class_report(directory: Path) -> list[Path]:
    """Rebuild ``metrics.json``, ``figures/*.png`` and ``report.html`` of a run's folder.

    Each file is replaced whole; figures the run no longer has data for are removed. Takes seconds and
    needs neither the model nor the data set.

    Returns:
        the paths written, the report last.

    Raises:
        UserError: ``rows.parquet`` or ``record.json`` is missing or damaged; nothing is changed then.
    """
    run = read_class_run(directory)
    metrics = derive_class_metrics(run)
    pictures = {name: png_bytes(figure) for name, figure in draw_class_figures(run).items()}
    page = render_class_report(run)
    write_class_metrics(metrics, directory / METRICS_FILE)
    return [directory / METRICS_FILE, *publish(directory, page, pictures, list(FIGURES))]


def render_class_report(run: ClassRun) -> str:
    """The whole page as one string of HTML: styles, scripts and data inside."""
    charts: dict[str, list[Chart]] = {
        "classes": [class_chart(run)],
        "confusion": [confusion_chart(run)],
        "histograms": radius_histograms(run.whole),
        "training": training_charts(run.record),
    }
    every = [chart for group in charts.values() for chart in group]
    readout = readout_data(run.whole, "test samples", "recognised and certified")
    data = {"readout": readout, "charts": every}
    return render("classes", _context(run, charts), data, script="report")


def _context(run: ClassRun, charts: dict[str, list[Chart]]) -> dict[str, Any]:
    compared = run.compared
    levels = dict.fromkeys(column.level for column in compared.columns)
    return {
        **shared_context(run.whole),
        "files": ("rows.parquet", "record.json"),
        "headline": class_headline(run),
        "warnings": class_warnings(run.points, run.record),
        "meaning": MEANING,
        "limits": LIMITS,
        "levels": [(LEVEL_NAMES[level], class_level_text(level)) for level in levels],
        "rounding": ROUNDING,
        "norm": run.whole.headline.threat,
        "n_compared": len(compared.rows),
        "partial": run.is_partial,
        "compared": [median_table(compared, unit) for unit in compared.units],
        "by_class": class_table(run),
        "confusion": confusion_table(run),
        "charts": charts,
    }
