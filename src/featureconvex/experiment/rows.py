"""From a model and test points to one row per point."""

import math
import time

import numpy as np
import pandas as pd
from torch import Tensor

from featureconvex.certificates import Lp, certify
from featureconvex.model import FeatureConvexModel
from featureconvex.training.points import Points

NORMS = (1.0, 2.0, math.inf)


def certified_rows(
    model: FeatureConvexModel, test: Points, cost: Tensor | None
) -> tuple[pd.DataFrame, float]:
    """Certify every test point.

    Args:
        model: calibrated.
        test: inputs and labels.
        cost: (d,) for tables: adds radii in training standard deviations.

    Returns:
        The rows (see :mod:`featureconvex.evaluation.rows`), and the seconds per point that the
        closed-form certificates for three norms took.
    """
    norms = [Lp(p) for p in NORMS]
    begin = time.perf_counter()
    certificates = certify(model, test.x, norms)
    seconds = (time.perf_counter() - begin) / max(1, len(test))
    first = certificates[0]
    columns: dict[str, object] = {
        "index": np.arange(len(test), dtype=np.int64),
        "label": test.y.numpy().astype(np.int8),
        "predicted": (first.margin > 0).astype(np.int8),
        "margin": first.margin,
        "status": [str(status) for status in first.status],
    }
    for certificate in certificates:
        columns[f"radius_{certificate.threat.name}"] = certificate.radius
        columns[f"slope_{certificate.threat.name}"] = certificate.slope
    if cost is not None:
        for certificate in certify(model, test.x, [Lp(p, cost) for p in NORMS]):
            columns[f"radius_std_{certificate.threat.name}"] = certificate.radius
            columns[f"slope_std_{certificate.threat.name}"] = certificate.slope
    return pd.DataFrame(columns), seconds
