"""A threat of a user's own: one class, every level, or a refusal that names what is missing."""

import itertools
import math
from collections.abc import Callable
from functools import partial

import numpy as np
import pytest
import torch
from tests.certificates.levels.test_domain_aware import Waves
from torch import Tensor

import featureconvex as fc
from featureconvex.certificates.drops import Curves
from featureconvex.features import AbsConcat, Center, Compose, FeatureMap, Identity, Scattering
from featureconvex.nn import ConvexMLP, MaxAffine
from featureconvex.testing import (
    CertificateCase,
    ThreatCase,
    balanced,
    check_certificate,
    check_threat,
    grid,
)

X = grid((6, 4), 2**-8, seed=120).abs().clamp(0, 1)
BOX = fc.Box(0, 1)


class Rises(fc.Threat):
    """At most so many coordinates rise, each by at most ``most``."""

    counts = True
    name = "rises"

    def __init__(self, most: float) -> None:
        self.most = most

    def __repr__(self) -> str:
        return f"Rises({self.most:g})"

    def measure(self, delta: Tensor) -> Tensor:
        flat = delta.double().flatten(1)
        allowed = ((flat >= 0) & (flat <= self.most)).all(1)
        return (flat != 0).double().sum(1).where(allowed, math.inf)

    def worst_drop(self, drops: Curves, budget: Tensor) -> Tensor:
        each = drops.at(torch.full_like(budget, self.most)).sort(dim=1, descending=True).values
        chosen = torch.arange(each.shape[1]) < budget.floor()[:, None]
        return torch.where(chosen, each, 0.0).sum(1)

    def sound_budget(self, drops: Curves, margin: Tensor) -> Tensor:
        return self.largest_budget(drops, margin)

    def project(self, delta: Tensor, budget: Tensor, lo: Tensor, hi: Tensor) -> Tensor:
        inside = delta.clamp(lo.clamp_min(0), hi.clamp_max(self.most))
        flat = inside.flatten(1)
        rank = flat.argsort(dim=1, descending=True).argsort(dim=1)
        return (flat * (rank < budget.floor()[:, None])).reshape(delta.shape)


class Cube(fc.Threat):
    """linf by the four things that a threat must know, and nothing else."""

    name = "cube"

    def __repr__(self) -> str:
        return "Cube()"

    def measure(self, delta: Tensor) -> Tensor:
        return delta.double().abs().flatten(1).amax(1)

    def worst_drop(self, drops: Curves, budget: Tensor) -> Tensor:
        return drops.at(budget).sum(1)

    def project(self, delta: Tensor, budget: Tensor, lo: Tensor, hi: Tensor) -> Tensor:
        reach = budget.reshape(-1, *[1] * (delta.ndim - 1))
        return delta.clamp(torch.maximum(lo, -reach), torch.minimum(hi, reach))


class SafeCube(Cube):
    """The same for level ``sound``."""

    def sound_budget(self, drops: Curves, margin: Tensor) -> Tensor:
        return self.largest_budget(drops, margin)


def absolute() -> FeatureMap:
    return Compose(Center(0.25), AbsConcat())


def model(phi: Callable[[], FeatureMap], lift: float = 0.0) -> fc.FeatureConvexModel:
    net = ConvexMLP(8 if phi is absolute else 4, (6, 4))
    found = balanced(fc.FeatureConvexModel(phi(), net), X).double()
    found.tau += lift
    return found


@pytest.mark.parametrize("threat", [Rises(0.25), Cube(), SafeCube()], ids=str)
def test_the_laws_of_a_threat(threat: fc.Threat) -> None:
    check_threat(ThreatCase(lambda: threat, shape=(4,), domain=BOX))


def test_a_worst_case_that_is_too_small_is_caught(monkeypatch: pytest.MonkeyPatch) -> None:
    honest = Rises.worst_drop
    monkeypatch.setattr(Rises, "worst_drop", lambda self, drops, b: 0.9 * honest(self, drops, b))
    with pytest.raises(AssertionError, match="worst_drop is"):
        check_threat(ThreatCase(lambda: Rises(0.25), shape=(4,), domain=BOX))


@pytest.mark.parametrize("level", ["domain", fc.levels.Tight(iterations=4), "sound"], ids=str)
@pytest.mark.parametrize("phi", [Identity, absolute, Waves])
@pytest.mark.parametrize("threat", [Rises(0.25), SafeCube()], ids=str)
def test_every_level_certifies(
    threat: fc.Threat, phi: Callable[[], FeatureMap], level: str | fc.levels.Level
) -> None:
    if phi is Waves and level == "sound":
        return  # without a rounding rule for the map
    run = partial(fc.certify, level=level)
    make = partial(model, phi, 0.5 if threat.counts else 0.0)
    check_certificate(CertificateCase(make, X, threat, BOX, run, tolerance=2e-2))


def test_counts_are_exact_whole_numbers() -> None:
    """One affine piece: the radius of ``Rises`` by counting, and the attack finds one more."""
    net = MaxAffine(4, 1).double()
    affine = balanced(fc.FeatureConvexModel(Identity(), net), X).eval()
    weight = net.affine.weight.detach()[0]
    for level in ("domain", "tight", "sound"):
        found = fc.certify(affine, X, Rises(0.5), BOX, level)
        # A curve is the larger of both directions, and the threat only takes it from above.
        gain = (weight.abs() * torch.where(weight > 0, X, 1 - X).clamp_max(0.5)).sort(1).values
        paid = gain.flip(1).cumsum(1)
        least = (paid < torch.from_numpy(found.margin)[:, None]).double().sum(1)
        least = torch.where(least == 4, math.inf, least).where(
            torch.from_numpy(found.margin) > 0, 0
        )
        np.testing.assert_array_equal(found.radius, least)
    attack = fc.attack(affine, X, Rises(0.5), BOX)
    flipped = attack.found & (found.margin > 0)
    assert flipped.any()
    assert (attack.distance[flipped] > found.radius[flipped]).all()
    assert (found.radius >= fc.certify(affine, X, fc.L0(), BOX, "domain").radius).all()


@pytest.mark.parametrize("scale", [0.01, 1.0, 100.0])
def test_convex_movements_are_not_taken_for_straight_ones(scale: float) -> None:
    """Where only Lipschitz constants are left, ``|delta|^2`` outgrows a budget beyond 1."""
    torch.manual_seed(0)
    net = MaxAffine(4, 1).double()
    with torch.no_grad():
        net.affine.weight.div_(net.affine.weight.norm() * scale)
        net.affine.bias.zero_()
    flat = fc.FeatureConvexModel(Rotated(), net, tau=10.0).double().eval()
    x = torch.zeros(1, 4, dtype=torch.float64)
    for domain in (fc.Unbounded(), fc.Box(-5000, 5000)):
        own = fc.certify(flat, x, Cube(), domain, "domain").radius[0]
        truth = 10.0 / float(net.affine.weight.detach().abs().sum())
        assert 0 <= own <= truth * (1 + 1e-9)


class Rotated(FeatureMap):
    """The identity, of which only the constants are known."""

    def forward(self, x: Tensor) -> Tensor:
        return x * 1.0

    def lipschitz(self, p: float) -> float:
        return 1.0

    def config(self) -> dict[str, object]:
        return {}


def test_sound_covers_maps_that_mix_coordinates() -> None:
    x = grid((4, 1, 4, 4), 2**-8, seed=121).abs().clamp(0, 1)
    phi = Scattering((1, 4, 4), 1)
    size = math.prod(phi.output_shape((1, 4, 4)))
    net = torch.nn.Sequential(torch.nn.Flatten(1), ConvexMLP(size, (6,)))
    mixing = balanced(fc.FeatureConvexModel(phi, net), x).double()
    for threat, domain in itertools.product((Rises(0.25), SafeCube()), (BOX, fc.Unbounded())):
        base = fc.certify(mixing, x, threat, domain, "domain").radius
        for arithmetic in ("real", "float32"):
            level = fc.levels.Sound(arithmetic=arithmetic)
            radius = fc.certify(mixing, x, threat, domain, level).radius
            assert (radius <= base).all()
        assert (radius > 0).any() or threat.counts


def test_what_is_missing_is_named() -> None:
    with pytest.raises(fc.UserError, match=r"Cube\.sound_budget"):
        fc.certify(model(Identity), X, Cube(), BOX, "sound")
    with pytest.raises(fc.UserError, match=r"closed-form.*Cube"):
        fc.certify(model(Identity), X, Cube(), BOX)


class HalfBoth(Rises):
    """Wrong by half, and blind to it: attacks reach no further than the bound."""

    def worst_drop(self, drops: Curves, budget: Tensor) -> Tensor:
        return Rises(self.most / 2).worst_drop(drops, budget)

    def project(self, delta: Tensor, budget: Tensor, lo: Tensor, hi: Tensor) -> Tensor:
        return Rises(self.most / 2).project(delta, budget, lo, hi)


class OneFewerBoth(Rises):
    def worst_drop(self, drops: Curves, budget: Tensor) -> Tensor:
        return super().worst_drop(drops, budget - 1)

    def project(self, delta: Tensor, budget: Tensor, lo: Tensor, hi: Tensor) -> Tensor:
        return super().project(delta, budget - 1, lo, hi)


class NothingBoth(Rises):
    def worst_drop(self, drops: Curves, budget: Tensor) -> Tensor:
        return 0 * super().worst_drop(drops, budget)

    def project(self, delta: Tensor, budget: Tensor, lo: Tensor, hi: Tensor) -> Tensor:
        return torch.zeros_like(delta)


class NothingProjected(Rises):
    def project(self, delta: Tensor, budget: Tensor, lo: Tensor, hi: Tensor) -> Tensor:
        return torch.zeros_like(delta)


class ForgetsFalls(Rises):
    def measure(self, delta: Tensor) -> Tensor:
        return (delta.double().flatten(1) > 0).double().sum(1)


class ForgetsTheCap(Rises):
    def measure(self, delta: Tensor) -> Tensor:
        flat = delta.double().flatten(1)
        return (flat != 0).double().sum(1).where((flat >= 0).all(1), math.inf)


class RoundsUp(Rises):
    def project(self, delta: Tensor, budget: Tensor, lo: Tensor, hi: Tensor) -> Tensor:
        return super().project(delta, budget.ceil(), lo, hi)


class Detached(Rises):
    def worst_drop(self, drops: Curves, budget: Tensor) -> Tensor:
        return super().worst_drop(drops, budget).detach()


class NoCount(Rises):
    counts = False


class Unpaid(Rises):
    def measure(self, delta: Tensor) -> Tensor:
        return 100 * super().measure(delta)

    def project(self, delta: Tensor, budget: Tensor, lo: Tensor, hi: Tensor) -> Tensor:
        return torch.zeros_like(delta)


FAULTY = {
    HalfBoth: "worst_drop is",
    OneFewerBoth: "worst_drop is",
    NothingBoth: "worst_drop is 0",
    NothingProjected: "changes a move inside",
    ForgetsFalls: "true is inf",
    ForgetsTheCap: "true is inf",
    RoundsUp: "with a budget of 1.5 gives a move that measures 2",
    Detached: "has no gradient",
    NoCount: "set counts = True in NoCount",
    Unpaid: "the case tests nothing",
}


def risen(delta: Tensor) -> float:
    """What Rises(1.5) measures."""
    values = delta.flatten().tolist()
    allowed = all(0 <= value <= 1.5 for value in values)
    return float(sum(value > 0 for value in values)) if allowed else math.inf


def test_a_right_threat_keeps_the_laws() -> None:
    for domain in (fc.Unbounded(), BOX, fc.Box(0, 6, direction=1)):
        check_threat(ThreatCase(lambda: Rises(1.5), (4,), domain=domain, truth=risen))


@pytest.mark.parametrize("faulty", FAULTY, ids=lambda kind: kind.__name__)
def test_faults_that_project_hides_are_caught(faulty: type[Rises]) -> None:
    """Moves that only the threat's own ``project`` makes would not show them."""
    # The curves of a domain without falls, or Rises would certify too little, not too much.
    upwards = fc.Box(0, 6, direction=1)
    truth = None if faulty is Unpaid else risen
    with pytest.raises(AssertionError, match=FAULTY[faulty]):
        check_threat(ThreatCase(lambda: faulty(1.5), (4,), domain=upwards, truth=truth))


def test_a_count_with_limited_moves_ends_where_more_buys_nothing() -> None:
    """Not at the largest number that was tried."""
    net = MaxAffine(4, 1).double()
    with torch.no_grad():
        net.affine.weight.copy_(torch.tensor([[-1.0, -1.0, 0.0, 1.0]]))
        net.affine.bias.fill_(5.0)
    model = fc.FeatureConvexModel(Identity(), net).eval()
    x = torch.zeros(1, 4, dtype=torch.float64)
    for level in ("domain", "tight", "sound"):
        radius = fc.certify(model, x, Rises(1.5), fc.Box(0, 6, direction=1), level).radius
        assert 2 <= radius[0] <= 4


def test_rounding_does_not_lose_a_move_at_its_cap() -> None:
    """``x + 0.3`` in float32 is further than 0.3 from some x: the threat would call it forbidden."""
    net = MaxAffine(6, 1)
    with torch.no_grad():
        net.affine.weight.fill_(-1.0)
        net.affine.bias.zero_()
    x = torch.rand(20, 6, generator=torch.Generator().manual_seed(0))
    model = fc.FeatureConvexModel(Identity(), net, tau=0.0).eval()
    for row in x:
        model.tau.fill_(float(row.sum()) + 0.299 * 6)
        assert fc.attack(model, row[None], Rises(0.3), fc.Unbounded()).found[0]
