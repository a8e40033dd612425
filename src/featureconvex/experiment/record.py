"""What a run keeps of itself beside its rows."""

from collections.abc import Sequence
from dataclasses import asdict
from datetime import datetime
from typing import Any, cast

from torch import nn

from featureconvex.data import Dataset, LabelledData
from featureconvex.data.suspicion import data_warnings
from featureconvex.experiment.settings import RunSettings, Settings
from featureconvex.features import Compose, FeatureMap
from featureconvex.norms import norm_name
from featureconvex.provenance import provenance
from featureconvex.results.record import (
    ModelRecord,
    PilotRecord,
    Record,
)
from featureconvex.training.fit import Fitted, calibration_record
from featureconvex.training.recipes import Recipe


def record_of(
    dataset: Dataset,
    settings: Settings,
    fitted: Fitted,
    certify_seconds: dict[str, float],
    started: datetime,
) -> Record:
    """The record of a run that trained and certified."""
    own = {
        **shared_record(dataset, settings, fitted.recipe, started),
        "n_train": fitted.n_train,
        "train_accuracy": fitted.train_accuracy,
        "sensitive_name": dataset.sensitive_name,
        "other_name": dataset.other_name,
        "feature_map": fitted.feature_map,
        "tau": fitted.calibration.tau,
        "calibration": calibration_record(fitted),
        "history": fitted.history,
        "seconds": {"train": fitted.seconds, **certify_seconds},
        "model": describe(fitted.model.feature_map, [fitted.model.convex_net]),
    }
    record = cast("Record", own)
    if fitted.pilots:
        record["tradeoff"] = [cast("PilotRecord", asdict(pilot)) for pilot in fitted.pilots]
    return record


def shared_record(
    dataset: LabelledData, settings: RunSettings, recipe: Recipe, started: datetime
) -> dict[str, Any]:
    """What the records of all runs say of their data and settings; some fields of a ``RunRecord``."""
    return {
        "task": dataset.name,
        "recipe": recipe.name,
        "norm": norm_name(recipe.norm),
        "seed": settings.seed,
        "asked": settings.values(),
        "kind": dataset.kind,
        "image_shape": list(dataset.test.x.shape[1:]) if dataset.kind == "image" else None,
        "feature_names": dataset.feature_names,
        "source": dataset.source,
        "note": dataset.note,
        "rows_from": dataset.rows_from,
        "data_warnings": data_warnings(dataset),
        "temperature": recipe.temperature,
        "epochs": recipe.epochs,
        "settings": recipe.values(),
        "provenance": provenance(started),
    }


def describe(phi: FeatureMap, nets: Sequence[nn.Module]) -> ModelRecord:
    """The architecture in words, and the number of parameters of the networks after the map."""
    net = nets[0]
    config: dict[str, Any] = net.config() if callable(getattr(net, "config", None)) else {}  # type: ignore[operator]
    words = ", ".join(f"{name}={value}" for name, value in config.items())
    parts = phi.parts() if isinstance(phi, Compose) else [phi]
    times = "" if len(nets) == 1 else f"{len(nets)} x "
    path = [*(type(part).__name__ for part in parts), f"{times}{type(net).__name__}({words})"]
    return {
        "description": " > ".join(path),
        "parameters": sum(p.numel() for net in nets for p in net.parameters()),
    }
