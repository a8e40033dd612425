"""More than two classes: a set of them, each its own, and the same from files, pickles and pipelines."""

import json
import pickle
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from numpy.typing import NDArray
from scipy.sparse import csr_matrix
from sklearn.datasets import load_iris
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

import featureconvex as fc
from featureconvex.errors import UserError
from featureconvex.estimator.naming import Naming

X, Y = load_iris(return_X_y=True)
NAMES = np.array(["setosa", "versicolor", "virginica"])[Y]
BOX = fc.Box(0, 8)


def fitted(sensitive: object = None, **changes: object) -> fc.FeatureConvexClassifier:
    """Few, fast epochs on irises."""
    values = {"epochs": 12, "random_state": 0, "learning_rate": 3e-2, "hidden": (8,), **changes}
    return fc.FeatureConvexClassifier(sensitive, **values).fit(X, NAMES)  # type: ignore[arg-type]


@pytest.fixture(scope="module")
def own() -> fc.FeatureConvexClassifier:
    """All classes, each its own."""
    return fitted()


@pytest.fixture(scope="module")
def pair() -> fc.FeatureConvexClassifier:
    """Two classes as a set."""
    return fitted(["versicolor", "virginica"])


def test_all_classes_by_default(own: fc.FeatureConvexClassifier) -> None:
    assert isinstance(own.model_, fc.MultiClassModel)
    assert own.sensitive_.all()
    assert own.score(X, NAMES) > 0.9
    assert own.decision_function(X).shape == (150, 3)
    assert (own.classes_[own.decision_function(X).argmax(1)] == own.predict(X)).all()
    assert own.predict_proba(X).sum(1) == pytest.approx(np.ones(150))
    assert (own.predict_proba(X).argmax(1) == own.decision_function(X).argmax(1)).all()
    for level in ("closed-form", "domain", "tight", "sound"):
        cert = own.certify(X[::4], fc.Lp(2), BOX, level)
        assert isinstance(cert, fc.ClassCertificate)
        assert (own.classes_[cert.predicted] == own.predict(X[::4])).all()
        assert (cert.radius > 0).mean() > 0.9
        assert cert.margin == pytest.approx(own.sensitive_margin(X[::4]), rel=1e-6)
    cert = own.certify(X)
    assert (cert.radius > 0.05).any()
    inside = X + _moves(cert.radius * 0.999)
    assert (own.predict(inside)[cert.radius > 0] == own.predict(X)[cert.radius > 0]).all()


def _moves(size: NDArray[np.float64]) -> NDArray[np.float64]:
    move = np.random.default_rng(0).normal(size=(len(size), X.shape[1]))
    moved: NDArray[np.float64] = (
        move
        / np.linalg.norm(move, axis=1, keepdims=True)
        * np.where(np.isfinite(size), size, 1)[:, None]
    )
    return moved


def test_a_set_of_classes_has_the_one_sided_certificate(pair: fc.FeatureConvexClassifier) -> None:
    assert isinstance(pair.model_, fc.FeatureConvexModel)
    assert pair.sensitive_.tolist() == [False, True, True]
    assert pair.score(X, NAMES) > 0.9
    decision = pair.decision_function(X)
    assert decision.shape == (150, 3)
    flagged = pair.sensitive_margin(X) > 0
    assert (pair.sensitive_[decision.argmax(1)] == flagged).all()
    for threat, level in ((fc.Lp(2), "tight"), (fc.L0(), "domain"), (fc.Lp(1), "sound")):
        cert = pair.certify(X, threat, BOX, level)
        assert type(cert) is fc.Certificate
        assert ((cert.radius > 0) <= flagged).all()
    cert = pair.certify(X)
    kept = pair.predict(X + _moves(cert.radius * 0.999))[cert.radius > 0]
    assert np.isin(kept, ["versicolor", "virginica"]).all()
    assert (cert.radius > 0).sum() > 80


def test_a_series_names_classes() -> None:
    for named in (
        pd.Series(["versicolor", "setosa"], index=[3, 5]),
        pd.Index(["setosa", "versicolor"]),
    ):
        clf = fc.FeatureConvexClassifier(named, epochs=1, random_state=0).fit(X, NAMES)
        assert list(clf.sensitive_class_) == ["setosa", "versicolor"]


def test_one_class_against_many() -> None:
    clf = fitted("setosa")
    assert isinstance(clf.model_, fc.FeatureConvexModel)
    assert clf.sensitive_class_ == "setosa"
    assert clf.score(X, NAMES) > 0.9
    assert (clf.certify(X).radius[Y == 0] > 0).all()
    assert (clf.certify(X).radius[Y > 0] == 0).all()


def test_own_classes_of_which_some_are_sensitive() -> None:
    clf = fitted(["virginica"], multi_class="own")
    cert = clf.certify(X)
    assert isinstance(cert, fc.ClassCertificate)
    assert (cert.status[clf.predict(X) != "virginica"] == fc.Status.not_sensitive).all()
    assert (cert.radius[clf.predict(X) == "virginica"] > 0).all()
    assert ((clf.sensitive_margin(X) > 0) == (clf.predict(X) == "virginica")).all()


def test_two_classes_can_both_be_certified() -> None:
    keep = Y < 2
    clf = fc.FeatureConvexClassifier(multi_class="own", epochs=12, random_state=0, hidden=(8,))
    clf.fit(X[keep], NAMES[keep])
    cert = clf.certify(X[keep])
    assert (cert.radius > 0).mean() > 0.95
    decision = clf.decision_function(X[keep])
    assert decision.shape == (100,)
    assert ((decision > 0) == (clf.predict(X[keep]) == "versicolor")).all()
    assert clf.predict_proba(X[keep]).shape == (100, 2)


@pytest.mark.parametrize("kind", ["own", "pair"])
def test_files_and_pickles_know_it_all(
    kind: str, request: pytest.FixtureRequest, tmp_path: Path
) -> None:
    clf = request.getfixturevalue(kind)
    loaded = fc.load(clf.save(tmp_path / "model"))
    for other in (loaded, pickle.loads(pickle.dumps(clf))):
        assert isinstance(other, fc.FeatureConvexClassifier)
        assert (other.predict(X) == clf.predict(X)).all()
        assert (other.decision_function(X) == clf.decision_function(X)).all()
        assert (other.certify(X).radius == clf.certify(X).radius).all()
        assert (other.sensitive_ == clf.sensitive_).all()
    names = [name for name in (tmp_path / "model").iterdir() if name.suffix == ".json"]
    assert len(names) == 1


def test_the_shared_map_is_stored_once(own: fc.FeatureConvexClassifier, tmp_path: Path) -> None:
    from safetensors.torch import load_file

    tensors = load_file(own.save(tmp_path / "m") / "weights.safetensors")
    assert not [name for name in tensors if name.startswith("classes.0.feature_map")]
    assert [name for name in tensors if name.startswith("feature_map")]


@pytest.mark.parametrize(
    "change",
    [
        lambda stored: stored["extra"]["estimator"].update(sensitive=[0, 9]),
        lambda stored: stored["extra"]["estimator"].update(sensitive=[]),
        lambda stored: stored["extra"]["estimator"]["naming"]["others"].update(classes=[1]),
        lambda stored: stored["extra"]["estimator"]["naming"]["sensitive"].update(intercepts=[1.0]),
        lambda stored: stored["extra"]["estimator"]["naming"].pop("sensitive"),
        lambda stored: stored["extra"]["estimator"].update(naming=None),
        lambda stored: stored["extra"]["estimator"].update(classes_dtype=["<i8"]),
        lambda stored: stored["extra"]["estimator"].update(classes_dtype=[["a", "<i8"]]),
        lambda stored: stored["extra"]["estimator"].update(classes_dtype="<M8[D]"),
        lambda stored: stored["extra"]["estimator"].update(classes=["setosa"] * 3),
        lambda stored: stored["extra"]["estimator"].update(history=[[1.0]]),
        lambda stored: stored["extra"]["estimator"].update(history=3),
        lambda stored: stored["extra"]["estimator"]["naming"]["others"].update(
            coefficients=[[0.0]]
        ),
        lambda stored: stored["extra"]["estimator"]["naming"]["others"].update(intercepts=[None]),
        lambda stored: stored["extra"]["estimator"]["naming"].update(
            sensitive={"classes": [0], "coefficients": [[0.0]], "intercepts": [0.0]},
            others={"classes": [1], "coefficients": [[0.0]], "intercepts": [0.0]},
        ),
    ],
)
def test_damaged_files_are_refused(
    change: object, pair: fc.FeatureConvexClassifier, tmp_path: Path
) -> None:
    path = pair.save(tmp_path / "m") / "model.json"
    stored = json.loads(path.read_text())
    change(stored)  # type: ignore[operator]
    path.write_text(json.dumps(stored))
    with pytest.raises(UserError, match="damaged"):
        fc.load(path.parent)


def test_a_model_of_classes_needs_its_own_loader(
    own: fc.FeatureConvexClassifier, tmp_path: Path
) -> None:
    from featureconvex.models.file import load_any_model, load_model

    assert isinstance(own.model_, fc.MultiClassModel)
    path = fc.save_model(own.model_, tmp_path / "bare")
    assert isinstance(load_any_model(path)[0], fc.MultiClassModel)
    with pytest.raises(UserError, match=r"load it with featureconvex\.load"):
        load_model(path)
    with pytest.raises(UserError, match="whose names nobody wrote down"):
        fc.load(path)


def test_a_class_with_a_single_row_is_named() -> None:
    few = np.r_[0:100, 149]
    with pytest.raises(UserError, match="class 'virginica' has fewer than 2 points"):
        fc.FeatureConvexClassifier().fit(X[few], NAMES[few])


@pytest.mark.parametrize("kind", ["own", "pair"])
def test_scalers_fold_in(kind: str) -> None:
    sensitive = None if kind == "own" else ["versicolor", "virginica"]
    clf = fc.FeatureConvexClassifier(sensitive, epochs=10, random_state=0, hidden=(8,))
    pipeline = make_pipeline(StandardScaler(), clf).fit(X, NAMES)
    folded = fc.fold(pipeline)
    assert (folded.predict(X) == pipeline.predict(X)).all()
    kept = folded.certify(X).radius
    moved = folded.predict(X + _moves(kept * 0.999))
    own = kept > 0
    if kind == "own":
        assert (moved[own] == folded.predict(X)[own]).all()
    else:
        assert np.isin(moved[own], ["versicolor", "virginica"]).all()


def test_sparse_rows_and_gaps(own: fc.FeatureConvexClassifier) -> None:
    sparse = own.certify(csr_matrix(X))
    assert isinstance(sparse, fc.ClassCertificate)
    dense = own.certify(X)
    assert isinstance(dense, fc.ClassCertificate)
    assert sparse.away == pytest.approx(dense.away)
    gaps = X[:4].copy()
    gaps[1, 2] = np.nan
    assert own.certify(gaps).status[1] == fc.Status.non_finite


@pytest.mark.parametrize(
    ("sensitive", "changes", "error", "message"),
    [
        (["setosa", "rose"], {}, ValueError, "'rose' is not among the labels"),
        ([], {}, ValueError, "names no class"),
        (None, {"multi_class": "set"}, UserError, "leave one out of sensitive_class"),
        (None, {"target_fpr": 0.1}, UserError, "target_fpr is about one margin"),
        (None, {"multi_class": "ovr"}, UserError, "multi_class"),
    ],
)
def test_what_has_no_meaning(
    sensitive: object, changes: dict[str, object], error: type[Exception], message: str
) -> None:
    with pytest.raises(error, match=message):
        fitted(sensitive, **changes)


def test_attacks_leave_the_own_class_of_a_sensitive_row(own: fc.FeatureConvexClassifier) -> None:
    found = own.attack(X[::15], fc.Lp(2), BOX, steps=30)
    assert found.found.all()
    assert (own.predict(found.adversarial) != own.predict(X[::15]))[found.margin < 0].all()
    assert (found.distance >= own.certify(X[::15], fc.Lp(2), BOX, "tight").radius).all()
    some = fitted(["versicolor", "virginica"], multi_class="own")
    result = some.attack(csr_matrix(X[::15]), fc.Lp(2), BOX, steps=5)
    safe = ~np.isin(some.predict(X[::15]), ["versicolor", "virginica"])
    assert (result.distance[safe] == 0).all()
    assert (result.distance[~safe] > 0).all()


def test_no_one_sided_recall(own: fc.FeatureConvexClassifier) -> None:
    with pytest.raises(UserError, match="one margin"):
        fc.CertifiedRecall(0.1)(own, X, NAMES)
    with pytest.raises(UserError, match="certify_classes"):
        fc.certify(own.model_, X)  # type: ignore[arg-type]


def test_names_within_a_set_never_leave_their_side() -> None:
    generator = np.random.default_rng(0)
    features, y = generator.normal(size=(200, 3)), generator.integers(0, 5, 200)
    naming = Naming.fit(features, y, np.isin(y, [1, 4]))
    margin = np.concatenate((generator.normal(size=197), [0.0, 1e-300, -1e-300]))
    best = naming.scores(features, margin).argmax(1)
    assert (np.isin(best, [1, 4]) == (margin > 0)).all()
    again = Naming.from_stored(json.loads(json.dumps(naming.stored())))
    assert (again.scores(features, margin) == naming.scores(features, margin)).all()


@pytest.mark.parametrize("kind", ["own", "pair"])
def test_the_command_line_certifies_them(
    kind: str, request: pytest.FixtureRequest, tmp_path: Path
) -> None:
    from featureconvex.cli import main

    clf = request.getfixturevalue(kind)
    saved = clf.save(tmp_path / "model")
    table = pd.DataFrame(X, columns=[f"x{i}" for i in range(4)])
    table.to_csv(tmp_path / "rows.csv", index=False)
    asked = ["certify", str(saved), str(tmp_path / "rows.csv"), "--out", str(tmp_path / "out.csv")]
    with pytest.raises(SystemExit, match="0"):
        main([*asked, "--norm", "2", "--level", "domain", "--box", "0", "8"])
    rows = pd.read_csv(tmp_path / "out.csv")
    assert (rows["predicted_class"] == clf.predict(X)).all()
    cert = clf.certify(X, fc.Lp(2), BOX, "domain")
    assert rows["radius_l2"].to_numpy() == pytest.approx(cert.radius)
    if kind == "own":
        assert isinstance(cert, fc.ClassCertificate)
        for j, name in enumerate(clf.classes_):
            assert rows[f"radius_l2_not_{name}"].to_numpy() == pytest.approx(cert.away[:, j])
    else:
        assert not [name for name in rows if "_not_" in str(name)]
