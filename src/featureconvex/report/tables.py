"""The report's tables as rows of plain values, and its example cards."""

import base64
from dataclasses import dataclass

from featureconvex.certificates import LEVELS
from featureconvex.report.importance import Weight, strongest_features
from featureconvex.report.pictures import encode_png, gradient_picture, picture
from featureconvex.report.table import Table
from featureconvex.report.wording import LEVEL_NAMES, threat_text
from featureconvex.results.examples import Specimen, most_and_least
from featureconvex.results.folder import Run
from featureconvex.results.numbers import duration, percent, significant, unit_name
from featureconvex.results.radius_rows import RadiusRows
from featureconvex.results.record import seconds_by_level
from featureconvex.results.rows import sensitive
from featureconvex.results.statistics.curves import (
    average_certified_radius,
    certified_curve,
    median_radius,
)
from featureconvex.results.statistics.detection import (
    FALSE_POSITIVE_RATES,
    certified_recall,
    false_positive_rate_at,
    threshold_at,
)
from featureconvex.results.statistics.radii import telling_radii

_TABLE_EACH = 3


def median_table(run: RadiusRows, unit: str) -> Table:
    """Median radius per threat (rows) and level (columns), and the closed form's average radius."""
    levels = [x for x in LEVELS if any(c.level == x and c.unit == unit for c in run.columns)]
    body = []
    for threat in run.threats(unit):
        by_level = {c.level: c for c in run.levels(threat, unit)}
        medians = [
            significant(median_radius(run.rows, by_level[x].name)) if x in by_level else "–"
            for x in levels
        ]
        weakest = run.levels(threat, unit)[0]
        average = significant(average_certified_radius(run.rows, weakest.name))
        body.append([threat, *medians, average])
    head = ["threat", *(f"median, {LEVEL_NAMES[x]}" for x in levels), "average"]
    title = f"Norms in {unit_name('l2', unit, run.record['kind'])}"
    return Table(head, body, title)


def accuracy_table(run: RadiusRows, threat: str) -> Table:
    """Certified accuracy with its interval at a few radii, per level, in the unit shown first."""
    columns = run.levels(threat, run.unit)
    radii = [0.0, *telling_radii(run.rows, columns[0].name)]
    curves = [certified_curve(run.rows, c.name, radii) for c in columns]
    body = [
        [significant(r)]
        + [
            f"{percent(float(c.accuracy[i]))} ({percent(float(c.low[i]))} – {percent(float(c.high[i]))})"
            for c in curves
        ]
        for i, r in enumerate(radii)
    ]
    head = [f"{threat} radius", *(LEVEL_NAMES[c.level] for c in columns)]
    return Table(head, body, threat)


def recall_table(run: Run) -> Table:
    """Recall and certified recall at fixed false-positive rates, for the model's norm."""
    column = run.movable
    radii = [0.0, *telling_radii(run.rows, column.name)]
    thresholds = [threshold_at(run.rows, rate) for rate in FALSE_POSITIVE_RATES]
    table = certified_recall(run.rows, column, thresholds, radii)
    n_other = int((~sensitive(run.rows)).sum())
    body = []
    for rate, threshold, shares in zip(FALSE_POSITIVE_RATES, thresholds, table, strict=True):
        seen = round(false_positive_rate_at(run.rows, threshold) * n_other)
        body.append([percent(rate), str(seen), *(percent(float(s)) for s in shares)])
    certified = [f"{column.threat} ≥ {significant(r)}" for r in radii[1:]]
    head = ["false positives allowed", f"seen, of {n_other}", "recall", *certified]
    return Table(head, body)


def runtime_table(run: RadiusRows) -> Table:
    """Training time, and time per certificate of every level that was timed."""
    body = [["training", duration(run.record["seconds"]["train"])]]
    for level, seconds in seconds_by_level(run.record).items():
        body.append([f"certificates of one sample, {LEVEL_NAMES[level]}", duration(seconds)])
    return Table(["step", "time"], body)


def threat_lines(run: RadiusRows) -> list[tuple[str, str]]:
    """Every threat with what its radius measures."""
    kind = run.record["kind"]
    threats = dict.fromkeys(c.threat for c in run.columns)
    return [(threat, threat_text(threat, kind)) for threat in threats]


@dataclass(frozen=True)
class Card:
    """One example: its input and gradient as data addresses, or the features that matter most."""

    specimen: Specimen
    pictures: list[str]
    weights: list[Weight]


def example_groups(run: Run) -> list[tuple[str, list[Card]]]:
    """Cards of the most and the least robust examples, each group with its title."""
    most, least = most_and_least(run.rows, run.examples, run.headline)
    image = run.record["kind"] == "image"
    if not image:
        most, least = most[:_TABLE_EACH], least[:_TABLE_EACH]

    def card(specimen: Specimen) -> Card:
        shown = (picture(specimen), gradient_picture(specimen)) if image else ()
        weights = [] if image else strongest_features(specimen, run.record)
        return Card(specimen, [_address(encode_png(rgb)) for rgb in shown], weights)

    groups = (("Most robust", most), ("Least robust", least))
    return [(title, [card(one) for one in group]) for title, group in groups if group]


def _address(png: bytes) -> str:
    return "data:image/png;base64," + base64.b64encode(png).decode("ascii")
