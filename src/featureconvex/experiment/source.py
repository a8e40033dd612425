"""Where a run's inputs come from and what they are, beside its rows and in its model file."""

from typing import Any

import pandas as pd
from torch import Tensor

from featureconvex.data import LabelledData
from featureconvex.data.meaning import Meaning
from featureconvex.experiment.kept import beside
from featureconvex.experiment.prepared import Prepared


def with_source(rows: pd.DataFrame, dataset: LabelledData) -> pd.DataFrame:
    """The rows of the first test examples with the place each comes from, and the columns the user kept."""
    kept = dataset.test_kept
    if dataset.test_rows is not None:
        rows.insert(1, "row", dataset.test_rows[: len(rows)])
    return beside(rows, None if kept is None else kept.iloc[: len(rows)], dataset.source)


def stored_inputs(dataset: LabelledData, prepared: Prepared) -> dict[str, Any]:
    """What travels in a model file about its inputs, as plain values."""
    return {
        "task": dataset.name,
        "feature_names": dataset.feature_names,
        "input_shape": list(prepared.test.x.shape[1:]),
        "inputs": Meaning.of(dataset).stored(),
        "cost": None if prepared.cost is None else prepared.cost.tolist(),
        "schema": None if dataset.schema is None else dataset.schema.stored(),
        "range": None if dataset.kind == "image" else _range(prepared.train.x),
    }


def spread(x: Tensor, cost: Tensor) -> list[float]:
    """Standard deviations, ``1 / cost``; 0 for a constant column, whose cost is only a stand-in."""
    constant = x.amin(dim=0) == x.amax(dim=0)
    return (1 / cost).masked_fill(constant.to(cost.device), 0.0).tolist()


def _range(x: Tensor) -> dict[str, list[float]]:
    """The least and the largest value of every column."""
    return {"lo": x.amin(dim=0).tolist(), "hi": x.amax(dim=0).tolist()}
