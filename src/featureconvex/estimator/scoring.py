"""Certified recall as a score, for scikit-learn's searches."""

from dataclasses import dataclass
from typing import Any

import numpy as np

from featureconvex.certificates import Threat
from featureconvex.errors import UserError
from featureconvex.estimator.folding import fold
from featureconvex.given import real_number
from featureconvex.models.multi_class import MultiClassModel
from featureconvex.training.calibration import at_false_positive_rate


@dataclass(frozen=True)
class CertifiedRecall:
    """The share of sensitive points certified for ``radius`` at a false-positive rate.

    A scorer: ``GridSearchCV(clf, grid, scoring=fc.CertifiedRecall(0.5))``. The threshold is moved to
    the rate on the points that are scored, so estimators are compared at one operating point.

    Attributes:
        radius: in the units of the threat.
        target_fpr: the false-positive rate.
        threat: with a closed form; None: ``Lp(2)`` in raw units.

    Raises:
        UserError: a radius below 0, or a rate outside [0, 1].

    >>> from sklearn.datasets import load_breast_cancer
    >>> from featureconvex.estimator.classifier import FeatureConvexClassifier
    >>> X, y = load_breast_cancer(return_X_y=True)
    >>> clf = FeatureConvexClassifier(0, epochs=3, temperature=0.5, random_state=0).fit(X, y)
    >>> CertifiedRecall(0.0)(clf, X, y) > CertifiedRecall(1e9)(clf, X, y)
    True
    """

    radius: float
    target_fpr: float = 0.01
    threat: Threat | None = None

    def __post_init__(self) -> None:
        real_number("radius", self.radius, 0)
        if real_number("target_fpr", self.target_fpr, 0) > 1:
            raise UserError(f"a false-positive rate is in [0, 1], got {self.target_fpr}")

    def __call__(self, estimator: Any, X: Any, y: Any) -> float:
        """The score of a fitted classifier, or of a pipeline that :func:`featureconvex.fold` takes.

        Raises:
            UserError: a pipeline that cannot be folded, a single class, or a classifier of ``"own"``.
        """
        clf = fold(estimator)
        if isinstance(clf.model_, MultiClassModel):
            raise UserError(
                "certified recall at a false-positive rate is about one margin; with multi_class='own' the "
                "largest score decides. Use multi_class='set', or score with the radii of certify"
            )
        certificate = clf.certify(X, self.threat)
        sensitive = np.isin(np.asarray(y), clf.classes_[clf.sensitive_])
        tau = at_false_positive_rate(
            certificate.margin, sensitive.astype(np.int64), self.target_fpr
        ).tau
        margin = certificate.margin[sensitive] + tau
        with np.errstate(divide="ignore", invalid="ignore"):
            radius = np.where(margin > 0, margin / certificate.slope[sensitive], -np.inf)
        return float(np.mean(radius >= self.radius))
