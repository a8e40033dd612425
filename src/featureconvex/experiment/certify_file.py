"""Certify a user's own inputs with a stored model."""

import sys
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import torch
from numpy.typing import NDArray

from featureconvex.certificates import Certificate, Domain, Level, Threat, certify
from featureconvex.certificates.arguments import check_domain
from featureconvex.certificates.certificate import Status
from featureconvex.data.meaning import Meaning
from featureconvex.errors import UserError
from featureconvex.estimator import FeatureConvexClassifier, load
from featureconvex.experiment.against import planned
from featureconvex.experiment.inputs import Inputs, read_inputs
from featureconvex.experiment.kept import beside
from featureconvex.files import replacing, writable_folder
from featureconvex.model import FeatureConvexModel
from featureconvex.model_file import read_extra
from featureconvex.results.columns import RadiusColumn

STANDARD_OUTPUT = Path("-")


def certify_file(
    model_path: Path,
    input_path: Path,
    out: Path,
    threats: Sequence[Threat | str] | None,
    domain: Domain | None = None,
    level: str | Level | None = "closed-form",
    keep: tuple[str, ...] = (),
    progress: bool = False,
    cost: str | None = None,
) -> pd.DataFrame:
    """Certify every row of a file and write one row each.

    Args:
        model_path: a run's folder, its ``model`` folder, or what ``save`` wrote.
        input_path: whatever a model can be trained on, and ``.npy`` or ``.npz`` (one array, (n, ...)):
            a table (columns are found by the names the model was trained on, others are ignored; ``-``
            is CSV on standard input), an example file, or a folder of them.
        out: ``.csv`` or ``.parquet``, or ``-`` for CSV on standard output.
        threats: what budgets measure; ``"edits"`` for the prices of the model's schema. None: these, and
            ``Lp(2)`` for a model without a schema of its own.
        domain: where the attacker may move; None: where the schema says, for its prices.
        level: of the certificates; None: ``"domain"`` where the attacker is held to something, else
            ``"closed-form"``.
        cost: for norms: ``"std"``, one per training standard deviation, or ``"schema"``, its prices.
        keep: columns of the table to carry along.
        progress: show a bar and remarks on standard error.

    Returns:
        The rows: ``row`` (source row from 0, or file name), the columns kept, ``index`` (position
        among the inputs, of a table or array) or ``file``, ``predicted`` (1: sensitive),
        ``predicted_class``, ``margin``, then status and radius per threat. A row without a margin has
        no prediction. A missing cell makes its row ``non_finite``; a category that training never
        saw, ``unknown_category``.

    Raises:
        UserError: a file that cannot be read or does not fit the model, or an ``out`` of another kind.
    """
    if out.suffix not in (".csv", ".parquet") and out != STANDARD_OUTPUT:
        raise UserError(f"--out takes a .csv or .parquet file, or - for CSV, got {out}")
    place = model_path / "model" if (model_path / "model" / "model.json").exists() else model_path
    if out != STANDARD_OUTPUT:
        if out.resolve() == input_path.resolve():
            raise UserError(f"--out {out} is the input itself; choose another file")
        writable_folder(out.parent)
    model, extra = load(place), read_extra(place)
    known = extra.get("feature_names") or extra.get("estimator", {}).get("feature_names") or None
    meaning = Meaning.from_extra(extra)
    inputs = read_inputs(input_path, meaning, keep)
    domain = None if domain is None else check_domain(domain, known, meaning.blocks)
    plan = planned(model, threats, domain, level, cost, extra.get("schema") is not None)
    domain, level = plan.domain, plan.level
    if progress and plan.sentence:
        sys.stderr.write(f"{plan.sentence}\n")
    if progress:
        for remark in inputs.remarks:
            sys.stderr.write(f"{remark}\n")
    found = _certify(model, inputs.x, plan.threats, domain, level, progress, input_path)
    certificates = [_unknown_named(certificate, inputs.unknown) for certificate in found]
    columns = _columns(certificates, _class_names(model, extra))
    frame = pd.DataFrame({"row": inputs.source.rows, **_names(inputs), **columns})
    frame = beside(frame, inputs.kept, str(input_path))
    if out == STANDARD_OUTPUT:
        frame.to_csv(sys.stdout, index=False)
        return frame
    with replacing(out) as scratch:
        if out.suffix == ".csv":
            frame.to_csv(scratch, index=False)
        else:
            frame.to_parquet(scratch, index=False)
    return frame


def _names(inputs: Inputs) -> dict[str, Any]:
    rows = inputs.source.rows
    return {"file": rows} if inputs.source.samples is not None else {"index": np.arange(len(rows))}


def _class_names(
    model: FeatureConvexClassifier | FeatureConvexModel, extra: dict[str, Any]
) -> tuple[str, str]:
    """What the sensitive class and the other are called."""
    if not isinstance(model, FeatureConvexClassifier):
        return extra.get("sensitive_name", "1"), extra.get("other_name", "0")
    labels = [str(label) for label in model.classes_]
    sensitive = labels[list(model.classes_).index(model.sensitive_class_)]
    return sensitive, labels[0] if sensitive == labels[1] else labels[1]


def _unknown_named(certificate: Certificate, unknown: NDArray[np.bool_]) -> Certificate:
    """Rows with an unknown category carry NaN, and so no radius; their status says why."""
    status = certificate.status.copy()
    status[unknown] = Status.unknown_category
    return replace(certificate, status=status)


def _certify(
    model: FeatureConvexClassifier | FeatureConvexModel,
    x: NDArray[Any],
    threats: list[Threat],
    domain: Domain | None,
    level: str | Level,
    progress: bool,
    path: Path,
) -> list[Certificate]:
    try:
        # The classifier's own method asks scikit-learn for the columns' names, which are checked already.
        core = model.model_ if isinstance(model, FeatureConvexClassifier) else model
        return certify(core, torch.from_numpy(x), threats, domain, level, progress=progress)
    except (RuntimeError, ValueError) as error:
        if isinstance(error, UserError):
            raise
        raise UserError(
            f"{path}: inputs of shape {x.shape} do not fit the model: {error}"
        ) from error


def _columns(certificates: list[Certificate], classes: tuple[str, str]) -> dict[str, Any]:
    first = certificates[0]
    flagged, known = first.margin > 0, np.isfinite(first.margin)
    columns: dict[str, Any] = {
        "predicted": pd.Series(flagged, dtype="Int8").where(known),
        "predicted_class": pd.Series(np.where(flagged, *classes), dtype=object).where(known, None),
        "margin": first.margin,
    }
    for certificate in certificates:
        column = RadiusColumn(certificate.threat.name)
        columns[column.status] = [str(status) for status in certificate.status]
        columns[column.name] = certificate.radius
        if np.isfinite(certificate.upper).any():
            columns[column.upper] = certificate.upper
    return columns
