"""Affine steps folded into the classifier: the same margins, and certificates in raw units."""

import numpy as np
import pandas as pd
import pytest
import torch
from sklearn.base import clone
from sklearn.compose import ColumnTransformer
from sklearn.decomposition import PCA
from sklearn.model_selection import GridSearchCV
from sklearn.pipeline import Pipeline, make_pipeline
from sklearn.preprocessing import (
    MaxAbsScaler,
    MinMaxScaler,
    PolynomialFeatures,
    RobustScaler,
    StandardScaler,
)

import featureconvex as fc
from featureconvex.errors import UserError
from featureconvex.features import Compose, FeatureMap, Scale, Select
from featureconvex.nn import ConvexMLP
from featureconvex.testing import FeatureMapCase, check_feature_map

SCALES = np.array([1e-3, 1.0, 50.0, 1e4])


def data(n: int = 90) -> tuple[np.ndarray, np.ndarray]:
    rng = np.random.default_rng(0)
    x = rng.normal(size=(n, 4)) * SCALES + 3 * SCALES
    return x, (x @ (1 / SCALES) + rng.normal(size=n) > 12).astype(int)


def classifier(norm: float = 2) -> fc.FeatureConvexClassifier:
    return fc.FeatureConvexClassifier(
        norm=norm, hidden=(16, 8), epochs=3, temperature=0.5, random_state=0
    )


def a_column_transformer() -> ColumnTransformer:
    return ColumnTransformer(
        [
            ("last", StandardScaler(), ["d"]),
            ("none", "drop", ["c"]),
            ("first", make_pipeline(MinMaxScaler(), RobustScaler()), slice("a", "a")),
        ],
        remainder="passthrough",
    )


STEPS = {
    "standard": lambda: [StandardScaler()],
    "uncentred": lambda: [StandardScaler(with_mean=False), MaxAbsScaler()],
    "robust": lambda: [RobustScaler(with_scaling=False), MinMaxScaler((-3, 5)), "passthrough"],
    "columns": lambda: [a_column_transformer()],
    "after": lambda: [StandardScaler().set_output(transform="pandas"), a_column_transformer()],
}


@pytest.mark.parametrize("norm", [1, 2])
@pytest.mark.parametrize("steps", STEPS)
def test_the_folded_classifier_is_the_pipeline_in_raw_units(steps: str, norm: float) -> None:
    x, y = data()
    frame = pd.DataFrame(x, columns=list("abcd"))
    pipeline = make_pipeline(*STEPS[steps](), classifier(norm)).fit(frame, y)
    folded = fc.fold(pipeline)
    margin = folded.sensitive_margin(frame)
    after = pipeline[:-1].transform(frame)
    np.testing.assert_allclose(margin, pipeline[-1].sensitive_margin(after), rtol=1e-9, atol=1e-9)
    np.testing.assert_array_equal(folded.predict(frame), pipeline.predict(frame))
    assert folded.n_features_in_ == 4
    assert [column.name for column in folded.schema.columns] == list("abcd")
    # In training standard deviations it does not matter where the scaling is.
    for p in (1, 2):
        inside = pipeline[-1].certify(after, fc.Lp(p, pipeline[-1].cost_))
        outside = folded.certify(frame, fc.Lp(p, folded.cost_))
        np.testing.assert_allclose(outside.radius, inside.radius, rtol=1e-6)
    box = fc.Box(x.min(0), x.max(0), immutable=["a"])
    some, threat = frame[::3], fc.Lp(2, folded.cost_)
    for held, levels in ((None, ["closed-form"]), (box, ["domain", "sound"])):
        found = folded.attack(some, threat, held)
        for level in levels:
            certificate = folded.certify(some, threat, held, level)
            assert (certificate.radius > 0).sum() > 3
            both = found.found & (certificate.radius > 0)
            assert (found.distance[both] >= certificate.radius[both] * (1 - 1e-6)).all()


@pytest.mark.parametrize("steps", STEPS)
def test_the_range_is_that_of_the_raw_columns(steps: str) -> None:
    x, y = data(200)
    frame = pd.DataFrame(x, columns=list("abcd"))
    folded = fc.fold(make_pipeline(*STEPS[steps](), classifier()).fit(frame, y))
    known = np.isfinite(folded.range_)
    ends = np.array([x.min(axis=0), x.max(axis=0)])
    np.testing.assert_allclose(folded.range_[known], ends[known], rtol=1e-6)
    assert ((folded.range_[0] <= x) & (x <= folded.range_[1])).all()
    assert known.all(axis=0).sum() == (3 if steps in ("columns", "after") else 4)


@pytest.mark.parametrize(
    ("step", "reason"),
    [
        (PCA(2), "PCA"),
        (PolynomialFeatures(2), "PolynomialFeatures"),
        (MinMaxScaler(clip=True), "clips"),
        (
            ColumnTransformer([("two", MinMaxScaler(), [0]), ("three", MinMaxScaler(), [0])]),
            "twice",
        ),
    ],
)
def test_what_is_no_line_is_refused(step: object, reason: str) -> None:
    x, y = data()
    pipeline = make_pipeline(step, classifier()).fit(x, y)
    with pytest.raises(UserError, match=reason):
        fc.fold(pipeline)


class Squared(StandardScaler):  # type: ignore[misc]
    """Not what its parameters say."""

    def transform(self, X: np.ndarray, copy: bool | None = None) -> np.ndarray:
        return np.asarray((np.asarray(X) - self.mean_) / self.scale_) ** 2


def test_steps_that_compute_something_else_are_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    x, y = data()
    with pytest.raises(UserError, match="Squared"):
        fc.fold(make_pipeline(Squared(), classifier()).fit(x, y))
    pipeline = make_pipeline(StandardScaler(), classifier()).fit(x, y)
    pipeline[0].scale_ = pipeline[0].scale_ * 2
    fc.fold(pipeline)
    monkeypatch.setattr(StandardScaler, "transform", Squared.transform)
    with pytest.raises(UserError, match="do not compute what they say"):
        fc.fold(pipeline)
    with pytest.raises(UserError, match="got ConvexMLP"):
        fc.fold(ConvexMLP(2, (3,)))


@pytest.mark.parametrize("planted", ["scale", "order"])
def test_a_wrong_fold_is_caught(planted: str, monkeypatch: pytest.MonkeyPatch) -> None:
    from featureconvex.estimator import folding

    honest = folding._maps

    def wrong(columns: folding._Columns, count: int) -> list[fc.features.FeatureMap]:
        maps = honest(columns, count)
        if planted == "scale":
            front = maps[0]
            assert isinstance(front, Scale)
            return [Scale(0.9 * torch.as_tensor(front.scale), front.shift), *maps[1:]]
        return [maps[0], Select(sorted(columns.source.tolist()), count)]

    monkeypatch.setattr(folding, "_maps", wrong)
    with pytest.raises(AssertionError):
        test_the_folded_classifier_is_the_pipeline_in_raw_units("columns", 2)


def test_select_keeps_the_laws_of_feature_maps() -> None:
    check_feature_map(FeatureMapCase(lambda: Select([3, 0, 4], 5), (5,), lambda x: x[:, [3, 0, 4]]))

    def scaled() -> FeatureMap:
        return Compose(Scale([2.0, 1, 3, 4, 5]), Select([3, 0], 5))

    check_feature_map(FeatureMapCase(scaled, (5,), lambda x: x[:, [3, 0]] * torch.tensor([4.0, 2])))
    for index, count in (([0, 0], 2), ([2], 2), ([], 2)):
        with pytest.raises(UserError, match="distinct"):
            Select(index, count)


def test_a_search_scores_certified_recall() -> None:
    x, y = data(120)
    scorer = fc.CertifiedRecall(0.2, target_fpr=0.1, threat=fc.Lp(2, 1 / SCALES))
    pipeline = Pipeline([("scale", StandardScaler()), ("clf", classifier())])
    search = GridSearchCV(pipeline, {"clf__temperature": [0.1, 2.0]}, scoring=scorer, cv=2)
    search.fit(x, y)
    assert 0 < search.best_score_ <= 1
    fitted = clone(pipeline).fit(x, y)
    folded = fc.fold(fitted)
    # By hand: the lowest threshold with at most a tenth of false alarms.
    margin = folded.sensitive_margin(x)
    cut = np.sort(margin[y == 0])[-int(0.1 * (y == 0).sum()) - 1]
    certificate = folded.certify(x, fc.Lp(2, 1 / SCALES))
    above = margin[margin > cut].min()
    radius = (margin - (cut + above) / 2) / certificate.slope
    assert scorer(fitted, x, y) == pytest.approx(np.mean(radius[y == 1] >= 0.2))
