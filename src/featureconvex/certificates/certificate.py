"""The record a certification returns."""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from enum import StrEnum
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from featureconvex.certificates.domain import Domain
from featureconvex.certificates.threats import Threat
from featureconvex.errors import UserError

if TYPE_CHECKING:
    import pandas as pd


class Status(StrEnum):
    """What was found for one input; the value is the word used in tables."""

    certified = "certified"
    """Predicted sensitive, with a positive radius."""
    not_sensitive = "not_sensitive"
    """Predicted the other class: nobody gains from leaving it, so there is nothing to certify."""
    boundary = "boundary"
    """The margin is zero, or too small to certify any budget: a tie is not certified."""
    non_finite = "non_finite"
    """The input, the margin or the gradient has a NaN or an infinity."""
    unknown_category = "unknown_category"
    """A category that training never saw, so there is no input to certify."""
    unreadable = "unreadable"
    """What stands there is no input: a word among numbers, a damaged file, a row with a cell too many."""
    too_large = "too_large"
    """A file with more bytes than the model takes: refused, not read in part."""
    outside_domain = "outside_domain"
    """The input is not a point of the attacker's domain, so a claim about the domain says nothing."""
    not_computed = "not_computed"
    """Predicted sensitive, but a number on the way to the radius overflowed: nothing is proved. Costs,
    weights or inputs are of extreme size; rescale them."""
    unbounded = "unbounded"
    """Predicted sensitive, and no point of the domain changes that: the radius is infinite."""


class Guarantee(StrEnum):
    """How much a radius can be trusted; results of different kinds must not share a column."""

    deterministic = "deterministic"
    """Holds in exact arithmetic; computed in floating point, so off by rounding."""
    sound = "deterministic, floating-point sound"
    """Holds for the stored weights and the stored input, rounding included."""
    probabilistic = "probabilistic"
    """Holds with a stated confidence over the method's own randomness."""
    empirical = "empirical"
    """No attack succeeded; nothing is proved."""


@dataclass(frozen=True, eq=False, repr=False)
class Certificate:
    """For each of n inputs, the budget below which no perturbation leaves the sensitive class.

    Attributes:
        radius: (n,) float64, proved, in the units of the raw input. Every perturbation inside the
            domain with budget strictly less than the radius keeps class 1. 0 where nothing is
            certified, inf where no point of the domain can flip the input.
        upper: (n,) float64, the budget of a successful attack; nan where none was computed.
        status: (n,) object array of :class:`Status`.
        margin: (n,) float64, ``g(phi(x)) + tau``.
        slope: (n,) float64, closed form only: ``radius = margin / slope``, for any threshold;
            nan at other levels.
        threat: the threat model.
        domain: the attacker's domain.
        level: ``"closed-form"``, ``"domain"``, ``"tight"`` or ``"sound"``.
        guarantee: what kind of promise ``radius`` is.
    """

    radius: NDArray[np.float64]
    upper: NDArray[np.float64]
    status: NDArray[np.object_]
    margin: NDArray[np.float64]
    slope: NDArray[np.float64]
    threat: Threat
    domain: Domain
    level: str
    guarantee: Guarantee

    def __post_init__(self) -> None:
        for name in ("radius", "upper", "status", "margin", "slope"):
            kind = object if name == "status" else None
            object.__setattr__(self, name, np.array(getattr(self, name), dtype=kind))
        n = self.radius.shape
        wrong = [
            f"{name} {getattr(self, name).shape}"
            for name in ("radius", "upper", "status", "margin", "slope")
            if getattr(self, name).shape != n or len(n) != 1
        ]
        if wrong:
            raise UserError(f"a certificate needs one entry per input, got {', '.join(wrong)}")
        if not (self.radius >= 0).all():
            raise UserError("a radius must be >= 0 (0 where nothing is certified), never nan")

    def __len__(self) -> int:
        return len(self.radius)

    def __repr__(self) -> str:
        proved = self.radius[self.radius > 0]
        # Of halves: the sum of two radii may overflow.
        median = f", median radius {2 * np.median(proved / 2):.4g}" if len(proved) else ""
        return (
            f"Certificate({self.threat}, level={self.level!r}: {len(proved)} of {len(self)} "
            f"certified{median})"
        )

    def certified_at(self, radius: float) -> NDArray[np.bool_]:
        """(n,) bool: certified for every budget strictly less than ``radius``."""
        return (self.radius > 0) & (self.radius >= radius)

    def to_frame(self) -> "pd.DataFrame":
        """One row per input: radius, upper, status, margin, threat, domain, level, guarantee."""
        import pandas as pd

        columns: dict[str, Any] = {
            "radius": self.radius,
            "upper": self.upper,
            "status": [str(status) for status in self.status],
            "margin": self.margin,
            "threat": str(self.threat),
            "domain": str(self.domain),
            "level": self.level,
            "guarantee": str(self.guarantee),
        }
        return pd.DataFrame(columns)


def joined(parts: Sequence[Certificate]) -> Certificate:
    """Certificates of one threat, domain and level, as one of all rows in order."""
    names = ("radius", "upper", "status", "margin", "slope")
    columns: dict[str, Any] = {
        name: np.concatenate([getattr(part, name) for part in parts]) for name in names
    }
    return replace(parts[0], **columns)
