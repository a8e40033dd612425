"""The interactive charts of classes, as plain data."""

import numpy as np

from featureconvex.report.charts import Chart, as_label, plot
from featureconvex.report.multi_class.quantiles import radii_of_classes
from featureconvex.results.multi_class.counts import class_counts
from featureconvex.results.multi_class.folder import ClassRun
from featureconvex.results.numbers import percent, unit_name

MOST_NUMBERS = 20
"""Classes of a matrix whose counts are written into it."""


def class_chart(run: ClassRun) -> Chart:
    """A box per class: the radii of those recognised, in the norm of the headline."""
    column = run.whole.headline
    boxes = radii_of_classes(run, column)
    trace = {
        "type": "box",
        "orientation": "h",
        "y": [as_label(box.name) for box in boxes],
        "lowerfence": [box.levels[0] for box in boxes],
        "q1": [box.levels[1] for box in boxes],
        "median": [box.levels[2] for box in boxes],
        "q3": [box.levels[3] for box in boxes],
        "upperfence": [box.levels[4] for box in boxes],
        "marker": {"color": "@c1"},
        "line": {"width": 1.5},
        "hoverinfo": "x",
    }
    unit = unit_name(column.threat, column.unit, run.record["kind"])
    chart = plot("classes", [trace], f"{column.threat} radius ({unit})", "")
    chart["layout"]["yaxis"] = {
        "type": "category",
        "autorange": "reversed",
        "automargin": True,
        "title": {"text": ""},
    }
    chart["layout"]["xaxis"] |= {"rangemode": "tozero"}
    chart["layout"]["height"] = _height(len(boxes))
    return chart


def confusion_chart(run: ClassRun) -> Chart:
    """Counts, shaded by the share of the true class, which appears under the pointer."""
    counts = class_counts(run.points, run.classes)
    share = counts.table / np.maximum(counts.sizes, 1)[:, None]
    shares = [
        [f"{n} of {size}: {percent(float(s))}" for n, s in zip(row, parts, strict=True)]
        for row, parts, size in zip(counts.table, share, counts.sizes, strict=True)
    ]
    names = [as_label(name) for name in run.classes]
    trace = {
        "type": "heatmap",
        "x": names,
        "y": names,
        "z": share,
        "text": [[str(n) if n else "" for n in row] for row in counts.table.tolist()],
        "texttemplate": "%{text}" if len(run.classes) <= MOST_NUMBERS else "",
        "customdata": shares,
        "hovertemplate": "%{y} taken for %{x}: %{customdata}<extra></extra>",
        "colorscale": [[0.0, "@card"], [1.0, "@c1"]],
        "zmin": 0,
        "zmax": 1,
        "showscale": False,
        "xgap": 1,
        "ygap": 1,
    }
    chart = plot("confusion", [trace], "taken for", "true class")
    chart["layout"]["xaxis"] |= {"type": "category", "showgrid": False}
    chart["layout"]["yaxis"] = {
        "type": "category",
        "autorange": "reversed",
        "showgrid": False,
        "title": {"text": "true class"},
    }
    chart["layout"]["height"] = _height(len(run.classes))
    return chart


def _height(classes: int) -> int:
    """Pixels for a line per class."""
    return max(260, 90 + 24 * classes)
