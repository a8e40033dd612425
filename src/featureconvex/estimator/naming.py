"""Which of several classes a flagged row is, and which one that is not: names without certificates.

A detector of a set of classes proves that a row stays in the set. The name within the set, or within the
rest, comes from a multinomial logistic regression on the detector's features, one for each side.
"""

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray
from sklearn.linear_model import LogisticRegression

# Steps of the solver, which ends earlier on features of about unit size.
STEPS = 500


@dataclass(frozen=True)
class Side:
    """The classes on one side of a detector.

    Attributes:
        classes: their numbers, (m,).
        coefficients: (m, features); empty where there is only one class.
        intercepts: (m,).
    """

    classes: NDArray[np.intp]
    coefficients: NDArray[np.float64]
    intercepts: NDArray[np.float64]

    @staticmethod
    def fit(features: NDArray[np.float64], y: NDArray[np.intp]) -> "Side":
        """From features (n, q) and the numbers of their classes (n,)."""
        classes = np.unique(y)
        if len(classes) == 1:
            return Side(classes, np.zeros((1, features.shape[1])), np.zeros(1))
        found = LogisticRegression(max_iter=STEPS).fit(features, y)
        coefficients, intercepts = found.coef_, found.intercept_
        if len(classes) == 2:  # one row, for the second class
            coefficients = np.concatenate((-coefficients, coefficients)) / 2
            intercepts = np.concatenate((-intercepts, intercepts)) / 2
        return Side(classes, coefficients, intercepts)

    def scores(self, features: NDArray[np.float64]) -> NDArray[np.float64]:
        """(n, m): by how much each class's score is below the best one, at most 0."""
        scores = features @ self.coefficients.T + self.intercepts
        found: NDArray[np.float64] = scores - scores.max(axis=1, keepdims=True)
        return found

    def stored(self) -> dict[str, Any]:
        """Plain values."""
        return {
            "classes": self.classes.tolist(),
            "coefficients": self.coefficients.tolist(),
            "intercepts": self.intercepts.tolist(),
        }

    @staticmethod
    def from_stored(stored: dict[str, Any]) -> "Side":
        """Undo :meth:`stored`.

        Raises:
            ValueError: shapes that do not fit each other.
        """
        side = Side(
            np.array(stored["classes"], dtype=np.intp),
            np.array(stored["coefficients"], dtype=np.float64),
            np.array(stored["intercepts"], dtype=np.float64),
        )
        rows = (len(side.classes),)
        if side.coefficients.ndim != 2 or len(side.coefficients) != rows[0]:
            raise ValueError("naming: coefficients do not have one row per class")
        if side.intercepts.shape != rows:
            raise ValueError("naming: intercepts do not fit the classes")
        if not (np.isfinite(side.coefficients).all() and np.isfinite(side.intercepts).all()):
            raise ValueError("naming: a coefficient or an intercept is not finite")
        return side


@dataclass(frozen=True)
class Naming:
    """Both sides of a detector of several classes."""

    sensitive: Side
    others: Side

    @staticmethod
    def fit(
        features: NDArray[np.float64], y: NDArray[np.intp], sensitive: NDArray[np.bool_]
    ) -> "Naming":
        """From features (n, q), the numbers of classes (n,), and which rows are of a sensitive one."""
        return Naming(
            Side.fit(features[sensitive], y[sensitive]),
            Side.fit(features[~sensitive], y[~sensitive]),
        )

    def scores(
        self, features: NDArray[np.float64], margin: NDArray[np.float64]
    ) -> NDArray[np.float64]:
        """(n, classes): the largest entry is on the detector's side, whatever the names are.

        Args:
            features: (n, q).
            margin: (n,) of the detector; 0 is the other side, as in every certificate.
        """
        count = len(self.sensitive.classes) + len(self.others.classes)
        scores = np.full((len(features), count), np.nan)
        tie = np.finfo(np.float64).tiny
        held = np.where(margin > 0, margin, np.minimum(margin, -tie))[:, None]
        scores[:, self.sensitive.classes] = held + self.sensitive.scores(features)
        scores[:, self.others.classes] = self.others.scores(features) - held
        return scores

    def stored(self) -> dict[str, Any]:
        """Plain values, for a model file."""
        return {"sensitive": self.sensitive.stored(), "others": self.others.stored()}

    @staticmethod
    def from_stored(stored: dict[str, Any]) -> "Naming":
        """Undo :meth:`stored`.

        Raises:
            ValueError: shapes that do not fit each other.
        """
        sides = Side.from_stored(stored["sensitive"]), Side.from_stored(stored["others"])
        numbers = sorted([*sides[0].classes.tolist(), *sides[1].classes.tolist()])
        if numbers != list(range(len(numbers))):
            raise ValueError("naming: the classes are not 0 to n - 1")
        return Naming(*sides)
