"""Weights of samples and classes, sparse input, the training range, and the view of two logits."""

from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
import torch
from scipy.sparse import csr_matrix
from scipy.special import expit
from sklearn.metrics import confusion_matrix

import featureconvex as fc
from featureconvex.errors import UserError
from featureconvex.experiment import certify_files
from featureconvex.training.calibration import at_false_positive_rate, balanced, least_error
from featureconvex.training.losses import cross_entropy, radius_cross_entropy


def data(n: int = 400) -> tuple[np.ndarray, np.ndarray]:
    rng = np.random.default_rng(0)
    y = (rng.random(n) < 0.3).astype(int)
    x = rng.normal(size=(n, 5)) + y[:, None]
    return x * (rng.random((n, 5)) < 0.7), y


def classifier(**options: Any) -> fc.FeatureConvexClassifier:
    return fc.FeatureConvexClassifier(
        hidden=(16, 8), epochs=6, temperature=0.5, random_state=0, **options
    )


def test_weights_move_the_threshold_and_the_loss() -> None:
    x, y = data()
    missed = {}
    for weight in ({1: 20.0}, {0: 20.0}):
        clf = classifier(class_weight=weight).fit(x, y)
        missed[next(iter(weight))] = confusion_matrix(y, clf.predict(x))[1, 0]
        same = classifier().fit(x, y, sample_weight=np.where(y == next(iter(weight)), 20.0, 1.0))
        np.testing.assert_array_equal(clf.sensitive_margin(x), same.sensitive_margin(x))
    assert missed[1] < missed[0]
    even = classifier().fit(x, y, sample_weight=np.full(len(x), 3.0))
    scaled = classifier().fit(x, y, sample_weight=np.ones(len(x)))
    np.testing.assert_allclose(even.sensitive_margin(x), scaled.sensitive_margin(x), rtol=1e-6)


def test_points_without_weight_do_not_count() -> None:
    x, y = data()
    rng = np.random.default_rng(1)
    wrong = rng.random(len(x)) < 0.3
    labels = np.where(wrong, 1 - y, y)
    clf = classifier(target_fpr=0.05).fit(x, labels, sample_weight=np.where(wrong, 0.0, 1.0))
    assert (clf.predict(x) == y).mean() > 0.75


def test_weights_are_checked(tmp_path: object) -> None:
    x, y = data(60)
    with pytest.raises(ValueError, match=r"[Nn]egative"):
        classifier().fit(x, y, sample_weight=-np.ones(60))
    with pytest.raises(UserError, match="have weight 0"):
        classifier().fit(x, y, sample_weight=y.astype(float))
    clf = classifier(class_weight={0: 1.0, 1: 4.0}).fit(x, y)
    again = fc.load(clf.save(f"{tmp_path}/model"))
    assert isinstance(again, fc.FeatureConvexClassifier)
    assert again.class_weight == {0: 1.0, 1: 4.0}


def error(logits: np.ndarray, labels: np.ndarray, weights: np.ndarray, cut: float) -> float:
    """The weight of what a cut puts on the wrong side."""
    return float((weights * ((logits > cut) != labels)).sum())


def test_thresholds_by_brute_force() -> None:
    rng = np.random.default_rng(0)
    for _ in range(200):
        logits = rng.integers(-4, 5, 12).astype(float)
        labels = np.r_[0, 1, rng.integers(0, 2, 10)]
        weights = rng.choice([0.0, 0.5, 1.0, 3.0], 12)
        weights[:2] = 1
        cuts = np.r_[-9, np.arange(-4, 4) + 0.5, 9]
        found = least_error(logits, labels, weights)
        least = min(error(logits, labels, weights, cut) for cut in cuts)
        assert error(logits, labels, weights, -found.tau) == pytest.approx(least)
        negatives = weights * (labels == 0)
        chosen = at_false_positive_rate(logits, labels, 0.2, weights)
        most = 0.2 * negatives.sum() + 1e-9
        assert error(logits, labels, negatives, -chosen.tau) <= most
        allowed = [cut for cut in cuts if error(logits, labels, negatives, cut) <= most]
        hits = [(weights * labels * (logits > cut)).sum() for cut in allowed]
        assert (weights * labels * (logits > -chosen.tau)).sum() == pytest.approx(max(hits))
    ones = np.ones(12)
    assert at_false_positive_rate(logits, labels, 0.2) == at_false_positive_rate(
        logits, labels, 0.2, ones
    )
    assert balanced(logits, labels).rule == "balanced"


def test_a_weight_of_two_is_the_point_twice() -> None:
    sign, logits = torch.tensor([1.0, -1, 1]), torch.tensor([0.3, 0.2, -2.0])
    weight = torch.tensor([2.0, 1, 1])
    twice = torch.tensor([0, 0, 1, 2])
    scale = 3 / 4  # of weights with mean 1
    torch.testing.assert_close(
        cross_entropy(logits, sign, weight * scale), cross_entropy(logits[twice], sign[twice])
    )
    torch.testing.assert_close(
        radius_cross_entropy(logits, sign, 2.0, 0.5, weight=weight * scale),
        radius_cross_entropy(logits[twice], sign[twice], 2.0, 0.5),
    )


def test_sparse_rows_are_dense_ones_a_batch_at_a_time(monkeypatch: pytest.MonkeyPatch) -> None:
    for room in ("classifier", "predictions"):
        monkeypatch.setattr(f"featureconvex.estimator.{room}.BATCH", 64)
    x, y = data()
    dense, sparse = classifier().fit(x, y), classifier().fit(csr_matrix(x), y)
    np.testing.assert_allclose(sparse.cost_, dense.cost_, rtol=1e-12)
    np.testing.assert_allclose(sparse.sensitive_margin(x), dense.sensitive_margin(x), atol=1e-4)
    rows = csr_matrix(x)
    np.testing.assert_array_equal(sparse.predict(rows), sparse.predict(x))
    certificates = sparse.certify(rows, [fc.Lp(1), fc.Lp(2)], fc.Box(-9, 9), "domain")
    for found, whole in zip(
        certificates, sparse.certify(x, [fc.Lp(1), fc.Lp(2)], fc.Box(-9, 9), "domain"), strict=True
    ):
        np.testing.assert_allclose(found.radius, whole.radius, rtol=1e-9)
        assert found.status.tolist() == whole.status.tolist()
    one = sparse.certify(rows)
    assert isinstance(one, fc.Certificate)
    assert len(one) == len(x)
    assert sparse.attack(rows[:5], fc.Lp(2)).found.shape == (5,)


def test_two_logits_are_the_model() -> None:
    x, y = data(60)
    clf = classifier().fit(x, y)
    assert isinstance(clf.model_, fc.FeatureConvexModel)
    logits = clf.model_.two_logits()(torch.from_numpy(x))
    assert logits.shape == (60, 2)
    share = torch.softmax(logits, dim=1)[:, 1].detach().numpy()
    np.testing.assert_allclose(share, expit(clf.sensitive_margin(x)), rtol=1e-9)
    assert (logits.argmax(1).numpy() == clf.predict(x)).all()


@pytest.mark.parametrize("sparse", [False, True])
def test_the_training_range_travels_with_a_saved_classifier(sparse: bool, tmp_path: Path) -> None:
    rng = np.random.default_rng(0)
    X = rng.integers(0, 5, (60, 3)).astype(float)
    X[:, 2] += 2 * (not sparse)
    y = X[:, 0] > 2
    clf = fc.FeatureConvexClassifier(hidden=(4,), epochs=1, temperature=0.3, random_state=0)
    clf.fit(csr_matrix(X) if sparse else X, y).save(tmp_path / "model")
    np.testing.assert_array_equal(clf.range_, [X.min(0), X.max(0)])
    again = fc.load(tmp_path / "model")
    assert isinstance(again, fc.FeatureConvexClassifier)
    np.testing.assert_array_equal(again.range_, clf.range_)
    outside = X[:4].copy()
    outside[1, 0], outside[3] = 9, -1
    np.save(tmp_path / "x.npy", outside)
    out = tmp_path / "rows.csv"
    summary = certify_files(tmp_path / "model", tmp_path / "x.npy", out)
    assert summary.outside == 2
    assert any("outside the range" in line for line in summary.lines)
    assert pd.read_csv(out)["outside_range"].tolist() == [0, 1, 0, 3]


def test_weights_of_classes_are_checked() -> None:
    x, y = data(60)
    with pytest.raises(UserError, match=r"class_weight of 0 must be a number >= 0, got -1"):
        classifier(class_weight={0: -1, 1: 1}).fit(x, y)
    with pytest.raises(UserError, match="all points of class 0 have weight 0"):
        classifier().fit(x, y, sample_weight=y.astype(float))


def test_an_attack_takes_sparse_rows() -> None:
    x, y = data(60)
    clf = classifier().fit(x, y)
    dense, sparse = (fc.attack(clf, rows, steps=5) for rows in (x, csr_matrix(x)))
    np.testing.assert_array_equal(dense.distance, sparse.distance)


@pytest.mark.parametrize("wrong", [(-1.0, 0.01), (1.0, 1.5)])
def test_a_score_of_nothing_is_refused(wrong: tuple[float, float]) -> None:
    with pytest.raises(UserError):
        fc.CertifiedRecall(*wrong)
