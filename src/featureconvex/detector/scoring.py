"""How well a detector names the classes of rows."""

from typing import Any

import numpy as np
from numpy.typing import NDArray

from featureconvex.data.tables.labels import class_names
from featureconvex.errors import UserError
from featureconvex.given import real_array


def labels_of(y: Any, rows: int) -> NDArray[np.str_]:
    """(rows,) names of classes, as they are read in training.

    Raises:
        UserError: another number of labels.
    """
    import pandas as pd

    labels = class_names(pd.Series(np.asarray(y, dtype=object).reshape(-1)), "y")
    if len(labels) != rows:
        raise UserError(f"there are {len(labels)} labels for {rows} rows")
    return labels


def share_right(right: NDArray[np.bool_], sample_weight: Any) -> float:
    """The share of rows (n,) that are right, each counting what its weight says.

    Raises:
        UserError: weights that are not one number >= 0 per row, or all 0.
    """
    if sample_weight is None:
        return float(right.mean())
    weight = real_array("sample_weight", sample_weight, "one number per row").astype(np.float64)
    if weight.shape != right.shape or not (weight >= 0).all() or not weight.sum() > 0:
        raise UserError("sample_weight takes one number >= 0 per row, not all of them 0")
    return float(np.average(right, weights=weight))
