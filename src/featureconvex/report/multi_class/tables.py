"""The report's tables of classes."""

from featureconvex.report.table import Table
from featureconvex.results.columns import RadiusColumn
from featureconvex.results.multi_class.counts import class_counts
from featureconvex.results.multi_class.folder import ClassRun
from featureconvex.results.multi_class.metrics import nearest_rival
from featureconvex.results.numbers import percent, significant
from featureconvex.results.statistics.curves import median_radius

MOST_COLUMNS = 30
"""Classes of a confusion matrix that is shown whole."""
MOST_PAIRS = 15
"""Mistakes that are listed where it is not."""


def class_table(run: ClassRun) -> Table:
    """A row per class: how many are recognised, how far they are from others, and from which."""
    whole = run.whole
    columns = [RadiusColumn(threat, unit=whole.unit) for threat in whole.ranges(whole.unit)]
    counts = class_counts(run.points, run.classes)
    body = []
    for number, name in enumerate(run.classes):
        seen = run.of_class(name)
        radii = [significant(median_radius(seen.rows, column.name)) for column in columns]
        hit = f"{percent(float(counts.by_class[number]))} of {int(counts.sizes[number])}"
        body.append([name, hit, *radii, nearest_rival(seen, whole.headline) or "–"])
    medians = [f"median {column.threat}" for column in columns]
    return Table(["class", "recognised", *medians, "most often nearest to"], body)


def confusion_table(run: ClassRun) -> Table:
    """True classes down, predicted ones across; of many classes the most frequent mistakes."""
    counts = class_counts(run.points, run.classes)
    if len(run.classes) <= MOST_COLUMNS:
        body = [
            [name, *(str(n) for n in row)]
            for name, row in zip(run.classes, counts.table.tolist(), strict=True)
        ]
        return Table(["true class, taken for", *run.classes], body)
    mistakes = [
        (int(counts.table[i, j]), i, j)
        for i in range(len(run.classes))
        for j in range(len(run.classes))
        if i != j and counts.table[i, j]
    ]
    worst = sorted(mistakes, key=lambda one: (-one[0], one[1:]))[:MOST_PAIRS]
    lines = [[run.classes[i], run.classes[j], str(n)] for n, i, j in worst]
    return Table(["true class", "taken for", "test samples"], lines)
