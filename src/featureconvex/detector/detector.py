"""A trained model of one sensitive class with the columns, classes and attacker of its data."""

from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from featureconvex.certificates import (
    Certificate,
    Domain,
    Level,
    Threat,
    certify,
)
from featureconvex.detector.described import Described
from featureconvex.detector.scoring import labels_of, share_right
from featureconvex.errors import UserError
from featureconvex.models.model import FeatureConvexModel, describe_inputs


class Detector(Described[Certificate], FeatureConvexModel):
    """A trained model with the columns, classes and attacker of its data.

    It takes data frames in the raw columns (found by name), arrays and tensors. As a torch module it is the
    model itself.

    Attributes:
        classes_: (2,) the other class and the sensitive one.
    """

    @staticmethod
    def of(model: FeatureConvexModel, extra: dict[str, Any]) -> "Detector":
        """A model as it was read, and what travelled with it.

        Raises:
            UserError: the entries are damaged.
        """
        found = Detector(model.feature_map, model.convex_net, float(model.tau)).eval()
        found.describe(extra)
        names = extra.get("other_name", "0"), extra.get("sensitive_name", "1")
        found.classes_ = np.array(names, dtype=np.str_)
        describe_inputs(found, found.meaning)
        return found

    def __setstate__(self, state: dict[str, Any]) -> None:
        """A copy, pickled or deep, finds the columns of a frame as well."""
        super().__setstate__(state)  # type: ignore[no-untyped-call]
        describe_inputs(self, self.meaning)

    def sensitive_margin(self, X: Any) -> NDArray[np.float64]:
        """``g(phi(x)) + tau``, (n,): positive for the sensitive class, NaN where a cell is missing."""
        return self.answers(X)

    def decision_function(self, X: Any) -> NDArray[np.float64]:
        """(n,), positive for ``classes_[1]``, the sensitive class."""
        return self.sensitive_margin(X)

    def predict(self, X: Any) -> NDArray[Any]:
        """(n,) names of classes.

        Raises:
            UserError: a margin that is not a number: a missing cell, or a category that training never saw.
        """
        margin = self.sensitive_margin(X)
        if np.isnan(margin).any():
            raise UserError(
                f"the margin of row {int(np.isnan(margin).argmax())} is not a number: a cell is missing, "
                "has a category that training never saw, or is too large; certify gives each row a status"
            )
        names: NDArray[Any] = self.classes_[(margin > 0).astype(int)]
        return names

    def predict_proba(self, X: Any) -> NDArray[np.float64]:
        """(n, 2), the logistic function of the margin: an ordering, not a calibrated probability."""
        from scipy.special import expit

        margin = self.sensitive_margin(X)
        return np.column_stack((expit(-margin), expit(margin)))

    @property
    def core(self) -> FeatureConvexModel:
        """The model itself."""
        return self

    def certificates(
        self,
        X: Any,
        threats: Threat | Sequence[Threat],
        domain: Domain | None,
        level: str | Level,
        **options: Any,
    ) -> Certificate | list[Certificate]:
        """By :func:`featureconvex.certify`."""
        found: Any = certify(self, X, threats, domain, level, **options)
        answer: Certificate | list[Certificate] = found
        return answer

    def score(self, X: Any, y: Any, sample_weight: Any = None) -> float:
        """The share of rows whose class is predicted right, as scikit-learn has it.

        Args:
            X: rows.
            y: (n,) labels, names of classes as in training. Of more than two classes all that the detector
                does not call its own are the other one.
            sample_weight: (n,) >= 0, what each row counts.

        Raises:
            UserError: another number of labels, a label of no class, or a row that cannot be predicted.
        """
        predicted = self.predict(X)
        labels = labels_of(y, len(predicted))
        other, sensitive = (str(name) for name in self.classes_)
        # Several classes together are called "a or b", or by their number where they are many.
        several = other == f"not {sensitive}"
        together = f" or {sensitive} or " if several else ""
        flagged = np.array(
            [name == sensitive or f" or {name} or " in together for name in labels.tolist()]
        )
        unknown = ~flagged & (labels != other)
        if unknown.any() and (not several or sensitive.startswith("one of ")):
            raise UserError(
                f"y has the label {str(labels[unknown.argmax()])!r}; the classes are {other!r} and "
                f"{sensitive!r}"
            )
        return share_right(flagged == (predicted == sensitive), sample_weight)
