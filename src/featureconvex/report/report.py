"""``report.html`` and everything else that is derived from a run's rows, record and examples.

This module imports matplotlib and plotly; import it only where a report is made.
"""

from pathlib import Path
from typing import Any

from featureconvex.report.attacker import attacker_section
from featureconvex.report.charts import (
    Chart,
    radius_histograms,
    roc_chart,
    tradeoff_chart,
    training_charts,
)
from featureconvex.report.context import shared_context
from featureconvex.report.figures import FIGURES, draw_figures
from featureconvex.report.importance import step_name
from featureconvex.report.page import publish, render
from featureconvex.report.plot_style import png_bytes
from featureconvex.report.readout import readout_data
from featureconvex.report.tables import (
    example_groups,
    recall_table,
)
from featureconvex.report.wording import (
    LEVEL_NAMES,
    LIMITS,
    MEANING,
    calibration_text,
    headline,
    level_text,
)
from featureconvex.results.folder import Run, read_run
from featureconvex.results.metrics import METRICS_FILE, derive_metrics, write_metrics
from featureconvex.results.statistics.detection import area_under_curve, confusion
from featureconvex.results.warnings import run_warnings


def write_report(directory: Path) -> list[Path]:
    """Rebuild ``metrics.json``, ``figures/*.png`` and ``report.html`` of a run's folder.

    Each file is replaced whole; figures the run no longer has data for are removed. Takes seconds and
    needs neither the model nor the data set.

    Returns:
        the paths written, the report last.

    Raises:
        UserError: ``rows.parquet``, ``record.json`` or ``examples.npz`` is missing, damaged, or does
            not fit the others; nothing is changed then.
    """
    run = read_run(directory)
    metrics = derive_metrics(run.rows, run.record)
    pictures = {name: png_bytes(figure) for name, figure in draw_figures(run).items()}
    page = render_report(run)
    write_metrics(metrics, directory / METRICS_FILE)
    return [directory / METRICS_FILE, *publish(directory, page, pictures, list(FIGURES))]


def render_report(run: Run) -> str:
    """The whole page as one string of HTML: styles, scripts, data and pictures inside."""
    charts = _charts(run)
    every = [chart for group in charts.values() for chart in group]
    return render("report", _context(run, charts), {"readout": readout_data(run), "charts": every})


def _charts(run: Run) -> dict[str, list[Chart]]:
    return {
        "roc": [roc_chart(run)],
        "histograms": radius_histograms(run),
        "training": training_charts(run.record),
        "tradeoff": [chart for chart in [tradeoff_chart(run)] if chart is not None],
    }


def _context(run: Run, charts: dict[str, list[Chart]]) -> dict[str, Any]:
    levels = dict.fromkeys(c.level for c in run.columns)
    return {
        **shared_context(run),
        "files": ("rows.parquet", "record.json", "examples.npz"),
        "headline": headline(run),
        "attacker": None if run.review is None else attacker_section(run.review, run),
        "warnings": run_warnings(run.rows, run.record),
        "calibration": calibration_text(run.record),
        "meaning": MEANING,
        "limits": LIMITS,
        "levels": [(LEVEL_NAMES[level], level_text(level, run.record["kind"])) for level in levels],
        "recall": recall_table(run),
        "counts": confusion(run.rows),
        "auc": area_under_curve(run.rows),
        "examples": example_groups(run),
        "example_norm": run.headline.threat,
        "step_name": step_name(run.record),
        "charts": charts,
    }
