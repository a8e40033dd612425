"""The record an attack returns."""

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from featureconvex.certificates.domain import Domain
from featureconvex.certificates.threats import Threat

if TYPE_CHECKING:
    import pandas as pd


@dataclass(frozen=True, eq=False)
class AttackResult:
    """For each of n inputs, a point of the domain that leaves the sensitive class, if one was found.

    Every number is measured again on the final point, in the model's own dtype, after the search.

    Attributes:
        adversarial: (n, ...) in the model's dtype: the flipped point where ``found``, else the point of
            lowest margin that the search kept.
        found: (n,) bool: inside the domain, within the budget if one was given, margin <= 0. True at
            distance 0 for inputs that are not sensitive to begin with.
        distance: (n,) float64 in the threat's budget units, an upper bound on the exact radius; nan
            where nothing was found.
        margin: (n,) float64, the model's margin at ``adversarial``.
        threat: the threat model.
        domain: the attacker's domain.
        budget: the budget given, None for the smallest.
        method: ``"descent"`` or ``"foolbox"``.
        table: of a detector or classifier that was given a data frame: its rows, with new cells where an
            attack that was found changed them; None for arrays, and where the threat moved a category to
            numbers between its levels.
    """

    adversarial: NDArray[Any]
    found: NDArray[np.bool_]
    distance: NDArray[np.float64]
    margin: NDArray[np.float64]
    threat: Threat
    domain: Domain
    budget: float | NDArray[np.float64] | None
    method: str
    table: "pd.DataFrame | None" = None

    def __post_init__(self) -> None:
        # Copies: a point that did not move may be the memory of the input.
        for name in ("adversarial", "found", "distance", "margin"):
            object.__setattr__(self, name, np.array(getattr(self, name)))
        if isinstance(self.budget, np.ndarray):
            object.__setattr__(self, "budget", self.budget.copy())

    def __len__(self) -> int:
        return len(self.found)
