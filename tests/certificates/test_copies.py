"""What was handed over belongs to the caller: changing it later changes nothing that was made of it."""

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
import torch

import featureconvex as fc
from featureconvex import features, nn

X = torch.linspace(0.1, 0.7, 8).reshape(2, 4)
BOX = fc.Box(-1, 2)


def model(phi: features.FeatureMap) -> fc.FeatureConvexModel:
    net = nn.MaxAffine(4, 1)
    with torch.no_grad():
        net.affine.weight.copy_(torch.tensor([[1.0, -2.0, 3.0, 0.5]]))
        net.affine.bias.fill_(2.0)
    return fc.FeatureConvexModel(phi, net)


PLAIN = model(features.Identity())
Made = Callable[[Any], tuple[fc.FeatureConvexModel, Any, fc.Box]]
# How an array enters, and the array.
KEPT: dict[str, tuple[Made, list[Any]]] = {
    "lo": (lambda a: (PLAIN, fc.Lp(2), fc.Box(a, 2)), [-1.0, -0.5, 0.0, 0.0]),
    "hi": (lambda a: (PLAIN, fc.Lp(2), fc.Box(-1, a)), [1.0, 2.0, 1.0, 0.75]),
    "immutable": (lambda a: (PLAIN, fc.Lp(2), fc.Box(-1, 2, a)), [True, False, False, True]),
    "indices": (lambda a: (PLAIN, fc.Lp(2), fc.Box(-1, 2, a)), [0, 3]),
    "direction": (lambda a: (PLAIN, fc.Lp(2), fc.Box(-1, 2, None, a)), [1, 0, -1, 0]),
    "cost": (lambda a: (PLAIN, fc.Lp(2, a), BOX), [1.0, 2.0, 3.0, 4.0]),
    "groups": (lambda a: (PLAIN, fc.L0(a), BOX), [0, 0, 1, 2]),
    "shape": (lambda a: (PLAIN, fc.Patch(2, a), BOX), [1, 2, 2]),
    "scale": (lambda a: (model(features.Scale(a)), fc.Lp(2), BOX), [1.0, 2.0, 1.0, 0.5]),
    "shift": (lambda a: (model(features.Scale(1, a)), fc.Lp(2), BOX), [1.0, 2.0, 1.0, 0.5]),
    "mean": (lambda a: (model(features.Center(a)), fc.Lp(2), BOX), [1.0, 0.0, 1.0, 0.5]),
}


def overwrite(values: Any) -> None:
    values[:] = values[::-1].copy() if isinstance(values, np.ndarray) else values.flip(0)
    if values.dtype in (torch.bool, np.bool_):
        values[:] = True
    else:
        values[:1] = 1


@pytest.mark.parametrize("kind", [np.array, torch.tensor], ids=["numpy", "torch"])
@pytest.mark.parametrize("name", KEPT)
def test_a_changed_argument_changes_nothing(name: str, kind: Callable[[Any], Any]) -> None:
    make, values = KEPT[name]
    given = kind(values)
    made, threat, box = make(given)
    before = fc.certify(made, X, threat, box, "domain")
    ends, radius, words = box.bounds(X), before.radius.copy(), repr((threat, box))
    overwrite(given)
    after = fc.certify(made, X, threat, box, "domain")
    np.testing.assert_array_equal(after.radius, radius)
    np.testing.assert_array_equal(before.radius, radius)
    assert before.threat is threat
    assert before.domain is box
    again = fc.certify(made, X, before.threat, before.domain, "domain")
    np.testing.assert_array_equal(again.radius, radius)
    for end, old in zip(box.bounds(X), ends, strict=True):
        assert torch.equal(end, old)
    assert repr((threat, box)) == words


@pytest.mark.parametrize("name", ["lo", "hi", "immutable", "direction", "cost", "groups"])
def test_what_is_handed_out_is_a_copy(name: str) -> None:
    make, values = KEPT[name]
    made, threat, box = make(torch.tensor(values))
    owner = box if hasattr(box, name) else threat
    radius = fc.certify(made, X, threat, box, "domain").radius
    overwrite(getattr(owner, name))
    assert getattr(owner, name).tolist() == values
    with pytest.raises((fc.UserError, AttributeError)):
        setattr(owner, name, None)
    np.testing.assert_array_equal(fc.certify(made, X, threat, box, "domain").radius, radius)


@pytest.mark.parametrize(
    ("value", "attribute"),
    [(fc.Lp(2), "p"), (fc.Patch(2), "size"), (fc.L0(), "groups"), (fc.Box(0, 1), "_lo")],
)
def test_a_threat_or_domain_stays_what_it_is(value: Any, attribute: str) -> None:
    with pytest.raises((fc.UserError, AttributeError)):
        setattr(value, attribute, 1)


def test_a_record_keeps_its_own_numbers() -> None:
    columns = {name: np.ones(2) for name in ("radius", "upper", "margin", "slope")}
    status = np.array([fc.Status.certified] * 2, dtype=object)
    record = fc.Certificate(
        **columns,
        status=status,
        threat=fc.Lp(2),
        domain=BOX,
        level="domain",
        guarantee=fc.Guarantee.deterministic,
    )
    status[:] = fc.Status.boundary
    for name, values in columns.items():
        values[:] = 7
        assert (getattr(record, name) == 1).all()
    assert (record.status == fc.Status.certified).all()


def test_an_attacks_record_does_not_share_memory_with_its_arguments() -> None:
    x, budget = X.clone(), np.array([0.0, 3.0])
    result = fc.attack(PLAIN, x, fc.Lp(2), BOX, budget, steps=3)
    points, limits = result.adversarial.copy(), np.array(result.budget)
    x.zero_()
    budget[:] = 9
    np.testing.assert_array_equal(result.adversarial, points)
    np.testing.assert_array_equal(result.budget, limits)
    result.adversarial[:] = 5
    assert (x == 0).all()


def test_a_certificate_of_an_estimator_does_not_follow_its_costs() -> None:
    rng = np.random.default_rng(0)
    points = rng.normal(size=(40, 4))
    clf = fc.FeatureConvexClassifier(hidden=(2,), epochs=1, temperature=0.3, random_state=0)
    clf.fit(points, points[:, 0] > 0)
    threat = fc.Lp(2, cost=clf.cost_)
    before = clf.certify(points, threat).radius
    points_before = points.copy()
    clf.cost_[:] = 1e3
    np.testing.assert_array_equal(clf.certify(points_before, threat).radius, before)
