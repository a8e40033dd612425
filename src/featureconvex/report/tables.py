"""The report's tables as rows of plain values, and its example cards."""

import base64
from dataclasses import dataclass

from featureconvex.certificates import LEVELS
from featureconvex.report.importance import strongest_features
from featureconvex.report.pictures import encode_png, gradient_picture, picture
from featureconvex.report.table import Table
from featureconvex.report.wording import LEVEL_NAMES, threat_text
from featureconvex.results.curves import (
    average_certified_radius,
    certified_curve,
    median_radius,
)
from featureconvex.results.detection import (
    FALSE_POSITIVE_RATES,
    certified_recall,
    false_positive_rate_at,
    threshold_at,
)
from featureconvex.results.examples import Specimen, most_and_least
from featureconvex.results.folder import Run
from featureconvex.results.metrics import telling_radii
from featureconvex.results.numbers import duration, percent, significant, unit_name
from featureconvex.results.record import seconds_by_level
from featureconvex.results.rows import sensitive

_TABLE_EACH = 3


def median_table(run: Run, unit: str) -> Table:
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


def accuracy_table(run: Run, threat: str) -> Table:
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


def runtime_table(run: Run) -> Table:
    """Training time, and time per certificate of every level that was timed."""
    body = [["training", duration(run.record["seconds"]["train"])]]
    for level, seconds in seconds_by_level(run.record).items():
        body.append([f"certificates of one sample, {LEVEL_NAMES[level]}", duration(seconds)])
    return Table(["step", "time"], body)


def threat_lines(run: Run) -> list[tuple[str, str]]:
    """Every threat with what its radius measures."""
    kind = run.record["kind"]
    threats = dict.fromkeys(c.threat for c in run.columns)
    return [(threat, threat_text(threat, kind)) for threat in threats]


@dataclass(frozen=True)
class Bar:
    """One feature of a table's card, its value and its pull on the score."""

    feature: str
    value: str
    pull: str
    share: str
    up: bool


@dataclass(frozen=True)
class Card:
    """One example: two pictures as data addresses, or a bar per feature."""

    place: str
    radius: str
    pictures: list[str]
    bars: list[Bar]


@dataclass(frozen=True)
class CardGroup:
    """Examples under one title."""

    title: str
    cards: list[Card]


def example_groups(run: Run) -> list[CardGroup]:
    """Cards of the most and the least robust examples; pictures as data addresses."""
    most, least = most_and_least(run.rows, run.examples, run.headline)
    if run.record["kind"] == "table":
        most, least = most[:_TABLE_EACH], least[:_TABLE_EACH]
    groups = (("Most robust", most), ("Least robust", least))
    return [CardGroup(t, [_card(run, s) for s in group]) for t, group in groups if group]


def _card(run: Run, specimen: Specimen) -> Card:
    radius = significant(specimen.radius)
    if run.record["kind"] == "image":
        pictures = (picture(specimen), gradient_picture(specimen))
        return Card(specimen.place, radius, [_address(encode_png(rgb)) for rgb in pictures], [])
    weights = strongest_features(specimen, run.record)
    largest = max((abs(w.pull) for w in weights), default=1.0)
    bars = [
        Bar(
            feature=w.feature,
            value=significant(w.value),
            pull=f"{w.pull:+.3g}",
            share=f"{100 * abs(w.pull) / largest:.1f}",
            up=w.pull > 0,
        )
        for w in weights
    ]
    return Card(specimen.place, radius, [], bars)


def _address(png: bytes) -> str:
    return "data:image/png;base64," + base64.b64encode(png).decode("ascii")
