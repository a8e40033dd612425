"""What a shard of the campaign certifies and attacks."""

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field

from torch import Tensor

from featureconvex.certificates import L0, Domain, Threat
from featureconvex.models.model import FeatureConvexModel

Setting = tuple[Threat, Domain]
# Exponents with a name of their own, and ranges of the others.
NAMED = (1.0, 1.5, 2.0, 3.0, 4.0, math.inf)
RANGES = (
    (1.02, "lp, p < 1.02"),
    (2.0, "lp, p < 2"),
    (10.0, "lp, p < 10"),
    (math.inf, "lp, p >= 10"),
)


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
        tight_every: one setting of so many is certified at level ``tight``, too.
        remake: a fresh copy of the model, where laws, threads and intruders are tried as well.
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
    tight_every: int = 2
    remake: Callable[[], FeatureConvexModel] | None = None


@dataclass(frozen=True)
class Claim:
    """One way to certify.

    Attributes:
        level: as for :func:`featureconvex.certify`.
        arithmetic: what the radius is about: exact numbers, or the decision of a machine.
        base: of level ``sound``.
    """

    level: str
    arithmetic: str = "real"
    base: str = "domain"

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
    if threat.exponent is not None and not bounded:
        claims += [Claim("closed-form"), Claim("sound", "real", "closed-form")]
    if tight:
        claims += [Claim("tight"), Claim("sound", "real", "tight")]
    return claims


def threat_name(threat: Threat) -> str:
    """``l2``, ``l2 with costs``, ``l0 of groups``, ``patch-2``; rare exponents by their range."""
    if (p := threat.exponent) is not None:
        name = threat.name if p in NAMED else next(n for top, n in RANGES if p < top)
        return name if threat.cost is None else f"{name} with costs"
    grouped = isinstance(threat, L0) and threat.groups is not None
    return f"{threat.name} of groups" if grouped else threat.name
