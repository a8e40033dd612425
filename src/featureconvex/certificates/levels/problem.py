"""What a level is given, and what it answers."""

from dataclasses import dataclass, field, replace
from typing import Any, Self

import torch
from torch import Tensor

from featureconvex.certificates.domain import Domain
from featureconvex.certificates.minorant import Minorant
from featureconvex.certificates.threats import Threat
from featureconvex.models.model import FeatureConvexModel


@dataclass(frozen=True)
class Problem:
    """One batch to certify against one threat.

    Attributes:
        model: in eval mode, proved convex.
        x: (n, ...) in the model's dtype. Rows may be non-finite, outside the domain or not
            sensitive; whatever a level answers for those is replaced by a status.
        threat: what the budget measures.
        domain: where the attacker may move.
        tangent: the tangent minorant at ``x``, computed once for all threats.
        shared: what a level keeps for the other threats of the same batch.
    """

    model: FeatureConvexModel
    x: Tensor
    threat: Threat
    domain: Domain
    tangent: Minorant
    shared: dict[Any, Any] = field(default_factory=dict, compare=False)

    def rows(self, index: Tensor | slice, **changes: Any) -> Self:
        """Some of the inputs with their own domain; ``changes`` replace other parts."""
        return replace(self, x=self.x[index], **{"domain": self.domain.rows(index), **changes})

    def bounds(self) -> tuple[Tensor, Tensor]:
        """The interval of every coordinate, two (n, ...) float64: where domain and threat leave it room."""
        return self.threat.within(*self.domain.bounds(self.x))


@dataclass(frozen=True)
class Bound:
    """A level's answer, row by row.

    Attributes:
        radius: (n,) float64, proved; 0 where nothing is, nan where numbers on the way overflowed.
        minorant: the affine minorant that proves the radius.
        upper: (n,) float64, budget of a successful attack, nan where none.
        slope: (n,) float64, closed form only.
        multiplier: (n,) float64, of the dual that proves the radius: nan where none was searched for.
    """

    radius: Tensor
    minorant: Minorant
    upper: Tensor
    slope: Tensor
    multiplier: Tensor

    @staticmethod
    def of(
        radius: Tensor,
        minorant: Minorant,
        upper: Tensor | None = None,
        slope: Tensor | None = None,
        multiplier: Tensor | None = None,
    ) -> "Bound":
        """A bound whose missing parts are nan."""
        missing = torch.full_like(radius, torch.nan)
        return Bound(
            radius,
            minorant,
            missing if upper is None else upper,
            missing if slope is None else slope,
            missing if multiplier is None else multiplier,
        )


@dataclass(frozen=True)
class Proof:
    """A bound, and its minorants as numbers that anyone can check.

    Attributes:
        bound: radius, minorant and upper bound per row.
        choices: the minorant of every nonlinear call of the network, in the order of evaluation; see
            :class:`~featureconvex.certificates.relaxation.Relaxation`. Any numbers near a valid
            choice name a minorant, so rounding them costs sharpness, never validity. None: the tangents
            at x.
    """

    bound: Bound
    choices: list[Tensor] | None = None


def or_not_computed(radius: Tensor, steepest: Tensor) -> Tensor:
    """The radius (n,) of an Lp threat, nan where it is 0 because the slope (n,) is no finite number."""
    return radius.masked_fill((radius == 0) & ~torch.isfinite(steepest), torch.nan)
