"""The estimator beyond scikit-learn's own checks."""

import json
import pickle
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
from sklearn.datasets import load_breast_cancer
from sklearn.model_selection import GridSearchCV

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


def test_an_epoch_without_a_radius_can_be_saved(
    fitted: fc.FeatureConvexClassifier, tmp_path: Path
) -> None:
    # A validation part that is small, or not flagged at all, has no median; a flat network's is infinite.
    clf = fc.load(fitted.save(tmp_path / "first"))
    assert isinstance(clf, fc.FeatureConvexClassifier)
    clf.history_ = [{**clf.history_[0], "validation_median_radius": r} for r in (np.nan, np.inf)]
    again = fc.load(clf.save(tmp_path / "second"))
    assert isinstance(again, fc.FeatureConvexClassifier)
    np.testing.assert_equal(again.history_, clf.history_)


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
@pytest.mark.usefixtures("few_pilots")
def test_spambase_is_at_least_92_per_cent_clean() -> None:
    mails = find_task("spambase").load()
    clf = fc.FeatureConvexClassifier(sensitive_class=1, epochs=8, random_state=0)
    assert clf.fit(mails.train.x, mails.train.y).score(mails.test.x, mails.test.y) >= 0.92


def test_parameters_set_after_fitting_change_nothing_before_the_next_fit(tmp_path: Path) -> None:
    """Every parameter, by saving, pickling and predicting: what was fitted is stored at fit."""
    clf = fc.FeatureConvexClassifier(0, epochs=2, temperature=0.5, random_state=0).fit(X, Y)
    others = {
        "sensitive_class": 1,
        "multi_class": "set",
        "norm": 1,
        "hidden": (3,),
        "temperature": 7.0,
        "other_temperature": 3.0,
        "feature_map": "orthogonal",
        "epochs": 99,
        "batch_size": 1,
        "learning_rate": 1.0,
        "target_fpr": 0.5,
        "validation_fraction": 0.5,
        "random_state": 9,
        "device": "cuda",
        "verbose": True,
        "class_weight": "balanced",
    }
    assert others.keys() == clf.get_params().keys()
    before = (clf.predict(X), clf.decision_function(X), clf.predict_proba(X), clf.certify(X).radius)
    for name, value in others.items():
        clf.set_params(**{name: value})
        for number, other in enumerate(
            (clf, pickle.loads(pickle.dumps(clf)), fc.load(clf.save(tmp_path / name)))
        ):
            assert isinstance(other, fc.FeatureConvexClassifier)
            after = (
                other.predict(X),
                other.decision_function(X),
                other.predict_proba(X),
                other.certify(X).radius,
            )
            for a, b in zip(before, after, strict=True):
                np.testing.assert_array_equal(a, b, err_msg=f"{name}, {number}")
            assert other.sensitive_class_ == 0
            assert other.temperature_ == 0.5
    clf.set_params(device="cpu", verbose=False, hidden=(8,), epochs=1, batch_size=64)
    assert clf.fit(X, Y).sensitive_class_ == 1


def test_a_file_of_before_names_the_class_in_its_parameters(tmp_path: Path) -> None:
    clf = fc.FeatureConvexClassifier(0, epochs=1, temperature=0.5, random_state=0).fit(X, Y)
    path = clf.save(tmp_path / "clf")
    structure = json.loads((path / "model.json").read_text())
    del structure["extra"]["estimator"]["sensitive"]
    (path / "model.json").write_text(json.dumps(structure))
    loaded = fc.load(path)
    assert isinstance(loaded, fc.FeatureConvexClassifier)
    np.testing.assert_array_equal(loaded.predict(X), clf.predict(X))
    structure["extra"]["estimator"]["sensitive"] = 2
    (path / "model.json").write_text(json.dumps(structure))
    with pytest.raises(fc.UserError, match="sensitive is 2"):
        fc.load(path)


NUMPY = {
    "norm": [np.int64(1), np.float32(2)],
    "hidden": [np.array([4, 3]), (np.int64(5),), [np.int32(4)]],
    "temperature": np.array([0.5, 1.0], dtype=np.float32),
    "epochs": np.array([1, 2]),
    "batch_size": np.array([32, 64], dtype=np.int32),
    "learning_rate": np.array([1e-3, 2e-3], dtype=np.float32),
    "target_fpr": np.array([0.05, 0.1], dtype=np.float32),
    "validation_fraction": np.array([0.1, 0.2], dtype=np.float32),
    "random_state": np.array([0, 1]),
    "sensitive_class": np.array([0, 1]),
    "verbose": [np.False_],
}


@pytest.mark.parametrize("name", NUMPY)
def test_grid_search_over_numpy_numbers_and_saving_its_best(name: str, tmp_path: Path) -> None:
    given: dict[str, Any] = {"epochs": np.int64(1), "hidden": np.array([4]), "random_state": 0}
    base = fc.FeatureConvexClassifier(temperature=np.float64(0.5), **given)
    search = GridSearchCV(base, {name: NUMPY[name]}, cv=2, error_score="raise").fit(X, Y)
    best = search.best_estimator_
    loaded = fc.load(best.save(tmp_path / "best"))
    assert isinstance(loaded, fc.FeatureConvexClassifier)
    np.testing.assert_array_equal(loaded.predict(X), best.predict(X))
    stored, value = loaded.get_params()[name], best.get_params()[name]
    np.testing.assert_array_equal(float(stored) if name == "norm" else stored, value)
    assert type(stored) in (int, float, bool, str, tuple)


TABLE = pd.DataFrame({"a": np.arange(20.0), "b": np.arange(20) % 3})
HALVES = np.arange(20) % 2


@pytest.mark.parametrize(
    ("cells", "words"),
    [
        (["red", "blue"] * 10, "holds 'red' .*OneHotEncoder"),
        ([1.0, "x"] * 10, "holds 'x' "),
        (pd.Categorical(["u", "v"] * 10), "holds 'u' .*OneHotEncoder"),
        (pd.date_range("2020-01-01", periods=20), "days since a fixed date"),
        (pd.timedelta_range("1s", periods=20), "days since a fixed date"),
        ([[1, 2]] * 20, "the classifier takes numbers"),
        (pd.array(["red", None] * 10, dtype="string"), "holds 'red'"),
    ],
    ids=["words", "mixed", "category", "dates", "spans", "lists", "string"],
)
def test_columns_that_are_no_numbers_are_named(cells: Any, words: str) -> None:
    table = TABLE.assign(odd=cells)
    clf = fc.FeatureConvexClassifier(epochs=1, temperature=1.0, random_state=0)
    with pytest.raises(fc.UserError, match=f"the column 'odd' .*{words}"):
        clf.fit(table, HALVES)
    clf.fit(TABLE.assign(odd=1.5), HALVES)
    for method in (clf.predict, clf.certify, clf.sensitive_margin):
        with pytest.raises(fc.UserError, match="the column 'odd' "):
            method(table)
    clf.predict(TABLE.assign(odd=["1", "2.5"] * 10))
    clf.predict(TABLE.assign(odd=pd.array([1, 2] * 10, dtype="Int64")))


@pytest.mark.parametrize(
    ("labels", "words"),
    [
        (np.array([None, "x"] * 10, dtype=object), "no label in row 0"),
        (["x", None] * 10, "no label in row 1"),
        (pd.Series(["x", pd.NA] * 10, dtype="string"), "no label in row 1"),
        (np.array([1, "x"] * 10, dtype=object), "holds 1, an object of type int"),
        (["x", 1] * 10, "holds 1, an object of type int"),
        (np.array([0, 1] * 10, dtype=object), "astype"),
        (np.array([b"m", b"b"] * 10), "which name no class"),
        (np.array(["2020-01-01", "2021-01-01"] * 10, dtype="datetime64[D]"), "name no class"),
        (np.array([0.5, 1.5] * 10), "Unknown label type: continuous.* fractions such as 0.5"),
        (np.ma.masked_array(HALVES, mask=HALVES == 1), "y has masked cells"),
    ],
)
def test_labels_without_a_meaning_are_refused_with_the_remedy(labels: Any, words: str) -> None:
    with pytest.raises(fc.UserError, match=words):
        fc.FeatureConvexClassifier(epochs=1, temperature=1.0, random_state=0).fit(TABLE, labels)


@pytest.mark.parametrize(
    "labels",
    [[True, False] * 10, ["m", "b"] * 10, [0, 1] * 10, [-1.0, 1.0] * 10, ["nan", "x"] * 10],
    ids=str,
)
def test_labels_of_one_plain_type_are_taken(labels: list[Any]) -> None:
    for given in (labels, np.array(labels), pd.Series(labels)):
        clf = fc.FeatureConvexClassifier(epochs=1, temperature=1.0, random_state=0)
        assert set(clf.fit(TABLE, given).predict(TABLE).tolist()) <= set(labels)


def test_a_share_that_leaves_no_training_point_is_refused() -> None:
    with pytest.raises(fc.UserError, match=r"validation_fraction=0.9999 .* leaves none"):
        fc.FeatureConvexClassifier(epochs=1, validation_fraction=0.9999).fit(X, Y)
