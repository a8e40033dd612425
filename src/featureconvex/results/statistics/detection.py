"""Detection without and with a certificate: confusion, ROC, certified recall at any threshold.

All thresholds ``t`` act on the rows' margin: a point is flagged when ``margin > t``, so ``t = 0`` is
the calibrated threshold and moving to ``t`` replaces ``tau`` by ``tau - t``. The closed-form radius
moves with it: the slope ``K = Lip_p(phi) ||v||_q`` of a point does not depend on the threshold, so
its radius is ``(margin - t) / K``.
"""

from dataclasses import dataclass

import numpy as np
import pandas as pd
from numpy.typing import ArrayLike, NDArray
from sklearn import metrics

from featureconvex.errors import UserError
from featureconvex.results.columns import CLOSED_FORM, RadiusColumn
from featureconvex.results.rows import flagged, sensitive

Floats = NDArray[np.float64]
FALSE_POSITIVE_RATES = (0.001, 0.01, 0.05, 0.1)


@dataclass(frozen=True)
class Confusion:
    """Counts of test points by label and prediction."""

    sensitive_flagged: int
    sensitive_missed: int
    other_flagged: int
    other_passed: int

    @property
    def accuracy(self) -> float:
        """Fraction of all points classified correctly."""
        right = self.sensitive_flagged + self.other_passed
        return right / (right + self.sensitive_missed + self.other_flagged)

    @property
    def sensitive_accuracy(self) -> float:
        """Fraction of the sensitive points that are flagged (recall)."""
        return self.sensitive_flagged / (self.sensitive_flagged + self.sensitive_missed)

    @property
    def other_accuracy(self) -> float:
        """Fraction of the other points that pass (1 - false-positive rate)."""
        return self.other_passed / (self.other_passed + self.other_flagged)


@dataclass(frozen=True)
class Roc:
    """The ROC curve: one point per distinct threshold, from "flag nothing" to "flag all"."""

    false_positive_rate: Floats
    recall: Floats
    threshold: Floats


def confusion(rows: pd.DataFrame) -> Confusion:
    """Count the rows by label and prediction."""
    truth, guess = sensitive(rows), flagged(rows)
    pairs = ((truth & guess), (truth & ~guess), (~truth & guess), (~truth & ~guess))
    return Confusion(*(int(mask.sum()) for mask in pairs))


def scores(rows: pd.DataFrame) -> Floats:
    """Margins (n,); a margin that is not a number is never flagged, so it counts as ``-inf``."""
    margin = rows["margin"].to_numpy(dtype=np.float64)
    return np.where(np.isnan(margin), -np.inf, margin)


def roc_curve(rows: pd.DataFrame) -> Roc:
    """Recall against false-positive rate over every threshold that changes either.

    The last threshold is ``-inf``, where all are flagged but points whose margin is ``-inf`` or no number.
    """
    values, rank = _ranked(rows)
    rate, recall, _ = metrics.roc_curve(sensitive(rows), rank, drop_intermediate=False)
    threshold = np.append(values[::-1], -np.inf)
    # scikit-learn flags from a score on, this module above one, and nothing is above -inf twice.
    some = slice(len(values) + int(values[0] > -np.inf))
    return Roc(rate[some], recall[some], threshold[some])


def area_under_curve(rows: pd.DataFrame) -> float:
    """Probability that a random sensitive point scores above a random other one, ties counting half."""
    return float(metrics.roc_auc_score(sensitive(rows), _ranked(rows)[1]))


def threshold_at(rows: pd.DataFrame, false_positive_rate: float) -> float:
    """The smallest threshold on the margin that flags at most this fraction of the other test points.

    Raises:
        UserError: the rate is not in [0, 1).
    """
    if not 0 <= false_positive_rate < 1:
        raise UserError(f"a false-positive rate must be in [0, 1), got {false_positive_rate}")
    other = np.sort(scores(rows)[~sensitive(rows)])[::-1]
    # The small slack keeps 0.1 * 30 from being cut to 2 by its rounding error.
    allowed = int(false_positive_rate * len(other) + 1e-9)
    return float(other[allowed])


def false_positive_rate_at(rows: pd.DataFrame, threshold: float) -> float:
    """Fraction of the other test points above ``threshold``."""
    return float(np.mean(scores(rows)[~sensitive(rows)] > threshold))


def shifted_radii(rows: pd.DataFrame, column: RadiusColumn, threshold: float) -> Floats:
    """Closed-form radius (n,) of every row if points were flagged above ``threshold`` instead of 0.

    At threshold 0 these are the radii of the rows themselves. Rows of status ``non_finite``,
    ``outside_domain`` or ``not_computed`` stay at 0.

    Raises:
        UserError: the column is not closed-form, or the rows lack its slope.
    """
    if column.level != CLOSED_FORM or column.slope not in rows.columns:
        raise UserError(
            f"the radius in {column.name!r} cannot be moved to another threshold: only a "
            f"closed-form radius with its slope column {column.slope!r} can"
        )
    if threshold == 0:
        return rows[column.name].to_numpy(dtype=np.float64)
    excess = scores(rows) - threshold
    slope = rows[column.slope].to_numpy(dtype=np.float64)
    refused = rows["status"].isin(["non_finite", "outside_domain", "not_computed"]).to_numpy()
    certifiable = (excess > 0) & ~refused
    radius = np.where(certifiable, np.inf, 0.0)
    np.divide(excess, slope, out=radius, where=certifiable & (slope > 0))
    return radius


def certified_recall(
    rows: pd.DataFrame, column: RadiusColumn, thresholds: ArrayLike, radii: ArrayLike
) -> Floats:
    """Fraction (t, k) of sensitive points flagged above a threshold and certified there for a radius."""
    truth, margin = sensitive(rows), scores(rows)
    wanted = np.asarray(radii, dtype=np.float64)
    table = []
    for threshold in np.atleast_1d(np.asarray(thresholds, dtype=np.float64)):
        radius = shifted_radii(rows, column, float(threshold))[truth & (margin > threshold)]
        table.append((radius[None, :] >= wanted[:, None]).sum(axis=1) / truth.sum())
    return np.array(table)


def _ranked(rows: pd.DataFrame) -> tuple[Floats, NDArray[np.intp]]:
    """The scores that occur, increasing, and which of them each row has (n,).

    The ranks order and tie as the scores do, and are finite, as scikit-learn demands.
    """
    values, rank = np.unique(scores(rows), return_inverse=True)
    return values, rank
