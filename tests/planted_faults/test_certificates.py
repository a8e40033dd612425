"""Faulty certificates and threats: each turns the law it breaks red (see ``test_suite.py``)."""

import dataclasses
import math
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
from torch import Tensor, nn

from featureconvex import (
    Box,
    Certificate,
    FeatureConvexModel,
    Lp,
    Status,
    Unbounded,
    certify,
    levels,
)
from featureconvex.certificates import Domain, Threat
from featureconvex.certificates.levels import Level
from featureconvex.features import AbsConcat, Center, Compose, Identity
from featureconvex.nn import Card, ConvexMLP, Curvature, MaxAffine, card
from featureconvex.norms import dual_exponent, vector_norm
from featureconvex.testing import (
    CertificateCase,
    ThreatCase,
    balanced,
    grid,
)
from featureconvex.testing import certificate as certificate_laws
from featureconvex.testing import threat as threat_laws

INPUTS = grid((16, 3), 2**-8, seed=50)


class ThroughAbs(AbsConcat):
    """The gradient chained through |.|, with constant 1: the fault the paper's proof excludes."""

    def sensitivity(self, v: Tensor, p: float, cost: Tensor | None = None) -> Tensor:
        first, second = v.double().chunk(2, dim=1)
        pulled = first + second
        return vector_norm(pulled if cost is None else pulled / cost, dual_exponent(p))


def absolute() -> FeatureConvexModel:
    model = FeatureConvexModel(Compose(Center(0.25), AbsConcat()), ConvexMLP(6, (8, 5)))
    return balanced(model, INPUTS)


def through_abs() -> FeatureConvexModel:
    model = FeatureConvexModel(Compose(Center(0.25), ThroughAbs()), ConvexMLP(6, (8, 5)))
    return balanced(model, INPUTS)


def linear() -> FeatureConvexModel:
    return balanced(FeatureConvexModel(Identity(), MaxAffine(3, 1)), INPUTS)


def network() -> FeatureConvexModel:
    return balanced(FeatureConvexModel(Identity(), ConvexMLP(3, (8, 5))), INPUTS)


def changed(
    edit: Callable[[Certificate, FeatureConvexModel, Tensor], dict[str, Any]],
    level: str | Level = "closed-form",
) -> Any:
    """``certify`` with some columns of the record replaced."""

    def faulty(model: FeatureConvexModel, x: Tensor, threat: Threat, domain: Domain) -> Certificate:
        cert = certify(model, x, threat, domain, level)
        return dataclasses.replace(cert, **edit(cert, model, x))

    return faulty


def wrong_dual(cert: Certificate, model: FeatureConvexModel, x: Tensor) -> dict[str, Any]:
    from featureconvex.certificates import tangent

    assert isinstance(cert.threat, Lp)
    slope = vector_norm(tangent(model, x).slope, cert.threat.p).numpy()
    return {"radius": np.where(cert.radius > 0, cert.margin / slope, 0.0)}


def relabel(cert: Certificate, old: str, new: Status) -> dict[str, Any]:
    return {"status": np.array([new if s == old else s for s in cert.status], dtype=object)}


def ties_certified(cert: Certificate, *_: Any) -> dict[str, Any]:
    tie = cert.margin == 0
    return {
        "radius": np.where(tie, 1e-9, cert.radius),
        "status": np.where(tie, Status.certified, cert.status),
    }


def standard_units(cert: Certificate, _: FeatureConvexModel, x: Tensor) -> dict[str, Any]:
    """A radius in units of the inputs' own spread instead of the raw input's."""
    return {"radius": cert.radius / float(x.std())}


def batch_minimum(cert: Certificate, *_: Any) -> dict[str, Any]:
    promised = cert.radius > 0
    least = cert.radius[promised].min() if promised.any() else 0.0
    return {"radius": np.where(promised, least, 0.0)}


def ignores_cost(
    model: FeatureConvexModel, x: Tensor, threat: Threat, domain: Domain
) -> Certificate:
    assert isinstance(threat, Lp)
    return certify(model, x, Lp(threat.p), domain)


def ignores_domain(model: FeatureConvexModel, x: Tensor, threat: Threat, _: Domain) -> Certificate:
    return certify(model, x, threat, Unbounded())


def trains(model: FeatureConvexModel, x: Tensor, threat: Threat, domain: Domain) -> Certificate:
    model.eval()
    return certify(model, x, threat, domain)


def cert(make: Callable[[], FeatureConvexModel] = network, **more: Any) -> CertificateCase:
    return CertificateCase(make, INPUTS, **more)


def linear_truth(model: FeatureConvexModel, x: Tensor) -> np.ndarray:
    net = model.convex_net
    assert isinstance(net, MaxAffine)
    w = net.affine.weight.detach()[0]
    margin = (x @ w + net.affine.bias.detach()).double() + model.tau
    radius: np.ndarray = (margin / w.norm()).clamp_min(0).numpy()
    return radius


def known_upper(cert: Certificate) -> np.ndarray:
    """The upper end in place of the radius, by how much it is above it and a little more."""
    return np.where(np.isnan(cert.upper), cert.radius, np.maximum(cert.upper, 1.001 * cert.radius))


def halved(cert: Certificate, *_: Any) -> dict[str, Any]:
    return {
        "radius": cert.radius / 2,
        "upper": np.where(cert.radius > 0, cert.radius / 2, math.nan),
    }


ATTACKED = certificate_laws.holds_against_an_attack
IN_TRUTH = certificate_laws.never_above_the_truth
IN_BRACKET = certificate_laws.the_truth_is_in_the_bracket
more = changed(lambda c, *_: {"radius": c.radius * 1.01})
CERTIFICATE_FAULTS = {
    "radius x 1.01": (ATTACKED, cert(linear, certify=more)),
    "radius x 1.01 (truth)": (
        certificate_laws.never_above_the_truth,
        cert(linear, certify=more, truth=linear_truth),
    ),
    "radius x 0.99 of a tight method": (
        certificate_laws.never_above_the_truth,
        cert(
            linear,
            certify=changed(lambda c, *_: {"radius": c.radius * 0.99}),
            truth=linear_truth,
            tight=True,
        ),
    ),
    "wrong dual norm, linf": (
        ATTACKED,
        cert(linear, threat=Lp(math.inf), certify=changed(wrong_dual)),
    ),
    "gradient through |.|": (ATTACKED, cert(through_abs, threat=Lp(math.inf))),
    "cost ignored": (ATTACKED, cert(threat=Lp(2, [0.2, 0.5, 0.3]), certify=ignores_cost)),
    "cost ignored (scaling)": (certificate_laws.scales_with_the_cost, cert(certify=ignores_cost)),
    "other units": (certificate_laws.scales_with_the_units, cert(certify=changed(standard_units))),
    "not monotone in the margin": (
        certificate_laws.grows_with_the_margin,
        cert(certify=changed(lambda c, *_: {"radius": np.sin(c.radius) ** 2})),
    ),
    "rows mix": (certificate_laws.treats_rows_alone, cert(certify=changed(batch_minimum))),
    "ties certified": (certificate_laws.statuses_are_true, cert(certify=changed(ties_certified))),
    "not_sensitive called certified": (
        certificate_laws.statuses_are_true,
        cert(certify=changed(lambda c, *_: relabel(c, "not_sensitive", Status.certified))),
    ),
    "non_finite called not_sensitive": (
        certificate_laws.statuses_are_true,
        cert(certify=changed(lambda c, *_: relabel(c, "non_finite", Status.not_sensitive))),
    ),
    "boundary called not_sensitive": (
        certificate_laws.statuses_are_true,
        cert(certify=changed(lambda c, *_: relabel(c, "boundary", Status.not_sensitive))),
    ),
    "another margin": (
        certificate_laws.statuses_are_true,
        cert(certify=changed(lambda c, *_: {"margin": c.margin + 0.1})),
    ),
    "inf capped": (
        certificate_laws.a_constant_is_unbounded,
        cert(
            certify=changed(
                lambda c, *_: {
                    "radius": np.minimum(c.radius, 1e6),
                    "status": np.full(len(c), Status.certified, dtype=object),
                }
            )
        ),
    ),
    "outside the domain certified": (
        certificate_laws.outside_the_domain_is_said,
        cert(domain=Box(-8, 8), certify=ignores_domain),
    ),
    "leaves eval mode behind": (certificate_laws.leaves_the_model_alone, cert(certify=trains)),
    "certifies nothing": (
        ATTACKED,
        cert(
            certify=changed(
                lambda c, *_: {
                    "radius": 0 * c.margin,
                    "status": np.full(len(c), Status.boundary, dtype=object),
                }
            )
        ),
    ),
}


# The levels that search and those that prove: their laws are the same, and so are the ways to break them.
SEARCHED: dict[str, Level] = {
    "tight": levels.Tight(iterations=6),
    "sound": levels.Sound("domain"),
    "sound on tight": levels.Sound(levels.Tight(iterations=6)),
    "sound in float32": levels.Sound("domain", "float32"),
}


def larger(by: float) -> Any:
    return lambda c, *_: {"radius": c.radius * by}


LEVEL_FAULTS: dict[str, tuple[Any, CertificateCase]] = {
    f"{fault}, {name}": (law, cert(linear, certify=changed(edit, level), **options))
    for name, level in SEARCHED.items()
    for fault, law, edit, options in (
        ("radius x 1.01", ATTACKED, larger(1.01), {}),
        ("radius x 1.01 (truth)", IN_TRUTH, larger(1.01), {"truth": linear_truth}),
        ("wrong dual norm, linf", ATTACKED, wrong_dual, {"threat": Lp(math.inf)}),
        (
            "too small where it claims to be exact",
            IN_TRUTH,
            larger(0.97),
            {"truth": linear_truth, "tight": True, "tolerance": 0.02},
        ),
    )
}
# Faults of a bracket: closed from the wrong side.
LEVEL_FAULTS |= {
    f"{fault}, {name}": (
        law,
        cert(linear, certify=changed(edit, SEARCHED[name]), truth=linear_truth),
    )
    for name in ("tight", "sound on tight")
    for fault, law, edit in (
        ("the upper end taken for the radius", ATTACKED, lambda c, *_: {"radius": known_upper(c)}),
        ("the upper end on a smaller radius", IN_BRACKET, halved),
        ("an upper end below", IN_BRACKET, lambda c, *_: {"upper": c.upper * 0.9}),
    )
}


@pytest.mark.parametrize("name", LEVEL_FAULTS)
def test_a_faulty_level_is_caught(name: str) -> None:
    law, case = LEVEL_FAULTS[name]
    with pytest.raises(AssertionError):
        law(case)


@pytest.mark.parametrize("name", SEARCHED)
def test_the_same_levels_without_the_fault_pass(name: str) -> None:
    run = changed(lambda *_: {}, SEARCHED[name])
    for threat in (Lp(1), Lp(2), Lp(math.inf)):
        truth = linear_truth if threat.p == 2 else None
        for law in (ATTACKED, IN_TRUTH, IN_BRACKET):
            law(cert(linear, threat=threat, certify=run, truth=truth, tight=True, tolerance=0.02))


@pytest.mark.parametrize("name", CERTIFICATE_FAULTS)
def test_a_faulty_certificate_is_caught(name: str) -> None:
    law, case = CERTIFICATE_FAULTS[name]
    with pytest.raises(AssertionError):
        law(case)


@pytest.mark.parametrize("make", [linear, absolute, network])
def test_the_same_models_without_the_fault_pass(make: Callable[[], FeatureConvexModel]) -> None:
    for p in (1, 2, math.inf):
        certificate_laws.check_certificate(cert(make, threat=Lp(p)))


def test_a_network_that_is_not_convex_is_caught_by_the_attack() -> None:
    """The proof can be fooled by a wrong rule; the attack is not."""

    def concave() -> FeatureConvexModel:
        return balanced(FeatureConvexModel(Identity(), Concave()), INPUTS, share=0.9)

    with pytest.raises(AssertionError, match="violated"):
        ATTACKED(cert(concave))


class Concave(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.linear = nn.Linear(3, 3)

    def forward(self, u: Tensor) -> Tensor:
        out: Tensor = -(self.linear(u) ** 2).sum(1)
        return out


@card(Concave)
class WrongCard(Card[Concave]):
    def curvature(self, module: Concave) -> Curvature:
        return Curvature(affine=False, nondecreasing=False)


# Threats.


class NoClip(Lp):
    def project(self, delta: Tensor, budget: Tensor, lo: Tensor, hi: Tensor) -> Tensor:
        return delta * (budget / self.measure(delta).clamp_min(1e-300)).clamp_max(1)[:, None]


class NoBudget(Lp):
    def project(self, delta: Tensor, budget: Tensor, lo: Tensor, hi: Tensor) -> Tensor:
        return delta.clamp(lo, hi)


class Signed(Lp):
    def measure(self, delta: Tensor) -> Tensor:
        return delta.flatten(1).sum(1).double()


THREAT_FAULTS = {
    "projects outside the domain": (threat_laws.projects_into_the_budget, NoClip),
    "projects outside the budget": (threat_laws.projects_into_the_budget, NoBudget),
    "a signed budget": (threat_laws.measures_what_it_says, Signed),
}


@pytest.mark.parametrize("name", THREAT_FAULTS)
def test_a_faulty_threat_is_caught(name: str) -> None:
    law, kind = THREAT_FAULTS[name]
    with pytest.raises(AssertionError):
        law(ThreatCase(lambda: kind(2), (3,), domain=Box(0, 1)))
