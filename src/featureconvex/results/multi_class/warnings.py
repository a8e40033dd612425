"""What a reader must know before any number of a run of several classes."""

import pandas as pd

from featureconvex.results.multi_class.counts import class_counts
from featureconvex.results.multi_class.record import ClassRecord
from featureconvex.results.numbers import percent
from featureconvex.results.statistics.intervals import clopper_pearson
from featureconvex.results.warnings import FEW, few_samples

NAMED = 3
"""So many classes are named one by one."""


def class_warnings(points: pd.DataFrame, record: ClassRecord) -> list[str]:
    """One sentence per reason for doubt, the most serious first; none for a sound run."""
    counts = class_counts(points, record["classes"])
    found = []
    largest, n = int(counts.sizes.max()), len(points)
    low, _ = clopper_pearson(round(counts.accuracy * n), n)
    if float(low) <= largest / n:
        name = counts.classes[int(counts.sizes.argmax())]
        found.append(
            f"The classes cannot be told from a guess: {percent(counts.accuracy)} of the test samples are "
            f"recognised, and calling every one {name!r} would be right for {percent(largest / n)}. A "
            "radius certified for such a model protects nothing worth having."
        )
    missed = [
        name
        for name, share, size in zip(counts.classes, counts.by_class, counts.sizes, strict=True)
        if size and share == 0
    ]
    if len(missed) <= NAMED:
        found += [f"No test sample of class {name!r} is recognised." for name in missed]
    else:
        named = ", ".join(map(repr, missed[:NAMED]))
        found.append(
            f"Of {len(missed)} classes no test sample is recognised: {named} and others; the table of "
            "classes has them all."
        )
    tiny = [(name, int(n)) for name, n in zip(counts.classes, counts.sizes, strict=True) if n < FEW]
    if len(tiny) <= NAMED:
        found += [few_samples(name, n) for name, n in tiny]
    else:
        name, n = min(tiny, key=lambda one: one[1])
        found.append(f"{len(tiny)} classes have few test samples. {few_samples(name, n)}")
    return [*found, *(record.get("data_warnings") or [])]
