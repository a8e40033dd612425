"""Back from disk: a fitted classifier, or the detector of a run."""

import math
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from featureconvex.detector import ClassDetector, Detector
from featureconvex.errors import UserError
from featureconvex.estimator.classifier import FeatureConvexClassifier
from featureconvex.estimator.naming import Naming
from featureconvex.estimator.sensitive import sensitive_labels
from featureconvex.given import file_path
from featureconvex.models.file import load_any_model
from featureconvex.models.model import FeatureConvexModel
from featureconvex.models.multi_class import MultiClassModel


def load(path: str | Path) -> FeatureConvexClassifier | Detector | ClassDetector:
    """What ``save`` wrote: a fitted classifier, or the detector of a run.

    All predict, certify and attack, in the raw columns. A detector is a
    :class:`~featureconvex.FeatureConvexModel`, too: ``fc.certify`` and ``fc.attack`` take a data frame
    for it, and a domain may name columns. Of a run with ``--multi-class own`` it is a
    :class:`~featureconvex.MultiClassModel`, and its certificates are those of ``fc.certify_classes``.

    Args:
        path: what was given to ``save``, a run's folder, or the ``model`` folder in it.

    Raises:
        UserError: as :func:`featureconvex.models.file.load_model`.
    """
    path = file_path("path", path)
    if (path / "model" / "model.json").exists():
        path = path / "model"
    model, extra = load_any_model(path)
    if "estimator" not in extra:
        if isinstance(model, MultiClassModel):
            if "classes" not in extra:
                raise UserError(
                    f"{path} has a model of several classes whose names nobody wrote down; save a "
                    "FeatureConvexClassifier with multi_class='own', or fc.save_model(model, path, "
                    '{"classes": [...]}) with a name for each score (in Python, '
                    "featureconvex.models.file.load_any_model reads the bare model)"
                )
            return ClassDetector.of(model, extra)
        return Detector.of(model, extra)
    stored = extra["estimator"]
    try:
        parameters = {**stored["parameters"], "hidden": tuple(stored["parameters"]["hidden"])}
        if isinstance(parameters.get("class_weight"), list):
            parameters["class_weight"] = dict(parameters["class_weight"])
        clf = FeatureConvexClassifier(**parameters)
        clf.classes_ = _stored_classes(stored)
        clf.sensitive_class_ = _stored_sensitive_class(clf, stored)
        named = stored.get("naming")
        clf.naming_ = None if named is None else Naming.from_stored(named)
        _check_naming(clf, model, stored["n_features"])
        clf.cost_ = np.array(stored["cost"])
        if "range" in extra:
            ends = (extra["range"]["lo"], extra["range"]["hi"])
            clf.range_ = np.array([[float(value) for value in end] for end in ends])
        clf.temperature_ = stored["temperature"]
        clf.history_ = [
            {name: _as_number(value) for name, value in epoch.items()}
            for epoch in stored["history"]
        ]
        clf.n_features_in_ = stored["n_features"]
        if stored["feature_names"]:
            if len(stored["feature_names"]) != clf.n_features_in_:
                raise ValueError("feature_names does not have one name per feature")
            clf.feature_names_in_ = np.array(stored["feature_names"], dtype=object)
    except (AttributeError, IndexError, KeyError, TypeError, ValueError) as error:
        raise UserError(f"{path}: the classifier's description is damaged: {error!r}") from error
    clf.model_ = model
    return clf


def _stored_classes(stored: dict[str, Any]) -> NDArray[Any]:
    kind = np.dtype(stored["classes_dtype"])
    if kind.kind not in "biufUO":
        raise ValueError(f"classes_dtype is {stored['classes_dtype']!r}, which no label has")
    classes = np.array(stored["classes"], dtype=kind)
    if classes.ndim != 1 or len(np.unique(classes)) != len(classes) or len(classes) < 2:
        raise ValueError("classes are not two or more different labels")
    return classes


def _as_number(stored: Any) -> Any:
    """Undo :func:`~featureconvex.results.strict_json.jsonable`: NaN and infinities of an epoch."""
    if stored is None:
        return math.nan
    return float(stored) if isinstance(stored, str) else stored


def _check_naming(
    clf: FeatureConvexClassifier, model: FeatureConvexModel | MultiClassModel, columns: int
) -> None:
    """A set of more than two classes has names for both sides, of as many features as the map has."""
    if isinstance(model, MultiClassModel) or len(clf.classes_) == 2:
        return
    if clf.naming_ is None:
        raise ValueError("naming is missing, and there are more than two classes")
    sides = clf.naming_.sensitive, clf.naming_.others
    if sum(len(side.classes) for side in sides) != len(clf.classes_):
        raise ValueError("naming does not have all classes")
    with torch.no_grad():
        features = model.feature_map(torch.zeros(1, columns, dtype=model.dtype)).numel()
    if any(side.coefficients.shape[1] != features for side in sides):
        raise ValueError(f"naming: the feature map has {features} features")


def _stored_sensitive_class(clf: FeatureConvexClassifier, stored: dict[str, Any]) -> Any:
    at = stored.get("sensitive")
    if at is None:  # files of before name it in the parameters only
        return sensitive_labels(clf.sensitive_class, clf.classes_, clf.multi_class)[0]
    places = at if isinstance(at, list) else [at]
    if not places or any(place not in range(len(clf.classes_)) for place in places):
        raise ValueError(f"sensitive is {at!r}, expected places in classes")
    return clf.classes_[places] if isinstance(at, list) else clf.classes_[at]
