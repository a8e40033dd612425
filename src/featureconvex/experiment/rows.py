"""From a model and test points to one row per point."""

import math
import time

import numpy as np
import pandas as pd
from torch import Tensor

from featureconvex.certificates import LEVELS, Box, Certificate, Domain, Lp, Unbounded, certify
from featureconvex.model import FeatureConvexModel
from featureconvex.training.points import Points

NORMS = (1.0, 2.0, math.inf)
CLOSED_FORM = "closed-form"


def certified_rows(
    model: FeatureConvexModel, test: Points, cost: Tensor | None
) -> tuple[pd.DataFrame, dict[str, float]]:
    """Certify every test point at every level.

    Above the closed form the attacker is held to what an input can be: pixels in [0, 1] for images,
    anything for tables.

    Args:
        model: calibrated.
        test: inputs and labels.
        cost: (d,) for tables: adds radii in training standard deviations.

    Returns:
        The rows (see :mod:`featureconvex.evaluation.rows`), and the seconds per point each level
        took for three norms, as ``certify_per_sample`` (closed form) and
        ``certify_per_sample_<level>``.
    """
    domain: Domain = Box(0, 1) if test.x.ndim == 4 else Unbounded()
    seconds: dict[str, float] = {}
    columns: dict[str, object] = {}
    for level in LEVELS:
        suffix = "" if level == CLOSED_FORM else f"_{level}"
        begin = time.perf_counter()
        where = Unbounded() if level == CLOSED_FORM else domain
        certificates = certify(model, test.x, [Lp(p) for p in NORMS], where, level)
        seconds[f"certify_per_sample{suffix}"] = (time.perf_counter() - begin) / max(1, len(test))
        columns |= _columns(certificates, "", suffix)
        if not suffix:
            columns |= _predictions(certificates[0], test)
        if cost is not None:
            scaled = certify(model, test.x, [Lp(p, cost) for p in NORMS], where, level)
            columns |= _columns(scaled, "std_", suffix)
    return pd.DataFrame(columns), seconds


def _predictions(certificate: Certificate, test: Points) -> dict[str, object]:
    return {
        "index": np.arange(len(test), dtype=np.int64),
        "label": test.y.numpy().astype(np.int8),
        "predicted": (certificate.margin > 0).astype(np.int8),
        "margin": certificate.margin,
        "status": [str(status) for status in certificate.status],
    }


def _columns(certificates: list[Certificate], unit: str, suffix: str) -> dict[str, object]:
    columns: dict[str, object] = {}
    for certificate in certificates:
        columns[f"radius_{unit}{certificate.threat.name}{suffix}"] = certificate.radius
        if not suffix:
            columns[f"slope_{unit}{certificate.threat.name}"] = certificate.slope
    return columns
