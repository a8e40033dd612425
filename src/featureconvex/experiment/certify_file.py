"""Certify a user's own inputs with a stored model."""

from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import torch
from numpy.typing import NDArray

from featureconvex.certificates import Certificate, Domain, Threat, certify
from featureconvex.errors import UserError
from featureconvex.estimator import FeatureConvexClassifier, load
from featureconvex.experiment.inputs import read_inputs
from featureconvex.files import replacing, writable_folder
from featureconvex.model import FeatureConvexModel
from featureconvex.model_file import read_extra


def certify_file(
    model_path: Path,
    input_path: Path,
    out: Path,
    threats: list[Threat],
    domain: Domain | None = None,
    level: str = "closed-form",
    **options: Any,
) -> pd.DataFrame:
    """Certify every row of a file and write one row each.

    Args:
        model_path: a run's folder, its ``model`` folder, or what ``save`` wrote.
        input_path: ``.npy`` or ``.npz`` (one array, (n, ...)), ``.csv`` or ``.parquet`` (columns
            are found by the names the model was trained on, others are ignored), or an image or
            folder of images.
        out: ``.csv`` or ``.parquet``.
        threats: what budgets measure.
        domain: where the attacker may move.
        level: of the certificates.

    Returns:
        The rows: ``index`` (or ``file``), ``predicted`` (1: sensitive), ``predicted_class``,
        ``margin``, then status and radius per threat. A row without a margin has no prediction.

    Raises:
        UserError: a file that cannot be read or does not fit the model, or an ``out`` of another kind.
    """
    if out.suffix not in (".csv", ".parquet"):
        raise UserError(f"--out takes a .csv or .parquet file, got {out}")
    place = model_path / "model" if (model_path / "model" / "model.json").exists() else model_path
    if out.resolve() == input_path.resolve():
        raise UserError(f"--out {out} is the input itself; choose another file")
    writable_folder(out.parent)
    model, extra = load(place), read_extra(place)
    known = extra.get("feature_names") or extra.get("estimator", {}).get("feature_names") or None
    shape = tuple(extra["input_shape"]) if "input_shape" in extra else None
    names, x = read_inputs(input_path, known, shape)
    certificates = _certify(model, x, threats, domain, level, options, input_path)
    classes = (extra.get("sensitive_name", "1"), extra.get("other_name", "0"))
    frame = pd.DataFrame({**names, **_columns(certificates, classes)})
    with replacing(out) as scratch:
        if out.suffix == ".csv":
            frame.to_csv(scratch, index=False)
        else:
            frame.to_parquet(scratch, index=False)
    return frame


def _certify(
    model: FeatureConvexClassifier | FeatureConvexModel,
    x: NDArray[Any],
    threats: list[Threat],
    domain: Domain | None,
    level: str,
    options: dict[str, Any],
    path: Path,
) -> list[Certificate]:
    try:
        if isinstance(model, FeatureConvexClassifier):
            return model.certify(x, threats, domain, level, **options)
        scaled = x.astype(np.float32) / 255 if x.dtype == np.uint8 else x
        return certify(model, torch.from_numpy(np.array(scaled)), threats, domain, level, **options)
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
        name = certificate.threat.name
        columns[f"status_{name}"] = [str(status) for status in certificate.status]
        columns[f"radius_{name}"] = certificate.radius
        if np.isfinite(certificate.upper).any():
            columns[f"upper_{name}"] = certificate.upper
    return columns
