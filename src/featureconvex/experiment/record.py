"""What a run keeps of itself beside its rows."""

from dataclasses import asdict
from datetime import datetime
from typing import Any, cast

from featureconvex.data import Dataset
from featureconvex.data.suspicion import data_warnings
from featureconvex.experiment.settings import Settings
from featureconvex.features import Compose
from featureconvex.models.model import FeatureConvexModel
from featureconvex.norms import norm_name
from featureconvex.provenance import provenance
from featureconvex.results.record import (
    CalibrationRecord,
    Epoch,
    ModelRecord,
    PilotRecord,
    Record,
    Seconds,
)
from featureconvex.training.fit import Fitted, calibration_record


def record_of(
    dataset: Dataset,
    settings: Settings,
    fitted: Fitted,
    certify_seconds: dict[str, float],
    started: datetime,
) -> Record:
    """The record of a run that trained and certified."""
    recipe = fitted.recipe
    record: Record = {
        "task": dataset.name,
        "recipe": recipe.name,
        "norm": norm_name(recipe.norm),
        "seed": settings.seed,
        "asked": settings.values(),
        "n_train": fitted.n_train,
        "train_accuracy": fitted.train_accuracy,
        "kind": dataset.kind,
        "sensitive_name": dataset.sensitive_name,
        "other_name": dataset.other_name,
        "image_shape": list(dataset.test.x.shape[1:]) if dataset.kind == "image" else None,
        "feature_names": dataset.feature_names,
        "source": dataset.source,
        "note": dataset.note,
        "rows_from": dataset.rows_from,
        "data_warnings": data_warnings(dataset),
        "feature_map": fitted.feature_map,
        "temperature": recipe.temperature,
        "epochs": recipe.epochs,
        "tau": fitted.calibration.tau,
        "calibration": cast("CalibrationRecord", calibration_record(fitted)),
        "history": cast("list[Epoch]", fitted.history),
        "seconds": cast("Seconds", {"train": fitted.seconds, **certify_seconds}),
        "model": describe(fitted.model),
        "settings": recipe.values(),
        "provenance": provenance(started),
    }
    if fitted.pilots:
        record["tradeoff"] = [cast("PilotRecord", asdict(pilot)) for pilot in fitted.pilots]
    return record


def describe(model: FeatureConvexModel) -> ModelRecord:
    """The architecture in words, and its number of parameters."""
    net, phi = model.convex_net, model.feature_map
    config: dict[str, Any] = net.config() if callable(getattr(net, "config", None)) else {}  # type: ignore[operator]
    words = ", ".join(f"{name}={value}" for name, value in config.items())
    parts = phi.parts() if isinstance(phi, Compose) else [phi]
    path = [*(type(part).__name__ for part in parts), f"{type(net).__name__}({words})"]
    return {
        "description": " > ".join(path),
        "parameters": sum(p.numel() for p in net.parameters()),
    }
