"""Every level keeps the laws of a certificate, in every kind of threat, domain and map that it takes.

The levels' own files add the exact cases; here is the table of combinations.
"""

import math
from collections.abc import Callable
from functools import partial
from typing import Any

import pytest
import torch
from torch import Tensor

from featureconvex import L0, Box, FeatureConvexModel, Lp, Patch, Unbounded, certify
from featureconvex.certificates import Certificate, Domain, Threat
from featureconvex.certificates.levels import Domain as DomainLevel
from featureconvex.certificates.levels import Level, Sound, Tight
from featureconvex.features import AbsConcat, Center, Compose, FeatureMap, Identity
from featureconvex.nn import ConvexMLP
from featureconvex.testing import CERTIFICATE_LAWS, CertificateCase, Law, balanced, grid

X = grid((4, 4), 2**-8, seed=60)
IN_BOX = X.abs().clamp(0, 1)
COST = torch.tensor([0.5, 2.0, math.inf, 1.0], dtype=torch.float64)
WHERE: dict[str, tuple[Domain, Tensor]] = {
    "free": (Unbounded(), X),
    "box": (Box(0, 1), IN_BOX),
    "one way": (
        Box(0, 1, immutable=[False, True, False, False], direction=[1, 0, -1, 0]),
        IN_BOX,
    ),
    "growing": (Box(0, math.inf, direction=1), IN_BOX),
}
LP: tuple[Threat, ...] = (Lp(1), Lp(2), Lp(math.inf, COST))
COUNTS: tuple[Threat, ...] = (L0(), L0([0, 1, 1, 2]), Patch(2))


def absolute() -> FeatureMap:
    return Compose(Center(0.25), AbsConcat())


def model(phi: Callable[[], FeatureMap], x: Tensor, lift: float) -> FeatureConvexModel:
    net = ConvexMLP(8 if phi is absolute else 4, (6, 4))
    found = balanced(FeatureConvexModel(phi(), net), x).double()
    # Counts and windows need a margin that survives the loss of whole coordinates.
    found.tau += lift
    return found


# Level, maps, threats, domains, how well radii repeat: an ascent with a finite number of steps follows the
# cost and the margin roughly, a proof with rounding nearly.
TABLE: tuple[tuple[Level, tuple[Callable[[], FeatureMap], ...], Any, tuple[str, ...], float], ...] = (
    (Tight(iterations=8), (Identity,), LP, ("one way",), 2e-2),
    (Tight(iterations=8), (Identity,), LP[1:], ("growing",), 2e-2),
    (Tight(iterations=8), (Identity,), LP[:1], ("free",), 2e-2),
    (Tight(iterations=8), (Identity,), COUNTS, ("one way",), 2e-2),
    (Tight(iterations=4), (absolute,), LP, ("box",), 2e-2),
    (Tight(iterations=4), (absolute,), COUNTS, ("box",), 2e-2),
    (DomainLevel(), (Identity, absolute), COUNTS, ("one way", "box"), 1e-9),
    (DomainLevel(), (Identity, absolute), LP, ("growing",), 1e-4),
    (Sound(), (Identity, absolute), LP, ("one way",), 1e-6),
    (Sound(), (Identity, absolute), COUNTS, ("box",), 1e-6),
    (Sound("closed-form"), (Identity,), LP, ("free",), 1e-6),
    (Sound(Tight(iterations=4)), (Identity,), (LP[1], COUNTS[0]), ("box",), 2e-2),
)  # fmt: skip


def make_cases() -> dict[str, CertificateCase]:
    cases = {}
    for level, maps, threats, domains, tolerance in TABLE:
        run: Any = partial(certify, level=level)
        for phi in maps:
            for threat in threats:
                for where in domains:
                    domain, x = WHERE[where]
                    lift = 0.0 if isinstance(threat, Lp) else 1.0
                    kind = (
                        f"{level.name}-{level.base.name}"
                        if isinstance(level, Sound)
                        else level.name
                    )
                    cases[f"{kind} {phi.__name__} {threat!r} {where}"] = CertificateCase(
                        partial(model, phi, x, lift), x, threat, domain, run, tolerance=tolerance
                    )
    return cases


CASES = make_cases()


# Rounding leaves a constant network a slope, and only a border stops it.
NOT_HELD = {"sound-closed-form": "a_constant_is_unbounded"}


@pytest.mark.parametrize("name", CASES)
def test_laws(name: str) -> None:
    broken = []
    for law in CERTIFICATE_LAWS:
        if law.__name__ == NOT_HELD.get(name.split(" ")[0]):
            continue
        try:
            law(CASES[name])
        except AssertionError as error:
            broken.append(f"{law.__name__}: {error}")
    assert not broken, "\n".join(broken)


@pytest.mark.parametrize("level", ["domain", "tight", "sound"])
@pytest.mark.parametrize("threat", [Lp(2), L0()])
def test_planted_larger_radii_are_caught(level: str, threat: Threat) -> None:
    """Three times a length, or all coordinates at once, break the attack's law."""
    law: Law[CertificateCase] = CERTIFICATE_LAWS[0]
    lengths = isinstance(threat, Lp)

    def more(m: FeatureConvexModel, x: Tensor, threat: Threat, domain: Domain) -> Certificate:
        found = certify(m, x, threat, domain, level)
        larger = 3 * found.radius if lengths else 4.0 * (found.margin > 0)
        object.__setattr__(found, "radius", larger)
        return found

    domain, x = WHERE["box"]
    case = CertificateCase(partial(model, Identity, x, 0.0), x, threat, domain, more)
    with pytest.raises(AssertionError, match="violated"):
        law(case)
