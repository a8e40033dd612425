"""Synthetic runs: rows, record and examples of a made-up detector, as images or as a table."""

from collections.abc import Callable
from pathlib import Path
from typing import Any, cast

import numpy as np
import pandas as pd
import pytest

from featureconvex.report.report import write_report
from featureconvex.results.examples import Examples, choose_examples, write_examples
from featureconvex.results.record import Record, write_record
from featureconvex.results.rows import write_rows

FEATURES = ["mean radius", "mean texture", "worst area", "smoothness", "<b>odd & name</b>"]
SLOPES = {"l1": 0.15, "l2": 1.0, "linf": 16.0}
FACTORS = {"domain": 1.2, "tight": 1.4, "sound": 1 - 1e-6}

MakeRows = Callable[..., pd.DataFrame]
MakeRecord = Callable[..., Any]
MakeFolder = Callable[..., Path]


def synthetic_rows(
    n: int = 200, seed: int = 0, table: bool = False, levels: tuple[str, ...] = ()
) -> pd.DataFrame:
    """Rows of a detector whose margins are Gaussian around +2 (sensitive) and -2 (other)."""
    rng = np.random.default_rng(seed)
    label = np.arange(n) % 2
    margin = rng.normal(np.where(label == 1, 2.0, -2.0), 1.2)
    predicted = (margin > 0).astype(np.int8)
    data: dict[str, Any] = {
        "index": np.arange(n),
        "label": label.astype(np.int8),
        "predicted": predicted,
        "margin": margin,
        "status": np.where(predicted == 1, "certified", "not_sensitive"),
    }
    for prefix, scale in (("", 1.0), ("std_", 0.3)) if table else (("", 1.0),):
        for norm, size in SLOPES.items():
            slope = size * scale * rng.lognormal(0.0, 0.25, n)
            data[f"slope_{prefix}{norm}"] = slope
            data[f"radius_{prefix}{norm}"] = np.where(predicted == 1, margin / slope, 0.0)
            for level in levels:
                column = data[f"radius_{prefix}{norm}"] * FACTORS[level]
                data[f"radius_{prefix}{norm}_{level}"] = column
    if "domain" in levels:
        data["radius_l0_domain"] = np.floor(np.maximum(margin, 0) * 3)
        data["radius_patch-5_domain"] = np.where(margin > 1.5, 5.0, 0.0)
    return pd.DataFrame(data)


def synthetic_record(kind: str = "image", **changes: Any) -> Record:
    """A complete record; ``changes`` replace or add fields."""
    epochs = np.arange(1, 21)
    record: Any = {
        "task": "mnist-3-8" if kind == "image" else "breast-cancer",
        "recipe": "default",
        "norm": "2",
        "seed": 0,
        "n_train": 11982,
        "train_accuracy": 0.995,
        "kind": kind,
        "sensitive_name": "3" if kind == "image" else "malignant",
        "other_name": "8" if kind == "image" else "benign",
        "image_shape": [1, 12, 12] if kind == "image" else None,
        "feature_names": None if kind == "image" else FEATURES,
        "source": "MNIST, the official IDX files",
        "note": "a synthetic stand-in <script>alert(1)</script>",
        "temperature": 0.5,
        "epochs": 20,
        "tau": -0.125,
        "calibration": {"rule": "balanced", "on": "validation", "target_fpr": None},
        "history": [
            {
                "epoch": int(e),
                "loss": float(np.exp(-e / 5)),
                "train_accuracy": float(1 - 0.3 * np.exp(-e / 4)),
                "validation_accuracy": float(1 - 0.32 * np.exp(-e / 4)),
                "validation_median_radius": float(2 * (1 - np.exp(-e / 8))),
                "learning_rate": 1e-3,
                "seconds": 1.0,
            }
            for e in epochs
        ],
        "seconds": {"train": 41.5, "certify_per_sample": 1.3e-5},
        "model": {"description": "ConvexMLP 144-200-50-1 with passthrough", "parameters": 204251},
        "provenance": {
            "version": "0.1.0",
            "git": "4a215a7",
            "command": "featureconvex run mnist-3-8 --norm 2 --out out",
            "torch": "2.13.0",
            "python": "3.11.9",
            "machine": "Linux x86_64, 2 cores",
            "started": "2026-11-22T18:00:00Z",
        },
    }
    return cast("Record", record | changes)


def synthetic_examples(rows: pd.DataFrame, record: Record, seed: int = 0) -> Examples:
    """Inputs and gradients for the examples that the rows call for."""
    rng = np.random.default_rng(seed)
    index = choose_examples(rows, "radius_l2")
    if record["kind"] == "image":
        shape = (len(index), *(record["image_shape"] or ()))
        x = rng.integers(0, 256, shape).astype(np.uint8)
        return Examples(index, x, rng.normal(size=shape))
    shape = (len(index), len(FEATURES))
    return Examples(index, rng.lognormal(1, 1, shape), rng.normal(size=shape))


def write_run(path: Path, rows: pd.DataFrame, record: Record) -> Path:
    """Write the three files of a run's folder."""
    path.mkdir(parents=True, exist_ok=True)
    write_rows(rows, path / "rows.parquet")
    write_record(record, path / "record.json")
    write_examples(synthetic_examples(rows, record), path / "examples.npz")
    return path


@pytest.fixture(scope="session")
def make_rows() -> MakeRows:
    return synthetic_rows


@pytest.fixture(scope="session")
def make_record() -> MakeRecord:
    return synthetic_record


@pytest.fixture(scope="session")
def make_folder() -> MakeFolder:
    return write_run


@pytest.fixture(scope="session")
def image_folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A run on images with every level, l0 and patches, and a temperature sweep."""
    sweep = [
        {
            "temperature": t,
            "validation_accuracy": 0.995 - 0.02 * t,
            "validation_median_radius": 1 + t,
            "chosen": t == 0.5,
        }
        for t in (0.1, 0.2, 0.5, 1.0)
    ]
    rows = synthetic_rows(levels=("domain", "tight", "sound"))
    return write_run(tmp_path_factory.mktemp("image"), rows, synthetic_record(tradeoff=sweep))


@pytest.fixture(scope="session")
def table_folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A run on a table with radii in training standard deviations and in raw units."""
    rows = synthetic_rows(table=True, levels=("domain",))
    record = synthetic_record("table", levels_unavailable={"sound": "no proof for Softplus."})
    return write_run(tmp_path_factory.mktemp("table"), rows, record)


@pytest.fixture(scope="session")
def image_report(image_folder: Path) -> Path:
    """The image run's folder, with everything that is derived from it."""
    write_report(image_folder)
    return image_folder


@pytest.fixture(scope="session")
def table_report(table_folder: Path) -> Path:
    """The table run's folder, rebuilt over a figure of an earlier run and a file of the user's."""
    figures = table_folder / "figures"
    figures.mkdir()
    (figures / "tradeoff.png").write_bytes(b"old")
    (figures / "mine.png").write_bytes(b"the user's own")
    write_report(table_folder)
    return table_folder
