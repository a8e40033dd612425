"""What a fitted classifier answers for rows: margins, decisions and labels, without certificates."""

from collections.abc import Callable
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from sklearn.utils.validation import check_is_fitted, validate_data

from featureconvex.errors import UserError
from featureconvex.estimator.checks import check_columns
from featureconvex.estimator.naming import Naming
from featureconvex.estimator.rows import dense
from featureconvex.given import rows_tensor
from featureconvex.models.model import FeatureConvexModel
from featureconvex.models.multi_class import MultiClassModel, margin_of

# Rows per forward pass.
BATCH = 4096


class Predictions:
    """The predictions of :class:`~featureconvex.FeatureConvexClassifier`, by its fitted attributes."""

    classes_: NDArray[Any]
    sensitive_class_: Any
    model_: FeatureConvexModel | MultiClassModel
    naming_: Naming | None

    def validated_rows(self, X: Any, allow_missing: bool = False) -> NDArray[Any]:
        """``X`` as (n, d) float64, or float32 where it is; sparse stays sparse: a copy may not fit.

        Raises:
            ValueError: another number of columns, or names other than those of ``fit`` or in another order.
        """
        check_is_fitted(self)
        check_columns(X)
        rows: NDArray[Any] = validate_data(
            self,
            X,
            dtype=[np.float64, np.float32],
            reset=False,
            accept_sparse="csr",
            ensure_all_finite=not allow_missing,
        )
        return rows

    @property
    def sensitive_(self) -> NDArray[np.bool_]:
        """(classes,): which are sensitive."""
        found: NDArray[np.bool_] = np.isin(self.classes_, self.sensitive_class_)
        return found

    def _features(self, X: Any) -> NDArray[np.float64]:
        """``phi(x)``, flat."""
        model = self.model_

        def features(x: torch.Tensor) -> torch.Tensor:
            found: torch.Tensor = model.feature_map(x.to(model.dtype)).flatten(1)
            return found

        return self._in_batches(X, features)

    def _scores(self, x: Any) -> NDArray[np.float64]:
        """What the model answers for checked rows: margins (n,), or all classes' scores (n, classes)."""
        return self._in_batches(x, self.model_)

    def _in_batches(
        self, x: Any, of: Callable[[torch.Tensor], torch.Tensor]
    ) -> NDArray[np.float64]:
        starts = range(0, max(1, x.shape[0]), BATCH)
        with torch.no_grad():
            parts = [
                of(rows_tensor(dense(x[start : start + BATCH])).double()).numpy()
                for start in starts
            ]
        return np.concatenate(parts)

    def _margin(self, scores: NDArray[np.float64]) -> NDArray[np.float64]:
        if scores.ndim == 1:
            return scores
        margin: NDArray[np.float64] = margin_of(
            torch.from_numpy(scores), torch.from_numpy(self.sensitive_)
        ).numpy()
        return margin

    def sensitive_margin(self, X: Any) -> NDArray[np.float64]:
        """``g(phi(x)) + tau``, (n,): positive for the sensitive class or the set of them.

        With ``"own"``: the sensitive class's score less the next largest one.
        """
        return self._margin(self._scores(self.validated_rows(X)))

    def decision_function(self, X: Any) -> NDArray[np.float64]:
        """(n,), positive for ``classes_[1]``: the margin, negated if that is not the sensitive class.

        With more than two classes (n, classes), the largest entry for the class predicted.
        """
        x = self.validated_rows(X)
        return self._decided(x, self._scores(x))

    def _decided(self, x: Any, scores: NDArray[np.float64]) -> NDArray[np.float64]:
        if self.naming_ is not None:
            return self.naming_.scores(self._features(x), scores)
        if scores.ndim == 2:
            return scores if len(self.classes_) > 2 else scores[:, 1] - scores[:, 0]
        return scores if self.sensitive_class_ == self.classes_[1] else -scores

    def predict(self, X: Any) -> NDArray[Any]:
        """(n,) labels. A margin of exactly zero is the other class, as in every certificate.

        Raises:
            UserError: a margin that is not a number; calling it the other class would be a guess.
        """
        return self.classify(self.validated_rows(X))

    def classify(self, x: Any) -> NDArray[Any]:
        """As :meth:`predict`, of rows that are checked already: (n, d) numbers in the order of ``fit``."""
        scores = self._scores(x)
        margin = self._margin(scores)
        if np.isnan(margin).any():
            raise UserError(
                f"the margin of row {int(np.isnan(margin).argmax())} is not a number: something overflows "
                "on the way; the row's numbers are too large for this model"
            )
        if self.naming_ is not None or scores.ndim == 2:
            best = scores if scores.ndim == 2 else self._decided(x, scores)
            named: NDArray[Any] = self.classes_[best.argmax(axis=1)]
            return named
        sensitive = self.sensitive_class_
        other = self.classes_[0] if sensitive == self.classes_[1] else self.classes_[1]
        return np.where(margin > 0, np.asarray(sensitive), np.asarray(other)).astype(
            self.classes_.dtype
        )

    def predict_proba(self, X: Any) -> NDArray[np.float64]:
        """(n, classes), a logistic function of the decision: an ordering, not a calibrated probability."""
        from scipy.special import expit, softmax

        decision = self.decision_function(X)
        if decision.ndim == 2:
            shares: NDArray[np.float64] = softmax(decision, axis=1)
            return shares
        return np.column_stack((expit(-decision), expit(decision)))
