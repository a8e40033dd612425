"""The attacker first: budgets, columns, the test points most at risk, and detectors without proofs."""

from collections.abc import Callable
from dataclasses import dataclass
from functools import partial

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from featureconvex.attacker import change_in_words
from featureconvex.certificates import (
    Append,
    Change,
    Domain,
    Insert,
    Level,
    Threat,
    Unbounded,
    certify,
)
from featureconvex.certificates.levels import level_named
from featureconvex.data import Dataset
from featureconvex.data.files.byte_counts import ByteCounts
from featureconvex.data.files.byte_plot import BytePlot
from featureconvex.detector import Detector
from featureconvex.experiment.certifying.plots import OnPlot, Plots
from featureconvex.experiment.review.baselines import review_baselines
from featureconvex.experiment.review.columns import review_columns
from featureconvex.report.attacker import outside_sentence
from featureconvex.results.review import AtRisk, Budget, Review

# Test points whose evasion is looked for.
AT_RISK = 10
# Up to so many flagged points are certified at level ``tight``, more at ``domain``.
TIGHT = 1000
Row = NDArray[np.float64]
# What is certified of files that a model sees as plots.
ON_PLOTS = ("append", "change")
PLOTTED = (
    "The attacker may append bytes to a file, or change bytes; inserted bytes shift all that follows, so "
    "nothing is certified against them."
)
FILES = "The attacker may append bytes to a file, insert bytes anywhere, or change bytes."


@dataclass(frozen=True)
class _Asked:
    """What is certified, and how a page speaks of it.

    Attributes:
        threats: one, or one per operation on files.
        domain: where the attacker may move.
        unit: of budgets.
        sentence: what the attacker may do.
        real: whether what an attack finds is an input that exists: of n-grams no file need have the counts.
    """

    threats: list[Threat]
    domain: Domain
    unit: str
    sentence: str
    real: bool


def review(
    detector: Detector, dataset: Dataset, test: Tensor, seed: int = 0, progress: bool = False
) -> Review | None:
    """What an attacker can do to the flagged sensitive test points.

    Against the schema's attacker (every column free at one per standard deviation where nobody said
    otherwise), or against operations on the bytes of files; at level ``tight``, and beyond :data:`TIGHT`
    points, or of plots, which ask for one number of bytes after another, ``domain``.

    Args:
        detector: trained and calibrated.
        dataset: whose test split is looked at.
        test: its points as the model takes them.
        seed: of baselines and attacks.
        progress: show bars.

    Returns:
        None for images, and for tables that say too little about their columns.
    """
    asked = _asked(detector, dataset)
    if asked is None:
        return None
    plotted = dataset.counts if isinstance(dataset.counts, BytePlot) else None
    place = np.flatnonzero((detector.sensitive_margin(test) > 0) & (dataset.test.y == 1))
    x = test[torch.from_numpy(place)]
    outside = int((~asked.domain.contains(x.double())).sum()) if len(x) else 0
    found = Review(
        sentence=" ".join(filter(None, (asked.sentence, outside_sentence(outside, len(x))))),
        level="tight" if plotted is None and len(place) <= TIGHT else "domain",
        flagged=len(place),
        outside=outside,
        budgets=[],
        columns=[],
        at_risk=[],
        baselines=review_baselines(dataset.train, dataset.test, seed, progress),
    )
    if not len(place):
        return found
    level = level_named(found["level"]).without_attacks()
    if plotted is not None:
        radii = _radii_of_plots(detector, plotted, x, dataset, place, level)
    else:
        certified = certify(detector, x, asked.threats, asked.domain, level, progress=progress)
        radii = [certificate.radius for certificate in certified]
    found["budgets"] = [
        Budget(
            threat=threat.name,
            unit=asked.unit,
            certified=int((radius > 0).sum()),
            # At least half reach it; of counts it is one of them.
            median=float(np.quantile(radius, 0.5, method="lower")),
        )
        for threat, radius in zip(asked.threats, radii, strict=True)
    ]
    attacker = detector.attacker
    if attacker is not None and plotted is None:
        found["columns"] = review_columns(detector, attacker, x, progress)
        words = partial(change_in_words, attacker)
    else:
        words = partial(_bytes_in_words, dataset.feature_names or [])
    weakest = np.argsort(radii[0], kind="stable")[:AT_RISK]
    evasions: list[tuple[str, float | None]] = [("", None)] * len(weakest)
    if asked.real:
        evasions = _evasions(detector, x[torch.from_numpy(weakest)], asked, words, seed)
    names = dataset.test_rows if dataset.test_rows is not None else np.arange(len(dataset.test))
    found["at_risk"] = [
        AtRisk(
            index=int(place[k]),
            row=str(names[place[k]]),
            certified=float(radii[0][k]),
            evasion=evasion,
            price=price,
        )
        for k, (evasion, price) in zip(weakest, evasions, strict=True)
    ]
    return found


def _asked(detector: Detector, dataset: Dataset) -> _Asked | None:
    """Of plots of files, counts of their bytes, or rows; None where nobody is asked about."""
    if isinstance(dataset.counts, BytePlot):
        on_plots: list[Threat] = [OnPlot(name).threat for name in ON_PLOTS]
        return _Asked(on_plots, Unbounded(), "bytes", PLOTTED, real=False)
    if dataset.files == "other files":
        counts = dataset.counts if isinstance(dataset.counts, ByteCounts) else ByteCounts()
        on_counts = [kind(counts.ngram, most=counts.most) for kind in (Append, Insert, Change)]
        return _Asked([*on_counts], Unbounded(), "bytes", FILES, real=counts.ngram == 1)
    if (attacker := detector.attacker) is not None:
        unit, sentence = attacker.schema.unit, attacker.sentence
        return _Asked([attacker.threat], attacker.domain, unit, sentence, real=True)
    return None


def _radii_of_plots(
    detector: Detector,
    form: BytePlot,
    x: Tensor,
    dataset: Dataset,
    place: NDArray[np.intp],
    level: Level,
) -> list[Row]:
    """For each operation of :data:`ON_PLOTS`, (n,): bytes."""
    assert dataset.test_sizes is not None
    plots = Plots(detector, form, x.double().numpy(), dataset.test_sizes[place], level)
    return [plots.certify(OnPlot(name)).radius for name in ON_PLOTS]


def _evasions(
    detector: Detector,
    x: Tensor,
    asked: _Asked,
    words: Callable[[Row, Row], str],
    seed: int,
) -> list[tuple[str, float | None]]:
    """The cheapest that an attack finds, and its price; ``("", None)`` where it finds none."""
    found = detector.attack(x, asked.threats[0], asked.domain, seed=seed)
    # As the model has them: the attack answers in its dtype.
    before = x.to(detector.dtype).double().numpy()
    after = np.asarray(found.adversarial, dtype=np.float64)
    return [
        (words(before[k], after[k]), float(found.distance[k])) if found.found[k] else ("", None)
        for k in range(len(x))
    ]


def _bytes_in_words(names: list[str], before: Row, after: Row) -> str:
    """Appended bytes, most frequent first."""
    added = after - before
    order = [i for i in np.argsort(-added, kind="stable") if added[i] > 0]
    shown = [f"{added[i]:.0f} x {names[i]}" for i in order[:3]]
    more = f" and {len(order) - 3} other values" if len(order) > 3 else ""
    return f"append {', '.join(shown)}{more}" if order else ""
