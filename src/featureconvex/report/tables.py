"""The report's tables as rows of plain values, and its example cards."""

import base64
from typing import Any

from featureconvex.report.importance import strongest_features
from featureconvex.report.pictures import encode_png, gradient_picture, picture
from featureconvex.report.wording import LEVEL_NAMES, threat_text
from featureconvex.results.columns import LEVELS
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
from featureconvex.results.rows import sensitive

Table = dict[str, Any]
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
    return {"title": title, "head": head, "body": body}


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
    return {"title": threat, "head": head, "body": body}


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
    return {"title": "", "head": head, "body": body}


def runtime_table(run: Run) -> Table:
    """Training time, and time per certificate of every level that was timed."""
    seconds = run.record["seconds"]
    names = {"train": "training", "certify_per_sample": "certificates of one sample, closed form"}
    body = [[name, duration(seconds[key])] for key, name in names.items()]
    for key, value in seconds.items():
        if key not in names and key.startswith("certify_per_sample_"):
            label = key.removeprefix("certify_per_sample_").replace("_", " ")
            body.append([f"certificate of one sample, {label}", duration(float(value))])
    return {"title": "", "head": ["step", "time"], "body": body}


def threat_lines(run: Run) -> list[tuple[str, str]]:
    """Every threat with what its radius measures."""
    kind = run.record["kind"]
    threats = dict.fromkeys(c.threat for c in run.columns)
    return [(threat, threat_text(threat, kind)) for threat in threats]


def example_groups(run: Run) -> list[Table]:
    """Cards of the most and the least robust examples; pictures as data addresses."""
    most, least = most_and_least(run.rows, run.examples, run.headline)
    if run.record["kind"] == "table":
        most, least = most[:_TABLE_EACH], least[:_TABLE_EACH]
    groups = (("Most robust", most), ("Least robust", least))
    return [{"title": t, "cards": [_card(run, s) for s in group]} for t, group in groups if group]


def _card(run: Run, specimen: Specimen) -> Table:
    card: Table = {"place": specimen.place, "radius": significant(specimen.radius)}
    if run.record["kind"] == "image":
        pictures = (picture(specimen), gradient_picture(specimen))
        card["pictures"] = [_address(encode_png(rgb)) for rgb in pictures]
        return card
    weights = strongest_features(specimen, run.record)
    largest = max((abs(w.pull) for w in weights), default=1.0)
    card["weights"] = [
        {
            "feature": w.feature,
            "value": significant(w.value),
            "pull": f"{w.pull:+.3g}",
            "share": f"{100 * abs(w.pull) / largest:.1f}",
            "up": w.pull > 0,
        }
        for w in weights
    ]
    return card


def _address(png: bytes) -> str:
    return "data:image/png;base64," + base64.b64encode(png).decode("ascii")
