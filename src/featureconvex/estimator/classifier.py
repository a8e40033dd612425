"""The classifier: scikit-learn's view of the library."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any, Self, overload

import numpy as np
import torch
from numpy.typing import NDArray
from scipy.sparse import issparse
from sklearn.base import BaseEstimator, ClassifierMixin
from sklearn.utils import check_random_state, compute_sample_weight
from sklearn.utils.multiclass import check_classification_targets
from sklearn.utils.validation import _check_sample_weight, check_is_fitted, validate_data

from featureconvex.ambient import undisturbed
from featureconvex.certificates import (
    AttackResult,
    Certificate,
    Domain,
    Level,
    Threat,
    attack,
    certify,
    certify_classes,
)
from featureconvex.certificates.arguments import check_domain, check_threats
from featureconvex.certificates.certificate import joined
from featureconvex.data.schema import ColumnSchema, Schema
from featureconvex.data.tables.columns import Column
from featureconvex.detector import with_table
from featureconvex.device import device
from featureconvex.errors import UserError
from featureconvex.estimator.checks import check_columns, check_counts, check_labels
from featureconvex.estimator.naming import Naming
from featureconvex.estimator.predictions import BATCH, Predictions
from featureconvex.estimator.rows import column_range, dense, shared
from featureconvex.estimator.sensitive import question, sensitive_labels
from featureconvex.given import real_number
from featureconvex.models.file import pack, save_model, unpack
from featureconvex.models.model import FeatureConvexModel
from featureconvex.models.multi_class import MultiClassModel
from featureconvex.norms import parse_norm
from featureconvex.results.strict_json import jsonable
from featureconvex.training.architectures import (
    TABLE_HIDDEN,
    Architecture,
    table_architecture,
    table_map,
    untrained_map,
)
from featureconvex.training.fit import Fitted, fit
from featureconvex.training.multi_class import FittedClasses, fit_classes
from featureconvex.training.points import Points
from featureconvex.training.recipes import Recipe, default
from featureconvex.training.sparse import SparseRows


class FeatureConvexClassifier(Predictions, ClassifierMixin, BaseEstimator):
    """A classifier that certifies every input it assigns to a sensitive class.

    A convex network on standardised features, trained for the certified radius in one norm and
    calibrated on held-out points. Radii are in the units of the columns of ``X``.

    With more than two classes there are two questions. *Set*: does a row stay among the sensitive classes?
    One convex network answers, every level and threat applies, and the name of the class comes without a
    certificate. *Own*: does a row stay in its own class? Each class has a convex score, and the certificate
    is a :class:`~featureconvex.ClassCertificate`.

    Args:
        sensitive_class: the label an attacker wants to leave, or a list of such labels; None means
            ``classes_[1]`` of two classes, and all of more than two.
        multi_class: ``"set"`` or ``"own"``; ``"auto"``: one model for two classes, ``"own"`` where all of
            more are sensitive, ``"set"`` where some are.
        norm: 1, 2 or inf (any p >= 1): the norm whose radius is trained, with every feature
            measured in training standard deviations.
        hidden: widths of the network's hidden layers.
        feature_map: learned after the standardisation and nonexpansive: ``"orthogonal"`` (l2),
            ``"distances"`` (linf), ``"entries"`` (l1 to linf), or ``"identity"``; None: by the norm
            (:func:`~featureconvex.training.architectures.table_map`).
        temperature: trades clean accuracy (small) against radius (large); None lets
            validation choose (:mod:`featureconvex.training.temperature`).
        other_temperature: of the other class, which only has to stay on its side; None: a share of the
            temperature.
        epochs, batch_size, learning_rate: of training; None means the recipe's.
        target_fpr: calibrate for this false-positive rate instead of balancing the classes.
        class_weight: what a point of each class counts in loss and threshold: ``"balanced"`` (by the
            inverse of its frequency), ``{label: weight}``, or None. With weights of classes or samples and
            without ``target_fpr`` the threshold minimises the weighted error.
        validation_fraction: share of the training points held out for choices and calibration.
        random_state: int, RandomState or None.
        device: ``"auto"``, ``"cpu"`` or ``"cuda"``.
        verbose: show progress bars.

    Attributes:
        classes_: the labels, sorted.
        sensitive_class_: the label that was the sensitive class in ``fit``, or the list of them.
        model_: the :class:`FeatureConvexModel`, float64; with ``"own"`` the :class:`MultiClassModel`.
        naming_: of ``"set"``: which class a row is on either side of the model; else None.
        cost_: one over the training standard deviations, (d,):
            ``fc.Lp(2, cost=clf.cost_)`` measures budgets in standard deviations.
        range_: the least and the largest value of each column in ``fit``, (2, d).
        temperature_: as used.
        history_: one record per epoch.

    >>> from sklearn.datasets import load_breast_cancer
    >>> X, y = load_breast_cancer(return_X_y=True)
    >>> clf = FeatureConvexClassifier(sensitive_class=0, temperature=0.5, random_state=0).fit(X, y)
    >>> bool(clf.certify(X).radius.max() > 0)
    True
    """

    def __init__(
        self,
        sensitive_class: Any = None,
        *,
        multi_class: str = "auto",
        norm: float | str = 2,
        hidden: tuple[int, ...] = TABLE_HIDDEN,
        feature_map: str | None = None,
        temperature: float | None = None,
        other_temperature: float | None = None,
        epochs: int | None = None,
        batch_size: int | None = None,
        learning_rate: float | None = None,
        target_fpr: float | None = None,
        class_weight: Any = None,
        validation_fraction: float = 0.1,
        random_state: Any = None,
        device: str = "auto",
        verbose: bool = False,
    ) -> None:
        self.sensitive_class = sensitive_class
        self.multi_class = multi_class
        self.norm = norm
        self.hidden = hidden
        self.feature_map = feature_map
        self.temperature = temperature
        self.other_temperature = other_temperature
        self.epochs = epochs
        self.batch_size = batch_size
        self.learning_rate = learning_rate
        self.target_fpr = target_fpr
        self.class_weight = class_weight
        self.validation_fraction = validation_fraction
        self.random_state = random_state
        self.device = device
        self.verbose = verbose

    @undisturbed()
    def fit(self, X: Any, y: Any, sample_weight: Any = None) -> Self:
        """Train on (n, d) finite numbers and n labels of two or more classes.

        Args:
            X: also a sparse matrix, which is dense one batch at a time.
            y: labels.
            sample_weight: (n,) >= 0, what each point counts in loss and threshold.

        Raises:
            ValueError: a single class, a non-finite input, or an unknown ``sensitive_class``.
            UserError: text or dates among the features; labels that are no texts, whole numbers or bools;
                an option without meaning for the classes asked for.
        """
        check_columns(X)
        check_labels(y)
        # float32 stays what it is: the model trains on float32 anyhow.
        X, y = validate_data(self, X, y, dtype=[np.float64, np.float32], accept_sparse="csr")
        check_classification_targets(y)
        self.classes_ = np.unique(y)
        if len(self.classes_) < 2:
            raise ValueError("the labels have 1 class; two or more are needed")
        hidden = self._widths()
        sensitive = sensitive_labels(self.sensitive_class, self.classes_, self.multi_class)
        own = self._own(sensitive)
        numbers = np.searchsorted(self.classes_, y)
        flagged = np.isin(y, sensitive)
        if own:
            check_counts(self.classes_, numbers)
        inputs = SparseRows(X) if issparse(X) else shared(X)
        points = Points(
            inputs,
            torch.from_numpy((numbers if own else flagged).astype(np.int64)),
            weight=self._weights(X, y, sample_weight),
        )
        recipe = self._recipe(X.shape)
        name = table_map(recipe.norm) if self.feature_map is None else self.feature_map
        architecture, cost = table_architecture(inputs, hidden, device(self.device), name)
        fitted = self._trained(architecture, recipe, points, cost, sensitive if own else None)
        # float64 from here on: certificates of a table should not depend on how it is batched.
        self.model_: FeatureConvexModel | MultiClassModel = fitted.model.double().cpu()
        # Kept from here on: a parameter that is set later is for the next fit.
        self.sensitive_class_ = sensitive[0] if len(sensitive) == 1 else sensitive
        self.naming_ = None
        if not own and len(self.classes_) > 2:
            self.naming_ = Naming.fit(self._features(X), numbers, flagged)
        self.cost_ = cost.numpy()
        self.range_ = column_range(X)
        self.temperature_ = fitted.recipe.temperature
        self.history_ = fitted.history
        return self

    def _widths(self) -> tuple[int, ...]:
        try:
            return tuple(int(width) for width in self.hidden)
        except (TypeError, ValueError) as error:
            raise UserError(
                f"hidden takes layer widths such as {TABLE_HIDDEN}, got {self.hidden!r}"
            ) from error

    def _own(self, sensitive: NDArray[Any]) -> bool:
        """Whether each sensitive class is to stay what it is, rather than one of the set."""
        if self.target_fpr is not None and real_number("target_fpr", self.target_fpr, 0) > 1:
            raise UserError(
                f"a false-positive rate is in [0, 1], got target_fpr={self.target_fpr!r}"
            )
        return question(self.multi_class, sensitive, self.classes_, self.target_fpr) == "own"

    def _recipe(self, shape: tuple[int, ...]) -> Recipe:
        """The default one with the numbers that are given."""
        names = (
            *("temperature", "other_temperature", "epochs"),
            *("batch_size", "learning_rate", "validation_fraction"),
        )
        changes = {name: getattr(self, name) for name in names}
        return default(shape, parse_norm(self.norm)).replace(
            **{name: value for name, value in changes.items() if value is not None}
        )

    def _trained(
        self,
        architecture: Architecture,
        recipe: Recipe,
        points: Points,
        cost: torch.Tensor,
        own: NDArray[Any] | None,
    ) -> Fitted | FittedClasses:
        """Train one network, or one for each class.

        Args:
            architecture, recipe: what, and how.
            points: labelled by class where ``own``, otherwise 1 for sensitive.
            cost: (d,), as in :class:`featureconvex.Lp`.
            own: the classes that each are to stay what they are; None: one set is sensitive.
        """
        seed = int(check_random_state(self.random_state).randint(2**31 - 1))
        if own is None:
            return fit(
                architecture,
                recipe,
                points,
                seed=seed,
                cost=cost,
                target_fpr=self.target_fpr,
                progress=self.verbose,
            )
        return fit_classes(
            untrained_map(architecture, points, seed),
            self._widths(),
            recipe,
            points,
            sensitive=np.flatnonzero(np.isin(self.classes_, own)).tolist(),
            seed=seed,
            cost=cost,
            device=device(self.device),
            progress=self.verbose,
        )

    def _weights(self, X: Any, y: NDArray[Any], sample_weight: Any) -> torch.Tensor | None:
        """(n,) with mean 1, or None where no weights were asked for."""
        if sample_weight is None and self.class_weight is None:
            return None
        weight = _check_sample_weight(sample_weight, X, dtype=np.float64, ensure_non_negative=True)
        if isinstance(self.class_weight, Mapping):
            for label, value in self.class_weight.items():
                real_number(f"class_weight of {label!r}", value, 0)
        weight = weight * compute_sample_weight(self.class_weight, y)
        for label in self.classes_.tolist():
            if not weight[y == label].sum() > 0:
                raise UserError(
                    f"all points of class {_plain(label)!r} have weight 0; every class counts"
                )
        return torch.from_numpy(weight / weight.mean())

    @overload
    def certify(
        self,
        X: Any,
        threat: Threat | None = ...,
        domain: Domain | None = ...,
        level: str | Level = ...,
        *,
        batch_size: int | None = ...,
        progress: bool = ...,
    ) -> Certificate: ...
    @overload
    def certify(
        self,
        X: Any,
        threat: list[Threat],
        domain: Domain | None = ...,
        level: str | Level = ...,
        *,
        batch_size: int | None = ...,
        progress: bool = ...,
    ) -> list[Certificate]: ...
    def certify(
        self,
        X: Any,
        threat: Threat | list[Threat] | None = None,
        domain: Domain | None = None,
        level: str | Level = "closed-form",
        **options: Any,
    ) -> Certificate | list[Certificate]:
        """Certificates for the rows of ``X``, (n, d); see :func:`featureconvex.certify`.

        With ``"own"`` :class:`~featureconvex.ClassCertificate`; see :func:`featureconvex.certify_classes`.
        A row with a NaN or an infinity gets status ``non_finite`` instead of an error.
        """
        x = self.validated_rows(X, allow_missing=True)
        names = getattr(self, "feature_names_in_", None)
        domain, threats = check_domain(domain, names), check_threats(threat, names)
        several = threat is not None and not isinstance(threat, Threat)
        if not issparse(x):
            whole: Certificate | list[Certificate] = self._certified(
                x, threats if several else threats[0], domain, level, options
            )
            return whole
        domain.check_count(x.shape[0])
        parts = []
        for start in range(0, max(1, x.shape[0]), BATCH):
            rows = slice(start, start + BATCH)
            parts.append(
                self._certified(dense(x[rows]), threats, domain.rows(rows), level, options)
            )
        found = [joined(same) for same in zip(*parts, strict=True)]
        return found if several else found[0]

    def _certified(
        self,
        x: Any,
        threat: Threat | list[Threat] | None,
        domain: Domain,
        level: str | Level,
        options: dict[str, Any],
    ) -> Any:
        if isinstance(self.model_, MultiClassModel):
            wanted = np.flatnonzero(self.sensitive_).tolist()
            return certify_classes(
                self.model_, x, threat, domain, level, sensitive=wanted, **options
            )
        return certify(self.model_, x, threat, domain, level, **options)

    @property
    def schema(self) -> Schema:
        """The columns as an attacker sees them: all free, at one per training standard deviation."""
        check_is_fitted(self)
        given = getattr(self, "feature_names_in_", [f"x{i}" for i in range(self.n_features_in_)])
        return Schema(tuple(ColumnSchema(str(name)) for name in given))

    def attack(
        self, X: Any, threat: Threat | None = None, domain: Domain | None = None, **options: Any
    ) -> AttackResult:
        """Evasions for the rows of ``X``; see :func:`featureconvex.attack`.

        Of a data frame the result has them as a ``table`` in its columns, too.
        """
        check_is_fitted(self)
        found = attack(self, dense(X), threat, domain, **options)
        if not hasattr(X, "columns"):
            return found
        names = getattr(self, "feature_names_in_", ())
        columns = [Column(str(name), "number") for name in names] or None
        return with_table(found, X, self.validated_rows(X, allow_missing=True), columns)

    def save(self, path: str | Path) -> Path:
        """Write the fitted classifier into the folder ``path`` (safetensors and JSON, no pickle)."""
        check_is_fitted(self)
        kind = self.classes_.dtype
        estimator = {
            "parameters": self._plain_parameters(),
            "classes": self.classes_.tolist(),
            "classes_dtype": kind.str,
            "sensitive": _places(self.sensitive_),
            "naming": None if self.naming_ is None else self.naming_.stored(),
            "cost": self.cost_.tolist(),
            "temperature": self.temperature_,
            "history": jsonable(self.history_),
            "n_features": self.n_features_in_,
            "feature_names": getattr(self, "feature_names_in_", np.array([])).tolist(),
        }
        extra: dict[str, Any] = {"estimator": estimator}
        if hasattr(self, "range_"):  # a classifier pickled by a release of before has none
            lo, hi = self.range_.tolist()
            extra["range"] = jsonable({"lo": lo, "hi": hi})
        return save_model(self.model_, path, extra)

    def _plain_parameters(self) -> dict[str, Any]:
        parameters = dict(self.get_params(deep=False))
        parameters["norm"] = str(parameters["norm"])
        if isinstance(self.class_weight, dict):  # whose keys JSON would make texts
            parameters["class_weight"] = jsonable(
                [[_plain(label), float(weight)] for label, weight in self.class_weight.items()]
            )
        if not isinstance(parameters["random_state"], int | np.integer | None):
            parameters["random_state"] = None  # a generator's state has no place in a model file
        return parameters

    def __getstate__(self) -> dict[str, Any]:
        # torch refuses to pickle parametrised modules; the model travels in its file format.
        state: dict[str, Any] = super().__getstate__()
        return {**state, "model_": pack(state["model_"])} if "model_" in state else state

    def __setstate__(self, state: dict[str, Any]) -> None:
        if "model_" in state:
            state = {**state, "model_": unpack(*state["model_"])[0]}
        super().__setstate__(state)
        # Of a release of before.
        self.__dict__.setdefault("multi_class", "auto")
        if "model_" in state:
            self.__dict__.setdefault("naming_", None)
        if "model_" in state and "sensitive_class_" not in state:
            self.sensitive_class_ = sensitive_labels(
                self.sensitive_class, self.classes_, self.multi_class
            )[0]

    def __sklearn_tags__(self) -> Any:
        tags = super().__sklearn_tags__()
        tags.input_tags.sparse = True
        return tags


def _places(sensitive: NDArray[np.bool_]) -> int | list[int]:
    """The numbers of the sensitive classes; as a number where it is one, as files of before have it."""
    places: list[int] = np.flatnonzero(sensitive).tolist()
    return places[0] if len(places) == 1 else places


def _plain(label: Any) -> Any:
    return label.item() if isinstance(label, np.generic) else label
