"""A trained model of several classes with the columns, classes and attacker of its data."""

from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from featureconvex.certificates import (
    ClassCertificate,
    Domain,
    Level,
    Threat,
    certify_classes,
)
from featureconvex.detector.described import Described
from featureconvex.detector.scoring import labels_of, share_right
from featureconvex.errors import UserError
from featureconvex.models.model import FeatureConvexModel, describe_inputs
from featureconvex.models.multi_class import MultiClassModel


class ClassDetector(Described[ClassCertificate], MultiClassModel):
    """Names the class of a row, and proves how far it is from every other one.

    It takes data frames in the raw columns (found by name), arrays and tensors. As a torch module it is the
    :class:`~featureconvex.MultiClassModel` itself.

    Attributes:
        classes_: (classes,) names, in the order of the scores.
    """

    @staticmethod
    def of(model: MultiClassModel, extra: dict[str, Any]) -> "ClassDetector":
        """A model as it was read, and what travelled with it.

        Raises:
            UserError: the entries are damaged.
        """
        nets = [part.convex_net for part in model.members()]
        names = extra.get("classes")
        if not isinstance(names, list) or len({str(name) for name in names}) != len(nets):
            raise UserError(f"the model's file does not name its {len(nets)} classes")
        found = ClassDetector(model.feature_map, nets, model.tau.tolist()).eval()
        found.describe(extra)
        found.classes_ = np.array(names, dtype=np.str_)
        found._tell_members()
        return found

    def __setstate__(self, state: dict[str, Any]) -> None:
        """A copy, pickled or deep, finds the columns of a frame as well."""
        super().__setstate__(state)  # type: ignore[no-untyped-call]
        self._tell_members()

    def _tell_members(self) -> None:
        for member in self.members():
            describe_inputs(member, self.meaning)

    def decision_function(self, X: Any) -> NDArray[np.float64]:
        """(n, classes) scores, the largest entry for the class predicted."""
        return self.answers(X)

    def predict(self, X: Any) -> NDArray[Any]:
        """(n,) names of classes.

        Raises:
            UserError: a score that is not a number: a missing cell, or a category that training never saw.
        """
        scores = self.decision_function(X)
        odd = np.isnan(scores).any(axis=1)
        if odd.any():
            raise UserError(
                f"the scores of row {int(odd.argmax())} are no numbers: a cell is missing, has a category "
                "that training never saw, or is too large; certify gives each row a status"
            )
        names: NDArray[Any] = self.classes_[scores.argmax(axis=1)]
        return names

    def predict_proba(self, X: Any) -> NDArray[np.float64]:
        """(n, classes), softmax of the scores: an ordering, not a calibrated probability."""
        from scipy.special import softmax

        shares: NDArray[np.float64] = softmax(self.decision_function(X), axis=1)
        return shares

    @property
    def core(self) -> FeatureConvexModel:
        """The score of the first class."""
        return self.members()[0]

    def certificates(
        self,
        X: Any,
        threats: Threat | Sequence[Threat],
        domain: Domain | None,
        level: str | Level,
        **options: Any,
    ) -> ClassCertificate | list[ClassCertificate]:
        """By :func:`featureconvex.certify_classes`."""
        found: Any = certify_classes(self, X, threats, domain, level, **options)
        answer: ClassCertificate | list[ClassCertificate] = found
        return answer

    def score(self, X: Any, y: Any, sample_weight: Any = None) -> float:
        """The share of rows whose class is predicted right.

        Args:
            X: rows.
            y: (n,) names of classes.
            sample_weight: (n,) >= 0, what each row counts.

        Raises:
            UserError: another number of labels, a label of no class, or a row that cannot be predicted.
        """
        predicted = self.predict(X)
        labels = labels_of(y, len(predicted))
        unknown = ~np.isin(labels, self.classes_)
        if unknown.any():
            raise UserError(
                f"y has the label {str(labels[unknown.argmax()])!r}; the classes are "
                f"{', '.join(self.classes_)}"
            )
        return share_right(labels == predicted, sample_weight)
