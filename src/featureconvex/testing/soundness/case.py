"""What a shard of the campaign certifies and attacks."""

from collections.abc import Sequence
from dataclasses import dataclass, field

from torch import Tensor

from featureconvex.certificates import L0, Domain, Lp, Threat
from featureconvex.model import FeatureConvexModel

Setting = tuple[Threat, Domain]


@dataclass(frozen=True)
class Case:
    """A model, points, and the threats it is to withstand.

    Attributes:
        architecture: of the network, for the tables.
        features: the feature map, likewise.
        origin: how the weights came about: a style of random weights, or a training task.
        model: in eval mode.
        x: (n, ...) in the model's dtype.
        settings: threats, each in a domain that holds every point.
        slope: (n, ...) float64, the exact gradient where a computed one would be rounding; None elsewhere.
        foolbox: indices of the settings to attack with foolbox, too.
        seed: of attacks.
    """

    architecture: str
    features: str
    origin: str
    model: FeatureConvexModel
    x: Tensor
    settings: Sequence[Setting]
    slope: Tensor | None = None
    foolbox: Sequence[int] = field(default_factory=tuple)
    seed: int = 0


@dataclass(frozen=True)
class Claim:
    """One way to certify.

    Attributes:
        level: as for :func:`featureconvex.certify`.
        arithmetic: what the radius is about: exact numbers, or the decision of a machine.
        rests_on: of level ``sound``.
    """

    level: str
    arithmetic: str = "real"
    rests_on: str = "domain"

    @property
    def name(self) -> str:
        """As in tables: ``sound (float32)``."""
        return f"{self.level} ({self.arithmetic})" if self.level == "sound" else self.level


SOUND = tuple(Claim("sound", arithmetic) for arithmetic in ("real", "float32", "float64"))


def claims_for(threat: Threat, bounded: bool, tight: bool) -> list[Claim]:
    """Every level that knows the threat.

    Args:
        threat: what the budget measures.
        bounded: whether the domain is more than everywhere; the closed form is blind to it.
        tight: whether to spend time on level ``tight``.
    """
    claims = [Claim("domain"), *SOUND]
    if isinstance(threat, Lp) and not bounded:
        claims += [Claim("closed-form"), Claim("sound", "real", "closed-form")]
    if tight:
        claims += [Claim("tight"), Claim("sound", "real", "tight")]
    return claims


def threat_name(threat: Threat) -> str:
    """``l2``, ``l2 with costs``, ``l0 of groups``, ``patch-2``."""
    if threat.cost is not None:
        return f"{threat.name} with costs"
    grouped = isinstance(threat, L0) and threat.groups is not None
    return f"{threat.name} of groups" if grouped else threat.name


def whole(threat: Threat) -> bool:
    """Whether the budget is a count: a radius r then covers budgets up to r, not only below."""
    return not isinstance(threat, Lp)
