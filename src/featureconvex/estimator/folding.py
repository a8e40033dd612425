"""Affine steps in front of a classifier, folded into its feature map: radii in the raw units."""

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray
from sklearn.compose import ColumnTransformer
from sklearn.pipeline import Pipeline
from sklearn.preprocessing import (
    FunctionTransformer,
    MaxAbsScaler,
    MinMaxScaler,
    RobustScaler,
    StandardScaler,
)
from sklearn.utils.validation import check_is_fitted

from featureconvex.errors import UserError
from featureconvex.estimator.classifier import FeatureConvexClassifier
from featureconvex.features import Compose, FeatureMap, Scale, Select
from featureconvex.models.model import FeatureConvexModel
from featureconvex.models.multi_class import MultiClassModel

KNOWN = "StandardScaler, MinMaxScaler, MaxAbsScaler, RobustScaler and a ColumnTransformer of them"
"""What can be folded."""


@dataclass(frozen=True)
class _Columns:
    """Output j is ``scale_j x_(source_j) + shift_j``."""

    source: NDArray[np.intp]
    scale: NDArray[np.float64]
    shift: NDArray[np.float64]

    def then(self, other: "_Columns") -> "_Columns":
        """``other`` of this."""
        return _Columns(
            self.source[other.source],
            self.scale[other.source] * other.scale,
            self.shift[other.source] * other.scale + other.shift,
        )


def fold(pipeline: Any) -> FeatureConvexClassifier:
    """A fitted pipeline of affine scalers and a classifier as one classifier of the raw columns.

    Certificates, domains and attacks of the result are in the raw units.

    Args:
        pipeline: a fitted ``sklearn.pipeline.Pipeline`` that ends in a :class:`FeatureConvexClassifier`, or
            such a classifier, which is returned.

    Raises:
        UserError: a step that does not map each column by a line of its own, with the reason.

    >>> from sklearn.pipeline import make_pipeline
    >>> X = np.array([[0.0, 10], [1, 40], [2, 10], [3, 40], [4, 20]] * 9)
    >>> clf = FeatureConvexClassifier(epochs=2, temperature=1.0, random_state=0)
    >>> pipeline = make_pipeline(MinMaxScaler(), clf).fit(X, X[:, 0] > 2)
    >>> folded = fold(pipeline)
    >>> bool(np.allclose(folded.sensitive_margin(X), clf.sensitive_margin(pipeline[:-1].transform(X))))
    True
    """
    if isinstance(pipeline, FeatureConvexClassifier):
        return pipeline
    if not isinstance(pipeline, Pipeline) or not isinstance(
        pipeline.steps[-1][1], FeatureConvexClassifier
    ):
        raise UserError(
            "fold takes a Pipeline that ends in a FeatureConvexClassifier, got "
            f"{type(pipeline).__name__}"
        )
    check_is_fitted(pipeline)
    clf: FeatureConvexClassifier = pipeline.steps[-1][1]
    count = _features(pipeline)
    columns = _of_pipeline(pipeline.steps[:-1], count)
    _check(pipeline, columns, count)
    folded = FeatureConvexClassifier(**clf.get_params(deep=False))
    for name, value in vars(clf).items():
        if name.endswith("_") and name != "feature_names_in_":
            setattr(folded, name, value)
    folded.n_features_in_ = count
    names = getattr(pipeline, "feature_names_in_", None)
    if names is not None:
        folded.feature_names_in_ = names
    # A column that no step takes has no standard deviation here; moving it changes nothing.
    cost = np.ones(count)
    cost[columns.source] = clf.cost_ * np.abs(columns.scale)
    folded.cost_ = cost
    if hasattr(clf, "range_"):
        folded.range_ = _unscaled(clf.range_, columns, count)
    model = clf.model_
    phi = Compose(*_maps(columns, count), *model.feature_map.parts())
    if isinstance(model, MultiClassModel):
        folded.model_ = model.with_map(phi).double().eval()
    else:
        folded.model_ = FeatureConvexModel(phi, model.convex_net, float(model.tau)).double().eval()
    return folded


def _unscaled(span: NDArray[np.float64], columns: _Columns, count: int) -> NDArray[np.float64]:
    """The range of the raw columns, (2, d), a little wider than rounding; no ends where no step looks."""
    ends = (span - columns.shift) / columns.scale
    lo, hi = ends.min(axis=0), ends.max(axis=0)
    more = 1e-9 * (hi - lo) + 1e-12 * np.abs(ends).max(axis=0)
    raw = np.array([np.full(count, -np.inf), np.full(count, np.inf)])
    raw[0, columns.source], raw[1, columns.source] = lo - more, hi + more
    return raw


def _maps(columns: _Columns, count: int) -> list[FeatureMap]:
    scale, shift = np.ones(count), np.zeros(count)
    scale[columns.source], shift[columns.source] = columns.scale, columns.shift
    maps: list[FeatureMap] = [Scale(scale, shift)]
    if columns.source.tolist() != list(range(count)):
        maps.append(Select(columns.source.tolist(), count))
    return maps


def _features(pipeline: Pipeline) -> int:
    steps = [step for _, step in pipeline.steps if hasattr(step, "n_features_in_")]
    return int(steps[0].n_features_in_)


def _of_pipeline(steps: list[tuple[str, Any]], count: int) -> _Columns:
    found = _nothing(count)
    for name, step in steps:
        found = found.then(_of_step(name, step, len(found.source)))
    return found


def _nothing(count: int) -> _Columns:
    return _Columns(np.arange(count), np.ones(count), np.zeros(count))


def _of_step(name: str, step: Any, count: int) -> _Columns:
    """What a fitted step computes.

    Raises:
        UserError: it is none of those known.
    """
    kind, every = type(step), np.arange(count)
    ones, zeros = np.ones(count), np.zeros(count)
    if step is None or (isinstance(step, str) and step == "passthrough"):
        return _nothing(count)
    if kind is FunctionTransformer and step.func is None:
        return _nothing(count)
    if kind is Pipeline:
        return _of_pipeline(step.steps, count)
    if kind is ColumnTransformer:
        return _of_columns(name, step, count)
    if getattr(step, "clip", False):
        raise UserError(f"the step {name!r} clips, which is no line; use clip=False")
    if kind is StandardScaler:
        scale = 1 / step.scale_ if step.with_std else ones
        return _Columns(every, scale, -step.mean_ * scale if step.with_mean else zeros)
    if kind is RobustScaler:
        scale = 1 / step.scale_ if step.with_scaling else ones
        return _Columns(every, scale, -step.center_ * scale if step.with_centering else zeros)
    if kind is MinMaxScaler:
        return _Columns(every, step.scale_, step.min_)
    if kind is MaxAbsScaler:
        return _Columns(every, 1 / step.scale_, zeros)
    raise UserError(
        f"the step {name!r} ({kind.__name__}) is not known to map each column by a line of its own, so a "
        f"radius after it says nothing in raw units; fold knows {KNOWN}"
    )


def _of_columns(name: str, step: ColumnTransformer, count: int) -> _Columns:
    if step.transformer_weights:
        raise UserError(f"the step {name!r} has transformer_weights; scale the columns instead")
    parts = []
    for part, transformer, chosen in step.transformers_:
        if isinstance(transformer, str) and transformer == "drop":
            continue
        places = _places(step, chosen, count)
        found = _of_step(f"{name}: {part}", transformer, len(places))
        parts.append(_Columns(places[found.source], found.scale, found.shift))
    source = np.concatenate([part.source for part in parts])
    if len(set(source.tolist())) < len(source):
        raise UserError(f"the step {name!r} takes a column twice; fold takes each once")
    joined = (np.concatenate([getattr(p, end) for p in parts]) for end in ("scale", "shift"))
    return _Columns(source, *joined)


def _places(step: ColumnTransformer, chosen: Any, count: int) -> NDArray[np.intp]:
    """Indices of columns: names, a slice, bools or indices."""
    names = [str(name) for name in getattr(step, "feature_names_in_", [])]
    if isinstance(chosen, slice):
        start, stop = chosen.start, chosen.stop
        start = names.index(start) if isinstance(start, str) else start
        stop = names.index(stop) + 1 if isinstance(stop, str) else stop
        return np.arange(count)[slice(start, stop, chosen.step)]
    given = np.atleast_1d(np.asarray(chosen))
    if given.dtype.kind in "OUT":
        return np.array([names.index(str(name)) for name in given], dtype=np.intp)
    return np.asarray(np.arange(count)[given])


def _check(pipeline: Pipeline, columns: _Columns, count: int) -> None:
    """The steps compute what their parameters say: a subclass or a patched method might not.

    Raises:
        UserError: they do not.
    """
    if len(pipeline.steps) < 2:
        return
    x: Any = np.random.default_rng(0).normal(size=(16, count)) * 10.0 ** np.arange(-8, 8)[:, None]
    names = getattr(pipeline, "feature_names_in_", None)
    expected = x[:, columns.source] * columns.scale + columns.shift
    if names is not None:
        import pandas as pd

        x = pd.DataFrame(x, columns=names)
    found = np.asarray(pipeline[:-1].transform(x), dtype=np.float64)
    near = np.abs(found - expected) <= 1e-9 * (np.abs(expected) + np.abs(columns.shift))
    if found.shape != expected.shape or not near.all():
        raise UserError("the steps in front of the classifier do not compute what they say")
