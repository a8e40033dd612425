"""A model with a plan turns pieces of inputs into rows."""

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import torch
from numpy.typing import NDArray

from featureconvex.certificates import (
    Certificate,
    ClassCertificate,
    Edits,
    Lp,
    certify,
    certify_classes,
)
from featureconvex.certificates.certificate import Status
from featureconvex.certificates.levels import Tight, level_named
from featureconvex.data.files.byte_counts import ByteCounts
from featureconvex.data.files.byte_plot import BytePlot
from featureconvex.data.files.contents import file_size
from featureconvex.data.inputs.pieces import Piece
from featureconvex.data.inputs.read import Inputs, read_piece
from featureconvex.data.meaning import Meaning
from featureconvex.detector import ClassDetector, Described, Detector
from featureconvex.errors import UserError
from featureconvex.estimator import FeatureConvexClassifier, load
from featureconvex.experiment.certifying.against import Plan
from featureconvex.experiment.certifying.plots import Plots
from featureconvex.experiment.certifying.slack import (
    certify_slack,
    certify_slack_of_plots,
    runs_of,
)
from featureconvex.experiment.kept import beside
from featureconvex.models.file import read_extra
from featureconvex.models.model import FeatureConvexModel
from featureconvex.models.multi_class import MultiClassModel
from featureconvex.results.columns import RadiusColumn

OUTSIDE = "outside_range"
"""The column that counts the features of a row outside the training range."""


@dataclass(frozen=True)
class Found:
    """The rows of a piece, without their numbers, and what to tell the user."""

    frame: pd.DataFrame
    remarks: tuple[str, ...]


@dataclass(frozen=True)
class Certifier:
    """Reads pieces and certifies them; another process can do so, too.

    Attributes:
        folder: of the model.
        plan: threats, domain and level.
        keep: columns of a table to carry along.
        form: of CSV tables, where it is not the model's.
    """

    folder: Path
    plan: Plan
    keep: tuple[str, ...]
    form: Mapping[str, Any] = field(default_factory=dict)

    @cached_property
    def model(self) -> FeatureConvexClassifier | Detector | ClassDetector:
        """The model."""
        return load(self.folder)

    @cached_property
    def _extra(self) -> dict[str, Any]:
        return read_extra(self.folder)

    @cached_property
    def meaning(self) -> Meaning:
        """What the model was trained on."""
        return Meaning.from_extra(self._extra).written(self.form)

    @cached_property
    def span(self) -> tuple[NDArray[np.float64], NDArray[np.float64]] | None:
        """Least and largest value of every feature in training; None where that is not known."""
        stored = self._extra.get("range")
        if stored is None:
            return None
        lo, hi = (np.array([float(value) for value in stored[end]]) for end in ("lo", "hi"))
        return lo, hi

    @cached_property
    def described(self) -> bool:
        """Whether a user said what the columns are."""
        return self._extra.get("schema") is not None

    @property
    def units(self) -> dict[str, str]:
        """Of the radii of each threat in turn, in words; none of what has a size of its own."""
        schema = self.model.schema if isinstance(self.model, Described) else None
        found = {Edits.NAME: "" if schema is None else schema.unit}
        if self.plan.priced:
            norms = self.plan.priced
        elif self.meaning.kind == "image" or self.meaning.plotted:
            norms = "pixel values from 0 to 1"
        elif self.meaning.files is not None:
            norms = "the counts of a file"
        else:
            norms = (
                "the columns' own units"
                if self.meaning.kind == "table"
                else "the inputs' own units"
            )
        return found | {
            threat.name: norms for threat in self.plan.threats if isinstance(threat, Lp)
        }

    @cached_property
    def _attacked(self) -> bool:
        """Whether the level gives upper bounds, too; of several classes none does."""
        if isinstance(self._core, MultiClassModel):
            return False
        level = level_named(self.plan.level)
        return getattr(level, "base", level).name == Tight.name

    @cached_property
    def names(self) -> list[str] | None:
        """Of the features."""
        known = self._extra.get("feature_names")
        return known or self._extra.get("estimator", {}).get("feature_names") or None

    def __getstate__(self) -> dict[str, Any]:
        return {
            **{"folder": self.folder, "plan": self.plan},
            **{"keep": self.keep, "form": self.form},
        }

    def __call__(self, piece: Piece) -> Found:
        """Certify the rows of a piece.

        Raises:
            UserError: it cannot be read, or does not fit the model.
        """
        inputs = read_piece(piece, self.meaning, self.keep)
        found = self._certified(inputs.x, piece)
        told = _told(inputs, piece)
        if self.plan.slack is not None and inputs.files is not None:
            filled, errors = self._filled(inputs, piece)
            found.append(filled)
            told += [str(error) for error in errors if error is not None]
        if self.plan.plots:
            found += self._of_plots(inputs, piece)
        certificates = [_named(certificate, inputs) for certificate in found]
        names = self._names(inputs.x, certificates[0])
        columns = _columns(certificates, names, self._attacked)
        for certificate in certificates:
            columns |= self._away(certificate)
        outside = self._outside(inputs.x)
        if outside is not None:
            columns[OUTSIDE] = outside
        row = np.zeros(len(inputs.x)) if inputs.files is None else inputs.files
        place = {"index": row} if inputs.files is None else {"file": row}
        frame = beside(
            pd.DataFrame({"row": row, **place, **columns}), inputs.kept, str(piece.origin)
        )
        return Found(frame, (*inputs.remarks, *told))

    def _certified(self, x: NDArray[Any], piece: Piece) -> list[Certificate]:
        try:
            # The classifier's own method asks scikit-learn for names of columns, which are checked already.
            core, plan, rows = self._core, self.plan, torch.from_numpy(x)
            if isinstance(core, MultiClassModel):
                asked: Any = (plan.threats, plan.domain, plan.level)
                return [*certify_classes(core, rows, *asked, sensitive=self._sensitive)]
            return certify(core, rows, plan.threats, plan.domain, plan.level)
        except (RuntimeError, ValueError) as error:
            if isinstance(error, UserError):
                raise
            raise UserError(
                f"{piece.origin}: inputs of shape {x.shape} do not fit the model: {error}"
            ) from error

    def _filled(self, inputs: Inputs, piece: Piece) -> tuple[Certificate, list[UserError | None]]:
        """Whether any bytes in the slack of each file keep its flag."""
        assert inputs.files is not None
        assert self.plan.slack is not None
        runs = runs_of(inputs.files, self.plan.slack)
        form = self.meaning.counts or ByteCounts()
        if isinstance(form, BytePlot):
            return certify_slack_of_plots(self._plots(inputs, piece, form), piece.files, runs)
        assert isinstance(form, ByteCounts)
        assert isinstance(self._core, FeatureConvexModel)
        return certify_slack(self._core, inputs.x, piece.files, runs, form, self.plan.level)

    def _of_plots(self, inputs: Inputs, piece: Piece) -> list[Certificate]:
        """What operations on the bytes of files do to their plots."""
        form = self.meaning.counts
        assert isinstance(form, BytePlot)
        assert isinstance(self._core, FeatureConvexModel)
        if inputs.files is None:
            raise UserError(
                f"{piece.origin} holds numbers, of which nobody knows where a file ends; give the files"
            )
        plots = self._plots(inputs, piece, form)
        return [plots.certify(asked) for asked in self.plan.plots]

    def _plots(self, inputs: Inputs, piece: Piece, form: BytePlot) -> Plots:
        """The files of a piece as the model sees them."""
        assert isinstance(self._core, FeatureConvexModel)
        lost = inputs.unreadable
        sizes = [0 if lost[k] else file_size(file) for k, file in enumerate(piece.files)]
        return Plots(self._core, form, inputs.x, np.array(sizes, dtype=np.int64), self.plan.level)

    @property
    def _core(self) -> FeatureConvexModel | MultiClassModel:
        model = self.model
        return model.model_ if isinstance(model, FeatureConvexClassifier) else model

    @property
    def _sensitive(self) -> list[int] | None:
        """The numbers of a classifier's sensitive classes; None: all."""
        if not isinstance(self.model, FeatureConvexClassifier):
            return None
        found: list[int] = np.flatnonzero(self.model.sensitive_).tolist()
        return found

    def _outside(self, x: NDArray[Any]) -> NDArray[np.int64] | None:
        """(n,): how many features lie outside the training range; None where that is not known."""
        if self.span is None:
            return None
        lo, hi = self.span
        return np.asarray(((x < lo) | (x > hi)).sum(axis=1))

    def _away(self, certificate: Certificate) -> dict[str, Any]:
        """Of several classes: the nearest one, and below which budget a row becomes none of them."""
        if not isinstance(certificate, ClassCertificate):
            return {}
        column = RadiusColumn(certificate.threat.name)
        names = np.array([str(name) for name in self.model.classes_], dtype=object)
        away = {f"{column.name}_not_{name}": certificate.away[:, j] for j, name in enumerate(names)}
        nearest = pd.Series(names[certificate.nearest], dtype=object)
        return {column.rival: nearest.where(np.isfinite(certificate.margin), None), **away}

    def _names(self, x: NDArray[Any], certificate: Certificate) -> NDArray[np.object_]:
        """(n,): what the class of each row is called."""
        model = self.model
        if isinstance(model, ClassDetector) and isinstance(certificate, ClassCertificate):
            named: NDArray[np.object_] = model.classes_.astype(object)[certificate.predicted]
            return named
        if isinstance(model, Detector):
            flagged = certificate.margin > 0
            found: NDArray[np.object_] = model.classes_.astype(object)[flagged.astype(int)]
            return found
        assert isinstance(model, FeatureConvexClassifier)
        known = np.isfinite(certificate.margin)
        names = np.full(len(x), None, dtype=object)
        if known.any():
            # As in _certified: names of columns are checked already.
            names[known] = [str(label) for label in model.classify(x[known])]
        return names


def _told(inputs: Inputs, piece: Piece) -> list[str]:
    """That there are rows or files that cannot be read, and why the first one cannot."""
    if inputs.error is None:
        return []
    what = "rows" if inputs.files is None else "files"
    first = str(inputs.error).removeprefix(f"{piece.origin}: ")
    return [f"{piece.origin}: {what} that cannot be read; the first: {first}"]


def _named(certificate: Certificate, inputs: Inputs) -> Certificate:
    """Rows that say nothing carry NaN, and so no radius; their status says why."""
    status = certificate.status.copy()
    status[inputs.unknown] = Status.unknown_category
    status[inputs.unreadable] = Status.unreadable
    if inputs.too_large is not None:
        status[inputs.too_large] = Status.too_large
    return replace(certificate, status=status)


def _columns(
    certificates: list[Certificate], names: NDArray[np.object_], attacked: bool
) -> dict[str, Any]:
    first = certificates[0]
    flagged, known = first.margin > 0, np.isfinite(first.margin)
    columns: dict[str, Any] = {
        "predicted": pd.Series(flagged, dtype="Int8").where(known),
        "predicted_class": pd.Series(names, dtype=object).where(known, None),
        "margin": first.margin,
    }
    for certificate in certificates:
        column = RadiusColumn(certificate.threat.name)
        columns[column.status] = [str(status) for status in certificate.status]
        columns[column.name] = certificate.radius
        if attacked:
            columns[column.upper] = certificate.upper
    return columns
