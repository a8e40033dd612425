"""The wild part of the campaign: what it draws, and that planted faults of its kinds are found."""

import copy
import itertools
import math
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

import featureconvex as fc
from featureconvex.certificates import Lp
from featureconvex.errors import UserError
from featureconvex.testing.soundness import Claim, Shard, Tally
from featureconvex.testing.soundness.attack_points import Attacker
from featureconvex.testing.soundness.cases.case import Case, threat_name
from featureconvex.testing.soundness.cases.intruders import (
    CHANGES,
    GLOBAL,
    GRADIENTS,
    INTRUDERS,
    intruded,
    intruder_checks,
)
from featureconvex.testing.soundness.cases.wild import ACTIVATIONS, MAPS, wild_case
from featureconvex.testing.soundness.concurrent import thread_checks
from featureconvex.testing.soundness.radius_laws import law_checks
from featureconvex.testing.soundness.tally import Check


def plain(settings: list[tuple[Any, Any]]) -> Case:
    """A small network in double precision, and points in [0, 1]."""
    torch.manual_seed(0)
    net = fc.nn.ConvexMLP(3, (6, 4))
    x = torch.rand(16, 3, dtype=torch.float64)
    model = fc.FeatureConvexModel(fc.features.Identity(), net).double().eval()
    with torch.no_grad():
        model.tau.fill_(-float(model.logits(x).min()) + 0.1)
    return Case("mlp", "identity", "wild", model, x, settings, remake=lambda: copy.deepcopy(model))


def test_everything_wild_is_drawn_and_repeats() -> None:
    cases = [wild_case(turn, 0, 4) for turn in range(60)]
    assert {case.architecture for case in cases} == {f"mlp, {name}" for name in ACTIVATIONS}
    assert {case.features for case in cases} == set(MAPS)
    threats = [threat for case in cases for threat, _ in case.settings if isinstance(threat, Lp)]
    exponents = [threat.p for threat in threats]
    assert {1.0, 2.0, math.inf} <= set(exponents)
    assert min(p for p in exponents if p > 1) < 1.1
    assert 500 < max(p for p in exponents if math.isfinite(p)) <= 1000
    costs = [threat.cost for threat in threats if threat.cost is not None]
    finite = [cost[torch.isfinite(cost)] for cost in costs]
    spreads = [float((c.max() / c.min()).log10()) for c in finite if len(c) > 1]
    assert max(spreads) > 15
    assert any(bool(torch.isinf(cost).any()) for cost in costs)
    assert any(bool((c > 1e30).any()) for c in finite)
    assert any(bool((c < 1e-30).any()) for c in finite)
    boxes = [d for case in cases for _, d in case.settings if isinstance(d, fc.Box)]
    assert any(box.immutable is not None for box in boxes)
    assert any(box.direction is not None for box in boxes)
    assert {case.model.dtype for case in cases} == {torch.float32, torch.float64}
    one, two = wild_case(3, 0, 4), wild_case(3, 0, 4)
    assert torch.equal(one.x, two.x)
    assert all(bool(domain.contains(case.x).all()) for case in cases for _, domain in case.settings)
    for case in cases:
        with torch.no_grad():
            assert bool((case.model(case.x) > 0).any())


def test_rare_exponents_share_a_name() -> None:
    names = [threat_name(Lp(p)) for p in (1, 1.001, 1.3, 1.5, 2, 7.7, 700, math.inf)]
    assert names[:4] == ["l1", "lp, p < 1.02", "lp, p < 2", "l1.5"]
    assert names[4:] == ["l2", "lp, p < 10", "lp, p >= 10", "linf"]
    assert threat_name(Lp(700, [1.0, 2.0])) == "lp, p >= 10 with costs"


@pytest.mark.parametrize("p", [1.0, 1.003, 1.4, 2.0, 30.0, 700.0, math.inf])
@pytest.mark.parametrize("scale", [1e-150, 1.0, 1e150])
def test_attacks_spend_wild_budgets(p: float, scale: float) -> None:
    """After an affine model the steepest move takes the margin to what was left unspent."""
    net = fc.nn.MaxAffine(3, 1).double()
    with torch.no_grad():
        net.affine.weight.copy_(torch.tensor([[1.0, -2.0, 0.5]]))
        net.affine.bias.fill_(5.0)
    model = fc.FeatureConvexModel(fc.features.Identity(), net).eval()
    x = torch.rand(4, 3, dtype=torch.float64)
    cost = torch.tensor([1e-9, 1.0, 1e9], dtype=torch.float64) * scale
    case = Case("affine", "identity", "wild", model, x, [(Lp(p, cost), fc.Unbounded())])
    with torch.no_grad():
        margin = model(x)
    # ||w / c||_q, with the cheapest coordinate's share taken out.
    rate = (net.affine.weight.detach()[0].abs() / (cost / scale))[0] / scale
    radius = margin / rate * (1 - 1e-6)
    tries = Attacker.of(case, 0).points(radius[None])
    assert bool(torch.isfinite(tries).all())
    with torch.no_grad():
        assert bool((model(tries[0, :, 0]) < 1e-2 * margin).all())


def violated(tally: Tally, level: str) -> int:
    return sum(line.gross for line in tally.lines if line.level.startswith(level))


def shard(case: Case) -> Tally:
    work = Shard(case)
    tally = Tally()
    for index in range(len(case.settings)):
        tally.add(work.setting(index))
    return tally


SETTINGS: list[tuple[Any, Any]] = [
    (Lp(2, [1.0, 1e6, 1e-3]), fc.Box(-5, 5)),
    (Lp(37.0), fc.Unbounded()),
    (Lp(1.2, [0.5, 2.0, 1.0]), fc.Unbounded()),
]


def test_radii_a_hundredth_too_large_are_found(monkeypatch: pytest.MonkeyPatch) -> None:
    case = plain(SETTINGS)
    assert violated(shard(case), "") == 0
    true = Shard.certified
    monkeypatch.setattr(Shard, "certified", lambda *args: 1.01 * true(*args))
    found = shard(case)
    for level in ("domain", "sound (real)"):
        assert violated(found, level) > 0


def test_a_wrong_dual_norm_is_found(monkeypatch: pytest.MonkeyPatch) -> None:
    case = plain(SETTINGS[1:])
    true = Shard.certified

    def wrong(self: Shard, claim: Claim, index: int) -> NDArray[np.float64]:
        threat, domain = self.case.settings[index]
        if claim.level != "closed-form":
            return true(self, claim, index)
        other = Lp(threat.p / (threat.p - 1), threat.cost)  # type: ignore[attr-defined]
        return fc.certify(self.case.model, self.case.x, other, domain).radius

    monkeypatch.setattr(Shard, "certified", wrong)
    assert violated(shard(case), "closed-form") > 0


def test_numbers_read_after_they_were_overwritten_are_found(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """What an activation in place leaves taken for what came in: slopes of another network."""
    torch.manual_seed(1)
    net = fc.nn.ConvexMLP(4, (8, 8), activation=nn.LeakyReLU(0.1))
    model = fc.FeatureConvexModel(fc.features.AbsConcat(), net)
    x = torch.randn(24, 2, dtype=torch.float64)
    model = model.double().eval()
    with torch.no_grad():
        model.tau.fill_(-float(model.logits(x).quantile(0.3)))
    case = Case("mlp", "abs", "wild", model, x, [(Lp(2), fc.Box(-6, 6))])
    true = Shard.certified

    def stale(self: Shard, _: Claim, index: int) -> NDArray[np.float64]:
        threat, domain = self.case.settings[index]
        # As if the pieces had been chosen from another row's activations.
        line = fc.certify(self.case.model, self.case.x, threat, domain, "domain")
        slope = fc.certify(self.case.model, self.case.x.flip(0), threat).slope
        return np.where(line.radius > 0, line.margin / slope, 0.0)

    assert violated(shard(case), "") == 0
    monkeypatch.setattr(Shard, "certified", stale)
    assert violated(shard(case), "tight") > 0
    monkeypatch.setattr(Shard, "certified", true)


def test_every_intruder_really_changes_what_it_should() -> None:
    case = plain(SETTINGS)
    assert case.remake is not None
    x = case.x[:4]
    with torch.no_grad():
        own = case.model(x)
    for name in INTRUDERS:
        with intruded(name, case.remake()) as model, torch.no_grad():
            moved = not torch.allclose(model(x), own)
        assert moved is (name in CHANGES or name in GLOBAL), name
    # And a hook on all modules is gone.
    with torch.no_grad():
        assert torch.equal(case.model(x), own)


def test_a_library_that_refuses_nothing_is_found(monkeypatch: pytest.MonkeyPatch) -> None:
    case = plain(SETTINGS)
    assert case.remake is not None
    clean = case.remake()
    answer = fc.certify(clean, case.x[:4], Lp(2))
    monkeypatch.setattr(fc, "certify", lambda *_, **__: answer)
    checks = intruder_checks(case.remake, case.x[:4])
    assert {check.what for check in checks if check.violations} == {*CHANGES, *GLOBAL}

    def refuses() -> Any:
        raise UserError("remove the hook")

    # The model without the intruder is certified, then the one with it is refused.
    turns = itertools.cycle((lambda: answer, refuses))
    monkeypatch.setattr(fc, "certify", lambda *_, **__: next(turns)())
    checks = intruder_checks(case.remake, case.x[:4])
    assert all(check.refused and not check.violations for check in checks)


def test_gradients_that_a_hook_scales_are_found(monkeypatch: pytest.MonkeyPatch) -> None:
    case = plain(SETTINGS)
    assert case.remake is not None
    true = fc.certify

    def scaled(model: fc.FeatureConvexModel, *args: Any, **options: Any) -> Any:
        found = true(case.model, *args, **options)
        if model.convex_net._backward_hooks:
            found.radius[:] *= 10
        return found

    monkeypatch.setattr(fc, "certify", scaled)
    checks = intruder_checks(case.remake, case.x[:4], tuple(GRADIENTS))
    assert all(check.violations for check in checks)


def test_a_certificate_that_touches_the_model_is_found(monkeypatch: pytest.MonkeyPatch) -> None:
    case = plain(SETTINGS)
    assert case.remake is not None
    model = case.remake()
    true = fc.certify

    def touching(model: fc.FeatureConvexModel, *args: Any, **options: Any) -> Any:
        with torch.no_grad():
            model.tau += 5
        try:
            return true(case.model, *args, **options)
        finally:
            with torch.no_grad():
                model.tau -= 5

    monkeypatch.setattr(fc, "certify", touching)
    checks = thread_checks(model, case.x, rounds=5)
    found = next(check for check in checks if check.what == "model(x)")
    assert found.tried > 0
    assert found.violations > 0


def broken_laws(
    monkeypatch: pytest.MonkeyPatch, fault: Callable[[Any, Any, Tensor], NDArray[np.float64]]
) -> set[str]:
    case = plain([(Lp(2), fc.Box(-5, 5))])
    true = fc.certify

    def faulty(model: Any, x: Tensor, threat: Any, domain: Any, level: str, **options: Any) -> Any:
        found = true(model, x, threat, domain, level, **options)
        found.radius[:] = fault(threat, domain, x) * found.radius
        return found

    with monkeypatch.context() as patch:
        patch.setattr(fc, "certify", faulty)
        return {check.what for check in law_checks(case, 0) if check.violations}


def test_laws_hold_and_planted_breaches_are_found(monkeypatch: pytest.MonkeyPatch) -> None:
    def honest(_: Any, __: Any, x: Tensor) -> NDArray[np.float64]:
        return np.ones(len(x))

    assert broken_laws(monkeypatch, honest) == set()
    smaller = broken_laws(
        monkeypatch, lambda _, box, x: np.full(len(x), 0.5 if float(box.hi.max()) < 5 else 1.0)
    )
    assert smaller == {"a smaller domain never makes a radius smaller"}
    dearer = broken_laws(
        monkeypatch, lambda t, _, x: np.full(len(x), 0.3 if t.cost is not None else 1)
    )
    assert dearer == {"a dearer cost never makes a radius smaller"}
    spoilt = broken_laws(
        monkeypatch, lambda _, __, x: np.full(len(x), 0.5 if bool(x.isnan().any()) else 1.0)
    )
    assert spoilt == {"NaN proves nothing, and costs its own row only"}
    assert "radius <= upper" in broken_laws(monkeypatch, lambda _, __, x: np.full(len(x), 3.0))


def test_a_raw_error_in_a_legal_call_is_found(monkeypatch: pytest.MonkeyPatch) -> None:
    case = plain([(Lp(2), fc.Box(-5, 5))])

    def raising(*_: Any, **__: Any) -> Any:
        raise UserError("a radius must be >= 0 (0 where nothing is certified), never nan")

    monkeypatch.setattr(fc, "certify", raising)
    assert all(check.violations for check in law_checks(case, 0))


def test_checks_are_added_up() -> None:
    tally = Tally(checks=[Check("threads", "model(x)", "", 5, 0, 1)] * 2)
    assert tally.checked() == {
        "threads": {"model(x)": {"all": {"tried": 10, "refused": 0, "violations": 2}}}
    }
    assert Tally.of(tally.values()) == tally


def test_a_legal_call_that_is_not_answered_is_found(monkeypatch: pytest.MonkeyPatch) -> None:
    case = plain([(Lp(2), fc.Box(-5, 5))])
    true, certified = fc.attack, Shard.certified

    def failing(self: Shard, claim: Claim, index: int) -> NDArray[np.float64]:
        if claim.level == "domain":
            raise ValueError("not a number")
        return certified(self, claim, index)

    monkeypatch.setattr(Shard, "certified", failing)
    monkeypatch.setattr(fc, "attack", lambda *_, **__: 1 / 0)
    tally = shard(case)
    assert {check.level for check in tally.checks if check.violations} == {"domain", "attack"}
    assert [entry["reason"] for entry in tally.refused] == ["ValueError: not a number"]
    monkeypatch.setattr(Shard, "certified", certified)
    monkeypatch.setattr(fc, "attack", true)
    assert not any(check.violations for check in shard(case).checks)
