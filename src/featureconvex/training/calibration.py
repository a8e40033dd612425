"""Where to put the threshold."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from featureconvex.errors import UserError


@dataclass(frozen=True)
class Calibration:
    """A threshold and what it achieves on the points it was chosen on.

    Attributes:
        tau: added to ``g(phi(x))``; positive margins are predicted sensitive.
        rule: ``"balanced"``, ``"fpr"``, or ``"weighted"`` (the least error, by the weights of the points).
        target_fpr: the largest false-positive rate allowed, for rule ``"fpr"``.
        sensitive_accuracy, other_accuracy: in [0, 1], on the calibration points.
    """

    tau: float
    rule: str
    target_fpr: float | None
    sensitive_accuracy: float
    other_accuracy: float


def balanced(logits: NDArray[np.floating], labels: NDArray[np.integer]) -> Calibration:
    """The threshold at which both classes are equally accurate (the paper's "balancing").

    Among all cuts between neighbouring logits, the one with the smallest difference of the two
    accuracies; of equals, the one with the larger sum.

    Args:
        logits: (n,) finite, ``g(phi(x))`` without threshold.
        labels: (n,), 1 sensitive, 0 other; both must occur.
    """
    cuts, sensitive, other = _operating_points(logits, labels)
    order = np.lexsort((-(sensitive + other), np.abs(sensitive - other).round(12)))
    best = order[0]
    return Calibration(
        -float(cuts[best]), "balanced", None, float(sensitive[best]), float(other[best])
    )


def calibrated(
    logits: NDArray[np.floating],
    labels: NDArray[np.integer],
    target_fpr: float | None,
    weights: NDArray[np.floating] | None = None,
) -> Calibration:
    """The threshold at a false-positive rate; where none is named that of the least weighted error, or the
    balanced one without weights.
    """
    if target_fpr is not None:
        return at_false_positive_rate(logits, labels, target_fpr, weights)
    return balanced(logits, labels) if weights is None else least_error(logits, labels, weights)


def least_error(
    logits: NDArray[np.floating], labels: NDArray[np.integer], weights: NDArray[np.floating]
) -> Calibration:
    """The threshold with the least weight of points on the wrong side; of equals, the middle one.

    Args:
        logits: (n,) finite.
        labels: (n,), 1 sensitive, 0 other; both must occur.
        weights: (n,), each class's positive in sum.
    """
    cuts, sensitive, other = _operating_points(logits, labels, weights)
    totals = [float(np.asarray(weights)[np.asarray(labels) == label].sum()) for label in (0, 1)]
    wrong = (1 - other) * totals[0] + (1 - sensitive) * totals[1]
    equal = np.flatnonzero(wrong <= wrong.min() + 1e-12 * sum(totals))
    best = equal[len(equal) // 2]
    return Calibration(
        -float(cuts[best]), "weighted", None, float(sensitive[best]), float(other[best])
    )


def at_false_positive_rate(
    logits: NDArray[np.floating],
    labels: NDArray[np.integer],
    target: float,
    weights: NDArray[np.floating] | None = None,
) -> Calibration:
    """The lowest threshold whose false-positive rate on the given points is at most ``target``.

    Args:
        logits: (n,) finite.
        labels: (n,), 1 sensitive, 0 other; both must occur.
        target: in [0, 1].
        weights: (n,), what each point counts.

    Raises:
        UserError: ``target`` outside [0, 1].
    """
    if not 0 <= target <= 1:
        raise UserError(f"a false-positive rate is in [0, 1], got {target}")
    cuts, sensitive, other = _operating_points(logits, labels, weights)
    allowed = np.flatnonzero(1 - other <= target + 1e-12)
    best = allowed[0]  # cuts ascend, and with them the other class's accuracy
    return Calibration(
        -float(cuts[best]), "fpr", target, float(sensitive[best]), float(other[best])
    )


def _operating_points(
    logits: NDArray[np.floating],
    labels: NDArray[np.integer],
    weights: NDArray[np.floating] | None = None,
) -> tuple[NDArray[np.float64], NDArray[np.float64], NDArray[np.float64]]:
    """All cuts, ascending, with both classes' accuracies when ``logit > cut`` means sensitive."""
    values = np.asarray(logits, dtype=np.float64)
    labels = np.asarray(labels)
    if not np.isfinite(values).all():
        raise UserError(
            "calibration needs finite logits; training diverged, lower the learning rate"
        )
    inside = [np.sort(values[labels == label]) for label in (0, 1)]
    if not all(len(part) for part in inside):
        raise UserError("calibration needs points of both classes")
    unique = np.unique(values)
    # Halfway between neighbours is the cut that generalises; the outermost stay one step outside.
    middle = unique[:-1] + (unique[1:] - unique[:-1]) / 2
    cuts = np.concatenate(([unique[0] - 1.0], middle, [unique[-1] + 1.0]))
    if weights is None:
        other, sensitive = (
            np.searchsorted(part, cuts, side="right") / len(part) for part in inside
        )
        return cuts, 1 - sensitive, other
    shares = []
    for label, part in enumerate(inside):
        own = np.asarray(weights, dtype=np.float64)[labels == label]
        below = np.cumsum([0.0, *own[np.argsort(values[labels == label], kind="stable")]])
        if not below[-1] > 0:
            raise UserError(
                "calibration needs points of both classes with a positive weight among those held out; "
                "spread the weights, or hold out more with validation_fraction"
            )
        shares.append(below[np.searchsorted(part, cuts, side="right")] / below[-1])
    return cuts, 1 - shares[1], shares[0]
