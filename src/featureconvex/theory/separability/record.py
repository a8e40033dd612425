"""``separability.json`` and the rows of ``featureconvex separability``."""

from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from featureconvex.norms import NORMS, norm_name
from featureconvex.theory.separability.distances import Distances
from featureconvex.theory.separability.verdicts import Verdicts

VERDICTS = {1: "inside", 0: "outside", -1: "undecided"}
NEAR = 5
"""Duplicates that the record names; the rows have all."""


def direction_rows(
    verdicts: Verdicts, bounds: Distances, own: NDArray[Any], others: NDArray[Any], label: int
) -> pd.DataFrame:
    """One row per point of a class.

    Args:
        verdicts, bounds: of the class's n points.
        own: (n,) their numbers in the split, from 0.
        others: the same of the other class.
        label: 1 for the sensitive class.
    """
    twins = {row: int(others[twin]) for row, twin in verdicts.duplicates.items()}
    duplicate = pd.array([twins.get(row) for row in range(len(own))], dtype="Int64")
    rows = pd.DataFrame(
        {
            "index": own,
            "label": np.int8(label),
            "verdict": [VERDICTS[int(value)] for value in verdicts.inside],
            "proof": verdicts.proof,
            "duplicate_of": duplicate,
        }
    )
    for p in NORMS:
        rows[f"distance_{norm_name(p)}_lower"] = bounds.lower[p]
        rows[f"distance_{norm_name(p)}_upper"] = bounds.upper[p]
    return rows


def summary(rows: pd.DataFrame) -> dict[str, Any]:
    """The numbers of one direction."""
    outside = rows[rows.verdict == "outside"]
    counts = {name: int((rows.verdict == name).sum()) for name in VERDICTS.values()}
    distance = {}
    for p in NORMS:
        lower, upper = (outside[f"distance_{norm_name(p)}_{end}"] for end in ("lower", "upper"))
        gap = 1 - lower / upper.where(upper > 0)
        distance[norm_name(p)] = {
            "smallest": [lower.min(), upper.min()],
            "median": [lower.median(), upper.median()],
            "median_gap": gap.median(),
        }
    twins = rows[rows.duplicate_of.notna()]
    pairs = zip(twins["index"][:NEAR], twins.duplicate_of[:NEAR], strict=True)
    return {
        "points": len(rows),
        **counts,
        "proofs": {str(k): int(v) for k, v in rows.proof[rows.proof != ""].value_counts().items()},
        "duplicates": {"count": len(twins), "first": [[int(a), int(b)] for a, b in pairs]},
        "distance": distance,
    }
