"""``report.html`` and everything else that is derived from a run's rows, record and examples.

This module imports matplotlib and plotly; import it only where a report is made.
"""

from pathlib import Path
from typing import Any

from featureconvex.files import replacing
from featureconvex.report.charts import (
    radius_histograms,
    roc_chart,
    tradeoff_chart,
    training_charts,
)
from featureconvex.report.figures import FIGURES, draw_figures, png_bytes
from featureconvex.report.importance import step_name
from featureconvex.report.page import TEMPLATES, environment, inline, plotly_script
from featureconvex.report.readout import readout_data
from featureconvex.report.tables import (
    accuracy_table,
    example_groups,
    median_table,
    recall_table,
    runtime_table,
    threat_lines,
)
from featureconvex.report.wording import (
    LEVEL_NAMES,
    LIMITS,
    MEANING,
    calibration_text,
    headline,
    level_text,
    unavailable_texts,
)
from featureconvex.results.detection import area_under_curve, confusion
from featureconvex.results.folder import Run, read_run
from featureconvex.results.metrics import METRICS_FILE, derive_metrics, write_metrics
from featureconvex.results.numbers import unit_name
from featureconvex.results.strict_json import jsonable
from featureconvex.results.warnings import run_warnings

REPORT_FILE = "report.html"
FIGURES_FOLDER = "figures"


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
    directory = Path(directory)
    run = read_run(directory)
    metrics = derive_metrics(run.rows, run.record)
    pictures = {name: png_bytes(figure) for name, figure in draw_figures(run).items()}
    page = render_report(run)

    write_metrics(metrics, directory / METRICS_FILE)
    written = [directory / METRICS_FILE]
    for name in FIGURES:
        path = directory / FIGURES_FOLDER / name
        if name not in pictures:
            path.unlink(missing_ok=True)
            continue
        with replacing(path) as temporary:
            temporary.write_bytes(pictures[name])
        written.append(path)
    with replacing(directory / REPORT_FILE) as temporary:
        temporary.write_text(page, encoding="utf-8")
    return [*written, directory / REPORT_FILE]


def render_report(run: Run) -> str:
    """The whole page as one string of HTML: styles, scripts, data and pictures inside."""
    template = environment().get_template("report.html.j2")
    return template.render(**_context(run))


def _context(run: Run) -> dict[str, Any]:
    charts = {
        "roc": [roc_chart(run)],
        "histograms": radius_histograms(run),
        "training": training_charts(run),
        "tradeoff": [chart for chart in [tradeoff_chart(run)] if chart is not None],
    }
    every_chart = [chart for group in charts.values() for chart in group]
    levels = dict.fromkeys(c.level for c in run.columns)
    return {
        "record": run.record,
        "n_test": len(run.rows),
        "headline": headline(run),
        "warnings": run_warnings(run.rows, run.record),
        "calibration": calibration_text(run.record),
        "meaning": MEANING,
        "limits": LIMITS,
        "levels": [(LEVEL_NAMES[level], level_text(level, run.record["kind"])) for level in levels],
        "unavailable": unavailable_texts(run.record),
        "threats": threat_lines(run),
        "medians": [median_table(run, unit) for unit in run.units],
        "units": [unit_name("l2", unit, run.record["kind"]) for unit in run.units],
        "accuracy": [accuracy_table(run, threat) for threat in run.threats(run.unit)],
        "recall": recall_table(run),
        "runtime": runtime_table(run),
        "counts": confusion(run.rows),
        "auc": area_under_curve(run.rows),
        "statuses": run.rows["status"].value_counts().to_dict(),
        "examples": example_groups(run),
        "example_norm": run.headline.threat,
        "step_name": step_name(run.record),
        "charts": charts,
        "script": inline(TEMPLATES / "charts.js", TEMPLATES / "report.js"),
        "style": inline(TEMPLATES / "report.css"),
        "plotly": plotly_script(),
        "data": jsonable({"readout": readout_data(run), "charts": every_chart}),
    }
