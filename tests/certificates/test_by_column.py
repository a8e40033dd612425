"""Ranges and costs of single columns, by the names that a model has for them."""

from typing import Any

import numpy as np
import pandas as pd
import pytest
import torch

import featureconvex as fc
from featureconvex.errors import UserError
from featureconvex.models.file import save_model

NAMES = ["links", "length", "shop=a", "shop=b"]
X = np.array([[3.0, 2.0, 1.0, 0.0], [5.0, 1.0, 0.0, 1.0]])


def affine() -> fc.FeatureConvexModel:
    net = fc.nn.MaxAffine(4, 1).double()
    with torch.no_grad():
        net.affine.weight.copy_(torch.tensor([[1.0, 2.0, 0.5, -0.5]]))
        net.affine.bias.fill_(1.0)
    return fc.FeatureConvexModel(fc.features.Identity(), net).eval()


@pytest.fixture(scope="module")
def detector(tmp_path_factory: pytest.TempPathFactory) -> Any:
    """Of a table with two numbers and a category."""
    folder = tmp_path_factory.mktemp("model")
    columns = [
        {"name": "links", "kind": "number", "categories": []},
        {"name": "length", "kind": "number", "categories": []},
        {"name": "shop", "kind": "category", "categories": ["a", "b"]},
    ]
    inputs = {"kind": "table", "columns": columns, "files": None, "pixels": None}
    extra = {"feature_names": NAMES, "input_shape": [4], "inputs": inputs, "cost": [1.0] * 4}
    save_model(affine(), folder, extra)
    return fc.load(folder)


def same(one: fc.Certificate, other: fc.Certificate) -> None:
    assert (one.radius > 0).all()
    np.testing.assert_array_equal(one.radius, other.radius)


def test_a_detector_s_columns_have_ranges_and_costs(detector: Any) -> None:
    lo, hi = [2.0, -np.inf, -np.inf, -np.inf], [9.0, np.inf, np.inf, np.inf]
    box = {"links": (2, 9)}
    for threat in (fc.Lp(1), fc.Lp(np.inf), fc.Lp(2)):
        same(
            detector.certify(X, threat, fc.Box(box, immutable=["shop"]), "domain"),
            detector.certify(X, threat, fc.Box(lo, hi, immutable=[2, 3]), "domain"),
        )
    same(
        detector.certify(X, fc.Lp(1, cost={"length": 3.0, "shop": 7.0})),
        detector.certify(X, fc.Lp(1, cost=[1.0, 3, 7, 7])),
    )
    blocks: dict[str, Any] = {"blocks": [[2, 3]], "price": 2.0}
    named, plain = (
        fc.Edits(cost, **blocks) for cost in ({"length": np.inf, "links": 0.5}, [0.5, np.inf, 1, 1])
    )
    held = fc.Box({"links": (-99, 99), "length": (-99, 99)})
    every = fc.Box([-99.0, -99, 0, 0], [99.0, 99, 1, 1])
    same(detector.certify(X, named, held), detector.certify(X, plain, every))
    evasion = detector.attack(X, named, held)
    assert evasion.found.all()
    assert (evasion.adversarial[:, 1] == X[:, 1]).all()
    # The functions know the detector's names, too.
    same(
        fc.certify(detector, X, fc.Lp(1, cost={"length": 3.0})),
        detector.certify(X, fc.Lp(1, cost=[1.0, 3, 1, 1])),
    )
    assert fc.attack(detector, X, threat=fc.Lp(1, cost={"length": np.inf})).found.all()


def test_a_classifier_that_was_fitted_on_a_frame_knows_its_columns() -> None:
    rng = np.random.default_rng(0)
    frame = pd.DataFrame(rng.normal(size=(60, 3)), columns=["a", "b", "c"])
    y = frame["a"] + frame["b"] > 0
    clf = fc.FeatureConvexClassifier(epochs=2, temperature=0.5, random_state=0).fit(frame, y)
    flagged = frame[clf.predict(frame)]
    box = fc.Box({"a": (-9, 9)}, direction={"b": 1})
    found = clf.certify(flagged, [fc.Lp(1, cost={"b": 4.0}), fc.Lp(2)], box, "domain")
    plain = fc.Box([-9, -np.inf, -np.inf], [9, np.inf, np.inf], direction=[0, 1, 0])
    expected = clf.certify(flagged, [fc.Lp(1, cost=[1.0, 4, 1]), fc.Lp(2)], plain, "domain")
    for one, other in zip(found, expected, strict=True):
        same(one, other)
    evasion = clf.attack(flagged, fc.Lp(1, cost={"b": np.inf}), box)
    assert (evasion.adversarial[:, 1] == flagged["b"].to_numpy(dtype=np.float64)).all()
    with pytest.raises(
        UserError, match="cost names the column 'bb', which the model does not have"
    ):
        clf.certify(frame, fc.Lp(1, cost={"bb": 1.0}))
    nameless = fc.FeatureConvexClassifier(epochs=1, temperature=0.5, random_state=0)
    nameless.fit(frame.to_numpy(), y)
    with pytest.raises(UserError, match="no names of columns"):
        nameless.certify(frame.to_numpy(), fc.Lp(1, cost={"b": 1.0}))
    with pytest.raises(UserError, match="no column names"):
        nameless.certify(frame.to_numpy(), fc.Lp(1), fc.Box({"b": (0, 1)}), "domain")


def test_indices_are_names_that_every_model_has() -> None:
    """Of a box; costs have a number for each coordinate."""
    model = affine()
    held = fc.Box({0: (-5, 9), -1: (0, 1)})
    plain = fc.Box([-5, -np.inf, -np.inf, 0], [9, np.inf, np.inf, 1])
    same(*(fc.certify(model, X, fc.Lp(1), box, "domain") for box in (held, plain)))
    assert held.ranges == {0: (-5, 9), -1: (0, 1)}
    assert "ranges" in repr(held)


@pytest.mark.parametrize(
    ("given", "reason"),
    [
        (lambda _: fc.Box({"links": 3}), "takes .lo, hi. for column 'links'"),
        (lambda _: fc.Box({"links": (3, 1)}), "needs lo <= hi"),
        (lambda _: fc.Box({"links": (0, np.nan)}), "must be a number"),
        (lambda _: fc.Box({}), "at least one"),
        (lambda _: fc.Box({"links": (0, 1)}, 1), "takes both ends"),
        (lambda _: fc.Box(0), "takes both ends"),
        (lambda _: fc.Box({0.5: (0, 1)}), "by index or name"),
        (
            lambda d: d.certify(X, fc.Lp(1), fc.Box({"lnks": (0, 1)})),
            "does not have; it has 'links'",
        ),
        (lambda d: d.certify(X, fc.Lp(1), fc.Box({"shop": (0, 1)})), "one-hot encoded"),
        (lambda d: d.certify(X, fc.Lp(1), fc.Box({9: (0, 1)})), "coordinate 9"),
        (lambda d: d.certify(X, fc.Lp(1), fc.Box({0: (0, 1), "links": (0, 1)})), "twice"),
        (lambda _: fc.Lp(1, cost={"links": 0}), "cost of 'links' must be > 0"),
        (lambda _: fc.Lp(1, cost={"links": "much"}), "must be a number"),
        (lambda _: fc.Lp(1, cost={}), "at least one"),
        (lambda d: d.certify(X, fc.Lp(1, cost={"lnks": 1})), "does not have; it has 'links'"),
        (lambda d: d.certify(X, fc.Lp(1, cost={7: 1})), "beyond the 4"),
        (lambda _: fc.certify(affine(), X, fc.Lp(1, cost={"links": 1})), "no names of columns"),
        (lambda _: fc.certify(affine(), X, fc.Edits({"links": 1}), level="domain"), "no names"),
        (
            lambda d: d.certify(X, fc.Edits({"shop": 1}, [[2, 3]])),
            "cost names 'shop', which changes by edits",
        ),
    ],
)
def test_mistakes_are_named(detector: Any, given: Any, reason: str) -> None:
    with pytest.raises(UserError, match=reason):
        given(detector)
