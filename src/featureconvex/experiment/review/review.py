"""The attacker first: budgets, columns, the test points most at risk, and detectors without proofs."""

from collections.abc import Callable
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
    attacker = detector.attacker
    plotted = dataset.counts if isinstance(dataset.counts, BytePlot) else None
    if plotted is not None:
        threats: list[Threat] = [OnPlot(name).threat for name in ON_PLOTS]
        unit, sentence, real = "bytes", PLOTTED, False
        domain: Domain = Unbounded()
    elif dataset.files == "other files":
        counts = dataset.counts if isinstance(dataset.counts, ByteCounts) else ByteCounts()
        ngram, most = counts.ngram, counts.most
        threats = [kind(ngram, most=most) for kind in (Append, Insert, Change)]
        # Of n-grams no file need have the counts that an attack finds.
        real = ngram == 1
        unit, sentence = "bytes", FILES
        domain = Unbounded()
    elif attacker is not None:
        threats = [attacker.threat]
        unit, sentence, domain = attacker.schema.unit, attacker.sentence, attacker.domain
        real = True
    else:
        return None
    place = np.flatnonzero((detector.sensitive_margin(test) > 0) & (dataset.test.y == 1))
    x = test[torch.from_numpy(place)]
    found = Review(
        sentence=sentence,
        level="tight" if plotted is None and len(place) <= TIGHT else "domain",
        flagged=len(place),
        budgets=[],
        columns=[],
        at_risk=[],
        baselines=review_baselines(dataset.train, dataset.test, seed, progress),
    )
    if not len(place):
        return found
    outside = int((~domain.contains(x.double())).sum())
    if outside:
        found["sentence"] += (
            f" {outside} of {len(x)} flagged sensitive test rows lie outside these ranges; nothing is "
            "certified of them."
        )
    level = level_named(found["level"]).without_attacks()
    if plotted is not None:
        radii = _radii_of_plots(detector, plotted, x, dataset, place, level)
    else:
        radii = [c.radius for c in certify(detector, x, threats, domain, level, progress=progress)]
    found["budgets"] = [
        Budget(
            threat=threat.name,
            unit=unit,
            certified=int((radius > 0).sum()),
            # At least half reach it; of counts it is one of them.
            median=float(np.quantile(radius, 0.5, method="lower")),
        )
        for threat, radius in zip(threats, radii, strict=True)
    ]
    weakest = np.argsort(radii[0], kind="stable")[:AT_RISK]
    some = x[torch.from_numpy(weakest)]
    if attacker is not None and plotted is None:
        found["columns"] = review_columns(detector, attacker, x, progress)
        words = partial(change_in_words, attacker)
    else:
        words = partial(_bytes_in_words, dataset.feature_names or [])
    evasions: list[tuple[str, float | None]] = [("", None)] * len(some)
    if real:
        evasions = _evasions(detector, some, threats[0], domain, words, seed)
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
    threat: Threat,
    domain: Domain,
    words: Callable[[Row, Row], str],
    seed: int,
) -> list[tuple[str, float | None]]:
    """The cheapest that an attack finds, and its price; ``("", None)`` where it finds none."""
    found = detector.attack(x, threat, domain, seed=seed)
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
