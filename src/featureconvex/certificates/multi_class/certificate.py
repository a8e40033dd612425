"""The record of a certification of classes."""

from collections.abc import Iterable
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from featureconvex.certificates.certificate import Certificate
from featureconvex.errors import UserError
from featureconvex.given import whole_number

if TYPE_CHECKING:
    import pandas as pd


@dataclass(frozen=True, eq=False, repr=False)
class ClassCertificate(Certificate):
    """For each of n inputs, the budget below which the predicted class stays the largest score.

    As :class:`~featureconvex.Certificate`, with class 1 read as "the class predicted here": ``radius`` is
    the least entry of ``away`` among the other classes, ``margin`` the predicted class's score less the
    next largest one.

    Attributes:
        predicted: (n,) int, the class of the largest score.
        away: (n, classes) float64: no perturbation inside the domain with budget strictly less than
            ``away[i, j]`` makes row i class j. 0 for the class that it is, and where nothing is proved.
    """

    predicted: NDArray[np.int64]
    away: NDArray[np.float64]

    def __post_init__(self) -> None:
        super().__post_init__()
        for name in ("predicted", "away"):
            object.__setattr__(self, name, np.array(getattr(self, name)))
        n = len(self.radius)
        if self.predicted.shape != (n,) or self.away.ndim != 2 or len(self.away) != n:
            raise UserError(
                "a certificate of classes needs one prediction and one row of away per input"
            )

    def within(self, classes: Iterable[int]) -> NDArray[np.float64]:
        """(n,): the budget below which the prediction stays among ``classes``; 0 where it is none of them.

        Args:
            classes: numbers of classes, such as all families of malware.

        Raises:
            UserError: no class, one that there is not, or labels or bools in place of numbers.
        """
        kept = chosen_classes("classes", classes, self.away.shape[1])
        least = self.away[:, ~kept].min(axis=1, initial=np.inf)
        return np.where(kept[self.predicted] & self._usable, least, 0.0)

    @property
    def nearest(self) -> NDArray[np.intp]:
        """(n,): the class that each row is proved to be nearest to, of those that it is not."""
        others = self.away.copy()
        others[np.arange(len(others)), self.predicted] = np.inf
        # Of infinite ones the first, but never the row's own class.
        tied = np.where(np.isinf(others), np.finfo(np.float64).max, others)
        tied[np.arange(len(others)), self.predicted] = np.inf
        found: NDArray[np.intp] = tied.argmin(axis=1)
        return found

    @property
    def _usable(self) -> NDArray[np.bool_]:
        """(n,): rows whose input counts: finite, inside the domain, not a tie."""
        usable: NDArray[np.bool_] = np.any(self.away > 0, axis=1)
        return usable

    def to_frame(self) -> "pd.DataFrame":
        """One row per input: as the base class's, then ``predicted`` and ``away_J`` for every class."""
        frame = super().to_frame()
        frame.insert(0, "predicted", self.predicted)
        for j in range(self.away.shape[1]):
            frame[f"away_{j}"] = self.away[:, j]
        return frame


def chosen_classes(name: str, classes: Iterable[int], count: int) -> NDArray[np.bool_]:
    """(count,): which of a model's classes a caller names by their numbers.

    Raises:
        UserError: no class, one that there is not, or labels or bools in place of numbers.
    """
    given: object = classes
    if isinstance(given, str) or not isinstance(given, Iterable):
        raise UserError(f"{name} must be a list of numbers of classes, got {given!r}")
    chosen = np.zeros(count, dtype=bool)
    for number in classes:
        at = whole_number(f"{name} (0 is the first of the model)", number, 0)
        if at >= count:
            raise UserError(
                f"{name}: there is no class {at}; the model has classes 0 to {count - 1}"
            )
        chosen[at] = True
    if not chosen.any():
        raise UserError(f"{name} names no class")
    return chosen
