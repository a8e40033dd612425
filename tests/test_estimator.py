"""The estimator beyond scikit-learn's own checks."""

import pickle
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from sklearn.datasets import load_breast_cancer

import featureconvex as fc
from featureconvex.data import find_task

X, Y = load_breast_cancer(return_X_y=True)


@pytest.fixture(scope="module", params=[0, 1])
def fitted(request: pytest.FixtureRequest) -> fc.FeatureConvexClassifier:
    clf = fc.FeatureConvexClassifier(request.param, epochs=10, temperature=0.5, random_state=0)
    return clf.fit(X, Y)


def test_signs_agree(fitted: fc.FeatureConvexClassifier) -> None:
    margin, decision = fitted.sensitive_margin(X), fitted.decision_function(X)
    sensitive = fitted.sensitive_class
    np.testing.assert_array_equal(decision, margin if sensitive == 1 else -margin)
    np.testing.assert_array_equal(fitted.predict(X) == sensitive, margin > 0)
    np.testing.assert_array_equal(fitted.predict_proba(X)[:, 1] > 0.5, decision > 0)
    assert fitted.score(X, Y) > 0.92


def test_certificates_are_about_the_sensitive_class(fitted: fc.FeatureConvexClassifier) -> None:
    certificate = fitted.certify(X, fc.Lp(2))
    assert isinstance(certificate, fc.Certificate)
    flagged = fitted.predict(X) == fitted.sensitive_class
    np.testing.assert_array_equal(certificate.radius > 0, flagged)
    step = X.std(axis=0) * np.random.default_rng(0).normal(size=X.shape)
    step *= (certificate.radius / np.linalg.norm(step, axis=1))[:, None] * (1 - 1e-6)
    assert (fitted.predict(X + step)[flagged] == fitted.sensitive_class).all()


def test_missing_values_have_a_status(fitted: fc.FeatureConvexClassifier) -> None:
    broken = X[:3].copy()
    broken[1, 4] = np.nan
    certificate = fitted.certify(broken)
    assert certificate.status[1] is fc.Status.non_finite
    assert certificate.radius[1] == 0


def test_save_load_and_pickle_keep_everything(
    fitted: fc.FeatureConvexClassifier, tmp_path: Path
) -> None:
    for copy in (fc.load(fitted.save(tmp_path / "clf")), pickle.loads(pickle.dumps(fitted))):
        assert isinstance(copy, fc.FeatureConvexClassifier)
        np.testing.assert_array_equal(copy.sensitive_margin(X), fitted.sensitive_margin(X))
        np.testing.assert_array_equal(copy.predict(X), fitted.predict(X))
        np.testing.assert_array_equal(copy.cost_, fitted.cost_)
        assert str(copy.get_params()["norm"]) == str(fitted.get_params()["norm"])


def test_column_names_are_checked_after_loading(tmp_path: Path) -> None:
    frame = pd.DataFrame(X, columns=load_breast_cancer().feature_names)
    clf = fc.FeatureConvexClassifier(epochs=2, temperature=0.5, random_state=0).fit(frame, Y)
    loaded = fc.load(clf.save(tmp_path / "clf"))
    assert isinstance(loaded, fc.FeatureConvexClassifier)
    with pytest.raises(ValueError, match="feature names"):
        loaded.predict(frame[frame.columns[::-1]])


@pytest.mark.parametrize(
    ("parameters", "word"),
    [
        ({"validation_fraction": -1.0}, "validation_fraction"),
        ({"validation_fraction": 1.0}, "validation_fraction"),
        ({"epochs": 2.5}, "epochs"),
        ({"batch_size": 0}, "batch_size"),
        ({"hidden": 5}, "hidden"),
        ({"hidden": (0,), "temperature": 1.0}, "widths"),
        ({"temperature": "a"}, "temperature"),
        ({"temperature": -1.0}, "temperature"),
        ({"learning_rate": 0.0}, "learning_rate"),
        ({"target_fpr": 2.0, "epochs": 1, "temperature": 1.0}, "false-positive rate"),
        ({"device": "tpu"}, "device"),
        ({"norm": 0.5}, "norm"),
        ({"sensitive_class": "x"}, "sensitive_class"),
    ],
)
def test_bad_parameters_are_named(parameters: dict[str, object], word: str) -> None:
    with pytest.raises(ValueError, match=word):
        fc.FeatureConvexClassifier(**parameters).fit(X, Y)  # type: ignore[arg-type]


@pytest.mark.realdata
@pytest.mark.parametrize("seed", range(3))
def test_spambase_is_at_least_92_per_cent_clean(seed: int) -> None:
    mails = find_task("spambase").load()
    clf = fc.FeatureConvexClassifier(sensitive_class=1, random_state=seed)
    assert clf.fit(mails.train.x, mails.train.y).score(mails.test.x, mails.test.y) >= 0.92
