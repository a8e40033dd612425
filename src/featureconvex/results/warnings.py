"""What a reader must know before any number of a run: where the numbers promise more than they can."""

import pandas as pd
from scipy.stats import norm

from featureconvex.results.numbers import percent
from featureconvex.results.record import Record
from featureconvex.results.rows import sensitive
from featureconvex.results.statistics.detection import area_under_curve, confusion
from featureconvex.results.statistics.intervals import CONFIDENCE, clopper_pearson

FEW = 20
"""Below this many test samples of a class, its rates are hardly known."""


def run_warnings(rows: pd.DataFrame, record: Record) -> list[str]:
    """One sentence per reason for doubt, the most serious first; none for a sound run."""
    return [*_chance(rows), *_tiny(rows, record), *(record.get("data_warnings") or [])]


def chance_level(rows: pd.DataFrame) -> float:
    """The area under the ROC curve that random scores exceed in 2.5 % of all test sets of this size; as
    often they stay below one minus it.

    Mann and Whitney (1947): without a difference between the classes, the area has mean 1/2 and
    variance ``(m + n + 1) / (12 m n)`` (less with ties).
    """
    m = int(sensitive(rows).sum())
    n = len(rows) - m
    spread = ((m + n + 1) / (12 * m * n)) ** 0.5
    return float(min(1.0, 0.5 + norm.ppf((1 + CONFIDENCE) / 2) * spread))


def _chance(rows: pd.DataFrame) -> list[str]:
    area, level, counts = area_under_curve(rows), chance_level(rows), confusion(rows)
    if area < 1 - level:
        return [
            f"The detection is the wrong way round: the area under the ROC curve is {area:.3f}, and "
            f"random scores stay above {1 - level:.3f} on so many samples, so other test samples score "
            "higher than sensitive ones. Look at the labels, at what --sensitive names, and at how the "
            "training samples differ from the test samples; a radius certified for such a detector "
            "protects nothing worth having."
        ]
    if area <= level:
        return [
            f"The detection cannot be told from chance: the area under the ROC curve is {area:.3f}, and "
            f"random scores reach up to {level:.3f} on so many samples. A radius certified for such a "
            "detector protects nothing worth having."
        ]
    if not counts.other_passed:
        return [
            "Every other test sample is flagged too: a detector that flags all detects nothing."
        ]
    return []


def _tiny(rows: pd.DataFrame, record: Record) -> list[str]:
    found = []
    n_sensitive = int(sensitive(rows).sum())
    n_other = len(rows) - n_sensitive
    sizes = ((record["sensitive_name"], n_sensitive), (record["other_name"], n_other))
    for name, n in sizes:
        if n >= FEW:
            continue
        found.append(few_samples(name, n))
    return found


def few_samples(name: str, n: int) -> str:
    """That the rates of a class with ``n`` test samples are hardly known."""
    low, _ = clopper_pearson(n, n)
    return (
        f"Only {n} test sample{'' if n == 1 else 's'} of class {name!r}: even {n} right out of "
        f"{n} is compatible with a rate of {percent(float(low))} (95 % interval)."
    )
