"""The report's interactive charts as plain data; the page draws them with plotly.js.

A colour is a name such as ``@c1``; the page replaces it by the value of the style sheet's variable,
so that the charts follow the reader's light or dark setting.
"""

from html import escape
from typing import Any

import numpy as np

from featureconvex.report.binning import radius_bins
from featureconvex.report.operating_points import operating_points
from featureconvex.report.wording import LEVEL_NAMES
from featureconvex.results.folder import Run
from featureconvex.results.history import Series, known_series, sorted_tradeoff
from featureconvex.results.numbers import significant
from featureconvex.results.radius_rows import RadiusRows
from featureconvex.results.record import RunRecord
from featureconvex.results.statistics.curves import flagged_radii

Chart = dict[str, Any]


def radius_histograms(run: RadiusRows) -> list[Chart]:
    """One histogram of closed-form radii per threat, in the unit shown first."""
    charts = []
    for threat in run.ranges(run.unit):
        column = run.levels(threat, run.unit)[0]
        bins = radius_bins(flagged_radii(run.rows, column.name), column)
        if bins is None:
            continue
        bars = {
            "type": "bar",
            "x": bins.centres,
            "y": bins.counts,
            "width": bins.width,
            "marker": {"color": "@c1", "line": {"width": 0}},
            "hovertemplate": "about %{x:.3g}: %{y} samples<extra></extra>",
        }
        axis = f"{threat} radius, {LEVEL_NAMES[column.level]}"
        charts.append(plot(f"histogram-{threat}", [bars], axis, "test samples", note=bins.note))
    return charts


def roc_chart(run: Run) -> Chart:
    """Recall, and certified recall at up to three radii, against the false-positive rate."""
    points = operating_points(run)
    lines = [
        {
            "type": "scatter",
            "mode": "lines",
            "name": name,
            "x": points.rate,
            "y": share,
            "line": {"color": f"@c{i + 1}", "width": 2.5, "shape": "hv"},
            "hovertemplate": "%{y:.1%}",
        }
        for i, (name, share) in enumerate(points.lines.items())
    ]
    rate, recall = points.calibrated
    calibrated = {
        "type": "scatter",
        "mode": "markers",
        "name": "calibrated threshold",
        "x": [rate],
        "y": [recall],
        "marker": {"color": "@ink", "size": 10},
        "hovertemplate": "%{y:.1%}",
    }
    chart = plot(
        "roc", [*lines, calibrated], "false-positive rate (log scale)", "share of sensitive samples"
    )
    chart["layout"]["xaxis"] |= {
        "type": "log",
        "tickformat": "~%",
        "hoverformat": ".2%",
        "dtick": 1,
    }
    chart["layout"]["yaxis"] |= {"tickformat": ".0%", "range": [0, 1.02]}
    return chart | {"log_range": [float(np.log10(points.floor)), 0.0]}


def training_charts(record: RunRecord) -> list[Chart]:
    """Loss, accuracy and median radius against the epoch, as far as the history holds them."""
    charts = []
    for panel in known_series(record):
        traces = [_curve(line, f"@c{i + 1}") for i, line in enumerate(panel.series)]
        chart = plot(f"training-{panel.title.replace(' ', '-')}", traces, "epoch", panel.title)
        if panel.title == "accuracy":
            chart["layout"]["yaxis"] = {"title": {"text": "accuracy"}, "tickformat": ".3~%"}
        charts.append(chart)
    return charts


def tradeoff_chart(run: Run) -> Chart | None:
    """Validation accuracy against median radius, one point per temperature; None without a sweep."""
    points = sorted_tradeoff(run.record)
    if not points:
        return None
    trace = {
        "type": "scatter",
        "mode": "lines+markers",
        "x": [p.radius for p in points],
        "y": [p.accuracy for p in points],
        "text": [f"temperature {significant(p.temperature)}" for p in points],
        "hovertemplate": "%{text}<br>radius %{x:.3g}, accuracy %{y:.1%}<extra></extra>",
        "line": {"color": "@c1", "width": 2},
        "marker": {
            "size": [15 if p.chosen else 9 for p in points],
            "color": ["@c2" if p.chosen else "@c1" for p in points],
            "symbol": ["star" if p.chosen else "circle" for p in points],
        },
    }
    chart = plot("tradeoff", [trace], "validation median radius", "validation accuracy")
    low, high = (end(p.accuracy for p in points) for end in (min, max))
    margin = max(0.15 * (high - low), 0.005)
    chart["layout"]["yaxis"] = {
        "title": {"text": "validation accuracy"},
        "tickformat": ".3~%",
        "range": [low - margin, high + margin],
    }
    return chart


def as_label(name: str) -> str:
    """A text from outside (the name of a class, say) as plotly must get it: it reads tags and formulas.

    >>> as_label("<b>$5 or $6")
    '&lt;b&gt;&#36;5 or &#36;6'
    """
    return escape(name, quote=False).replace("$", "&#36;")


def _curve(line: Series, colour: str) -> Chart:
    return {
        "type": "scatter",
        "mode": "lines+markers" if len(line.epochs) < 3 else "lines",
        "name": line.name,
        "x": line.epochs,
        "y": line.values,
        "line": {"color": colour, "width": 2.5},
        "hovertemplate": "%{y:.4g}",
    }


def plot(name: str, traces: list[Chart], x: str, y: str, note: str = "") -> Chart:
    """Traces over two axes with titles, and a phrase below."""
    layout = {
        "xaxis": {"title": {"text": x}},
        "yaxis": {"title": {"text": y}, "rangemode": "tozero"},
        "showlegend": len(traces) > 1,
    }
    return {"id": name, "traces": traces, "layout": layout, "note": note}
