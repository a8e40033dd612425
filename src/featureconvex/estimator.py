"""scikit-learn's view of the library."""

import math
import warnings
from collections.abc import Callable, Iterable, Mapping
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
from featureconvex.data.tables.frame import as_pandas, check_unique
from featureconvex.detector import Detector
from featureconvex.device import device
from featureconvex.errors import UserError
from featureconvex.given import check_unmasked, file_path, one_of, real_number, rows_tensor
from featureconvex.model import FeatureConvexModel
from featureconvex.model_file import load_any_model, pack, save_model, unpack
from featureconvex.multi_class_model import MultiClassModel, margin_of
from featureconvex.naming import Naming
from featureconvex.norms import parse_norm
from featureconvex.results.strict_json import jsonable
from featureconvex.training.architectures import table_architecture, table_map, untrained_map
from featureconvex.training.fit import Fitted, fit
from featureconvex.training.multi_class import FittedClasses, fit_classes
from featureconvex.training.points import Points
from featureconvex.training.recipes import default
from featureconvex.training.sparse import SparseRows

# Rows per forward pass of a prediction.
BATCH = 4096
QUESTIONS = ("auto", "set", "own")


class FeatureConvexClassifier(ClassifierMixin, BaseEstimator):
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
        feature_map: learned behind the standardisation and nonexpansive: ``"orthogonal"`` (l2),
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
        hidden: tuple[int, ...] = (200, 50),
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
        _check_columns(X)
        _check_labels(y)
        # float32 stays what it is: the model trains on float32 anyhow.
        X, y = validate_data(self, X, y, dtype=[np.float64, np.float32], accept_sparse="csr")
        check_classification_targets(y)
        self.classes_ = np.unique(y)
        if len(self.classes_) < 2:
            raise ValueError("the labels have 1 class; two or more are needed")
        try:
            hidden = tuple(int(width) for width in self.hidden)
        except (TypeError, ValueError) as error:
            raise UserError(
                f"hidden takes layer widths such as (200, 50), got {self.hidden!r}"
            ) from error
        sensitive = self._checked_sensitive_class()
        if self.target_fpr is not None and real_number("target_fpr", self.target_fpr, 0) > 1:
            raise UserError(
                f"a false-positive rate is in [0, 1], got target_fpr={self.target_fpr!r}"
            )
        own = self._question(sensitive) == "own"
        numbers = np.searchsorted(self.classes_, y)
        flagged = np.isin(y, sensitive)
        points = Points(
            SparseRows(X) if issparse(X) else _shared(X),
            torch.from_numpy((numbers if own else flagged).astype(np.int64)),
            weight=self._weights(X, y, sample_weight),
        )
        names = (
            *("temperature", "other_temperature", "epochs"),
            *("batch_size", "learning_rate", "validation_fraction"),
        )
        changes = {name: getattr(self, name) for name in names}
        recipe = default(X.shape, parse_norm(self.norm)).replace(
            **{name: value for name, value in changes.items() if value is not None}
        )
        seed = int(check_random_state(self.random_state).randint(2**31 - 1))
        name = table_map(recipe.norm) if self.feature_map is None else self.feature_map
        rows = SparseRows(X) if issparse(X) else points.x
        architecture, cost = table_architecture(rows, hidden, device(self.device), name)
        fitted: Fitted | FittedClasses
        if own:
            fitted = fit_classes(
                untrained_map(architecture, points, seed),
                hidden,
                recipe,
                points,
                sensitive=np.flatnonzero(np.isin(self.classes_, sensitive)).tolist(),
                seed=seed,
                cost=cost,
                device=device(self.device),
                progress=self.verbose,
            )
        else:
            fitted = fit(
                architecture,
                recipe,
                points,
                seed=seed,
                cost=cost,
                target_fpr=self.target_fpr,
                progress=self.verbose,
            )
        # float64 from here on: certificates of a table should not depend on how it is batched.
        self.model_: FeatureConvexModel | MultiClassModel = fitted.model.double().cpu()
        # Kept from here on: a parameter that is set later is for the next fit.
        self.sensitive_class_ = sensitive[0] if len(sensitive) == 1 else sensitive
        self.naming_ = None
        if not own and len(self.classes_) > 2:
            self.naming_ = Naming.fit(self._features(X), numbers, flagged)
        self.cost_ = cost.numpy()
        self.range_ = _range(X)
        self.temperature_ = fitted.recipe.temperature
        self.history_ = fitted.history
        return self

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

    def _checked_sensitive_class(self) -> NDArray[Any]:
        """The labels of ``classes_`` that the parameter names, (1,) or more."""
        if self.sensitive_class is None:
            every = len(self.classes_) > 2 or self.multi_class == "own"
            return self.classes_ if every else self.classes_[1:]
        single = isinstance(self.sensitive_class, str | bytes | np.generic)
        several = isinstance(self.sensitive_class, Iterable) and not single
        wanted = list(self.sensitive_class) if several else [self.sensitive_class]
        if not wanted:
            raise ValueError("sensitive_class names no class; leave it out for all of them")
        for label in wanted:
            if (self.classes_ == label).sum() != 1:
                raise ValueError(
                    f"sensitive_class={label!r} is not among the labels {self.classes_.tolist()}"
                )
        return self.classes_[[any(label == name for name in wanted) for label in self.classes_]]

    def _question(self, sensitive: NDArray[Any]) -> str:
        """``one`` of two classes, a ``set`` or each its ``own``.

        Raises:
            UserError: an unknown one, one that these classes give no answer to, or a useless option.
        """
        asked = one_of("multi_class", self.multi_class, QUESTIONS)
        every = len(sensitive) == len(self.classes_)
        if asked == "auto":
            two = len(self.classes_) == 2
            asked = "own" if every else "one" if two else "set"
        elif asked == "set" and len(self.classes_) == 2:
            asked = "one"
        if asked != "own" and every:
            raise UserError(
                "multi_class='set' asks whether rows stay in a set, and all classes are in it; leave one "
                "out of sensitive_class, or use multi_class='own'"
            )
        if asked == "own" and self.target_fpr is not None:
            raise UserError(
                "target_fpr is about one margin; with multi_class='own' the largest score decides. Leave "
                "it out, or use multi_class='set'"
            )
        return asked

    @property
    def sensitive_(self) -> NDArray[np.bool_]:
        """(classes,): which are sensitive."""
        found: NDArray[np.bool_] = np.isin(self.classes_, self.sensitive_class_)
        return found

    def _features(self, X: Any) -> NDArray[np.float64]:
        """``phi(x)``, flat."""
        model = self.model_

        def features(x: torch.Tensor) -> torch.Tensor:
            found: torch.Tensor = model.feature_map(x.to(model.dtype)).flatten(1)
            return found

        return self._in_batches(X, features)

    def _scores(self, x: Any) -> NDArray[np.float64]:
        """What the model answers for checked rows: margins (n,), or all classes' scores (n, classes)."""
        return self._in_batches(x, self.model_)

    def _in_batches(
        self, x: Any, of: Callable[[torch.Tensor], torch.Tensor]
    ) -> NDArray[np.float64]:
        starts = range(0, max(1, x.shape[0]), BATCH)
        with torch.no_grad():
            parts = [
                of(rows_tensor(_dense(x[start : start + BATCH])).double()).numpy()
                for start in starts
            ]
        return np.concatenate(parts)

    def _margin(self, scores: NDArray[np.float64]) -> NDArray[np.float64]:
        if scores.ndim == 1:
            return scores
        margin: NDArray[np.float64] = margin_of(
            torch.from_numpy(scores), torch.from_numpy(self.sensitive_)
        ).numpy()
        return margin

    def sensitive_margin(self, X: Any) -> NDArray[np.float64]:
        """``g(phi(x)) + tau``, (n,): positive for the sensitive class or the set of them.

        With ``"own"``: the sensitive class's score less the next largest one.
        """
        return self._margin(self._scores(self.validated_rows(X)))

    def decision_function(self, X: Any) -> NDArray[np.float64]:
        """(n,), positive for ``classes_[1]``: the margin, negated if that is not the sensitive class.

        With more than two classes (n, classes), the largest entry for the class predicted.
        """
        x = self.validated_rows(X)
        return self._decided(x, self._scores(x))

    def _decided(self, x: Any, scores: NDArray[np.float64]) -> NDArray[np.float64]:
        if self.naming_ is not None:
            return self.naming_.scores(self._features(x), scores)
        if scores.ndim == 2:
            return scores if len(self.classes_) > 2 else scores[:, 1] - scores[:, 0]
        return scores if self.sensitive_class_ == self.classes_[1] else -scores

    def predict(self, X: Any) -> NDArray[Any]:
        """(n,) labels. A margin of exactly zero is the other class, as in every certificate.

        Raises:
            UserError: a margin that is not a number; calling it the other class would be a guess.
        """
        return self.classify(self.validated_rows(X))

    def classify(self, x: Any) -> NDArray[Any]:
        """As :meth:`predict`, of rows that are checked already: (n, d) numbers in the order of ``fit``."""
        scores = self._scores(x)
        margin = self._margin(scores)
        if np.isnan(margin).any():
            raise UserError(
                f"the margin of row {int(np.isnan(margin).argmax())} is not a number: something overflows "
                "on the way; the row's numbers are too large for this model"
            )
        if self.naming_ is not None or scores.ndim == 2:
            best = scores if scores.ndim == 2 else self._decided(x, scores)
            named: NDArray[Any] = self.classes_[best.argmax(axis=1)]
            return named
        sensitive = self.sensitive_class_
        other = self.classes_[0] if sensitive == self.classes_[1] else self.classes_[1]
        return np.where(margin > 0, np.asarray(sensitive), np.asarray(other)).astype(
            self.classes_.dtype
        )

    def predict_proba(self, X: Any) -> NDArray[np.float64]:
        """(n, classes), a logistic function of the decision: an ordering, not a calibrated probability."""
        from scipy.special import expit, softmax

        decision = self.decision_function(X)
        if decision.ndim == 2:
            shares: NDArray[np.float64] = softmax(decision, axis=1)
            return shares
        return np.column_stack((expit(-decision), expit(decision)))

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
        domain = check_domain(domain, getattr(self, "feature_names_in_", None))
        if not issparse(x):
            whole: Certificate | list[Certificate] = self._certified(
                x, threat, domain, level, options
            )
            return whole
        threats = check_threats(threat)
        starts = range(0, max(1, x.shape[0]), BATCH)
        parts = [
            self._certified(_dense(x[start : start + BATCH]), threats, domain, level, options)
            for start in starts
        ]
        found = [joined(same) for same in zip(*parts, strict=True)]
        return found if isinstance(threat, list) else found[0]

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

        Raises:
            UserError: also a model of ``"own"``, whose attacks are not written.
        """
        check_is_fitted(self)
        if isinstance(self.model_, MultiClassModel):
            raise UserError(
                "attack knows one sensitive class or one set of them; fit with multi_class='set', or ask "
                "certify, which needs no attack"
            )
        return attack(self, _dense(X), threat, domain, **options)

    def validated_rows(self, X: Any, allow_missing: bool = False) -> NDArray[Any]:
        """``X`` as (n, d) float64, or float32 where it is; sparse stays sparse: a copy may not fit.

        Raises:
            ValueError: another number of columns, or names other than those of ``fit`` or in another order.
        """
        check_is_fitted(self)
        _check_columns(X)
        rows: NDArray[Any] = validate_data(
            self,
            X,
            dtype=[np.float64, np.float32],
            reset=False,
            accept_sparse="csr",
            ensure_all_finite=not allow_missing,
        )
        return rows

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
            self.sensitive_class_ = self._checked_sensitive_class()[0]

    def __sklearn_tags__(self) -> Any:
        tags = super().__sklearn_tags__()
        tags.input_tags.sparse = True
        return tags


def _check_columns(X: Any) -> None:
    """Refuse masked cells, and what is no number in a table of pandas or polars, by its column's name.

    Raises:
        UserError: with the first such column, and how to encode it.
    """
    check_unmasked("X", X)
    X = as_pandas(X)
    if type(X).__module__.partition(".")[0] != "pandas" or getattr(X, "ndim", 0) != 2:
        return
    import pandas as pd

    check_unique(X.columns, "X")
    for place, name in enumerate(X.columns):
        cells = X.iloc[:, place]
        if pd.api.types.is_numeric_dtype(cells.dtype):
            continue
        remedy = (
            "encode it, for example with sklearn.preprocessing.OneHotEncoder, or give the whole table to "
            "`featureconvex run`, which encodes categories"
        )
        if pd.api.types.is_datetime64_any_dtype(cells.dtype) or cells.dtype.kind in "mM":
            remedy = "give a number instead, such as the days since a fixed date"
        else:
            odd = pd.to_numeric(cells.astype(object), errors="coerce").isna() & cells.notna()
            if not odd.any():
                continue
            cells = cells[odd]
        raise UserError(
            f"X: the column {str(name)!r} holds {cells.iloc[0]!r} ({cells.dtype}), the classifier takes "
            f"numbers; {remedy}"
        )


def _check_labels(y: Any) -> None:
    """Refuse labels that scikit-learn would refuse without a remedy, or that a model file cannot hold.

    Raises:
        UserError: masked or missing labels, texts among numbers, bytes, dates, fractions.
    """
    check_unmasked("y", y)
    if y is None:
        return
    typed = hasattr(y, "dtype")
    labels = np.asarray(y, dtype=None if typed else object)
    remedy = "give texts, whole numbers or bools, all of one type, such as y.astype(str)"
    if labels.ndim == 1 and labels.dtype.kind == "O":
        gaps = [label is None or str(label) in ("<NA>", "nan") for label in labels]
        if any(gaps) and not all(isinstance(label, str) for label in labels):
            row = gaps.index(True)
            raise UserError(
                f"y has no label in row {row} ({labels[row]!r}); drop the {sum(gaps)} rows without one"
            )
        odd = [label for label in labels if not isinstance(label, str)]
        # "Unknown label type" are scikit-learn's own words, here and below.
        if odd and (typed or len(odd) < len(labels)):
            raise UserError(
                f"Unknown label type: unknown. y holds {odd[0]!r}, an object of type "
                f"{type(odd[0]).__name__}, as a label; {remedy}"
            )
        if not odd:
            return
        labels = np.asarray(y)
    if labels.dtype.kind in "SmM":
        raise UserError(f"y holds values of type {labels.dtype}, which name no class; {remedy}")
    if labels.dtype.kind == "f":
        fractions = labels[np.isfinite(labels) & (labels != np.rint(labels))]
        if len(fractions):
            raise UserError(
                f"Unknown label type: continuous. y holds fractions such as {fractions[0]}, which name no "
                f"class; {remedy}"
            )


def _range(x: Any) -> NDArray[np.float64]:
    """(2, d): the ends of each column."""
    ends = [_dense(end) for end in (x.min(axis=0), x.max(axis=0))]
    return np.array([np.asarray(end, dtype=np.float64).reshape(-1) for end in ends])


def _dense(x: Any) -> Any:
    return x.toarray() if issparse(x) else x


def _shared(x: NDArray[Any]) -> torch.Tensor:
    """``x`` as a tensor in the same memory, which nobody writes to."""
    with warnings.catch_warnings():
        # torch warns of arrays that cannot be written to, memory-mapped ones for instance.
        warnings.filterwarnings("ignore", "The given NumPy array is not writable")
        return torch.from_numpy(x) if x.dtype.isnative and min(x.strides) >= 0 else rows_tensor(x)


def load(path: str | Path) -> "FeatureConvexClassifier | Detector":
    """What ``save`` wrote: a fitted classifier, or the detector of a run.

    Both predict, certify and attack, in the raw columns. A detector is a
    :class:`~featureconvex.FeatureConvexModel`, too: ``fc.certify`` and ``fc.attack`` take a data frame
    for it, and a domain may name columns.

    Args:
        path: what was given to ``save``, a run's folder, or the ``model`` folder in it.

    Raises:
        UserError: as :func:`featureconvex.model_file.load_model`.
    """
    path = file_path("path", path)
    if (path / "model" / "model.json").exists():
        path = path / "model"
    model, extra = load_any_model(path)
    if "estimator" not in extra:
        if isinstance(model, MultiClassModel):
            raise UserError(
                f"{path} has a model of several classes without a classifier around it; "
                "featureconvex.model_file.load_any_model reads it"
            )
        return Detector.of(model, extra)
    stored = extra["estimator"]
    try:
        parameters = {**stored["parameters"], "hidden": tuple(stored["parameters"]["hidden"])}
        if isinstance(parameters.get("class_weight"), list):
            parameters["class_weight"] = dict(parameters["class_weight"])
        clf = FeatureConvexClassifier(**parameters)
        clf.classes_ = np.array(stored["classes"], dtype=np.dtype(stored["classes_dtype"]))
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
    except (KeyError, TypeError, ValueError) as error:
        raise UserError(f"{path}: the classifier's description is damaged: {error!r}") from error
    clf.model_ = model
    return clf


def _places(sensitive: NDArray[np.bool_]) -> int | list[int]:
    """The numbers of the sensitive classes; as a number where it is one, as files of before have it."""
    places: list[int] = np.flatnonzero(sensitive).tolist()
    return places[0] if len(places) == 1 else places


def _plain(label: Any) -> Any:
    return label.item() if isinstance(label, np.generic) else label


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
        return clf._checked_sensitive_class()[0]
    places = at if isinstance(at, list) else [at]
    if not places or any(place not in range(len(clf.classes_)) for place in places):
        raise ValueError(f"sensitive is {at!r}, expected places in classes")
    return clf.classes_[places] if isinstance(at, list) else clf.classes_[at]
