"""From a model and test points to one row per point."""

import time
from dataclasses import dataclass

import numpy as np
import pandas as pd
from torch import Tensor

from featureconvex.certificates import LEVELS, Box, Certificate, Domain, Lp, Unbounded, certify
from featureconvex.certificates.levels import level_named
from featureconvex.errors import UserError
from featureconvex.models.model import FeatureConvexModel
from featureconvex.norms import NORMS
from featureconvex.results.columns import CLOSED_FORM, RAW, STD, RadiusColumn
from featureconvex.results.record import seconds_field
from featureconvex.training.points import Points


@dataclass(frozen=True)
class CertifiedRows:
    """Rows and how they were made.

    Attributes:
        frame: one row per test point (see :mod:`featureconvex.results.rows`).
        seconds: per point, what three norms took at each level: ``certify_per_sample`` (closed
            form) and ``certify_per_sample_<level>``.
        unavailable: levels that cannot certify this model, with the reason.
    """

    frame: pd.DataFrame
    seconds: dict[str, float]
    unavailable: dict[str, str]


def certified_rows(
    model: FeatureConvexModel, test: Points, cost: Tensor | None, progress: bool = False
) -> CertifiedRows:
    """Certify every test point at every level.

    Above the closed form the attacker is held to what an input can be: pixels in [0, 1] for images,
    anything for tables. Rows hold radii, not upper bounds, so nothing is attacked.

    Args:
        model: calibrated.
        test: inputs and labels.
        cost: (d,) for tables: adds radii in training standard deviations.
        progress: show a bar for each level.
    """
    domain: Domain = Box(0, 1) if test.x.ndim == 4 else Unbounded()
    seconds: dict[str, float] = {}
    columns: dict[str, object] = {}
    unavailable: dict[str, str] = {}
    for level in LEVELS:
        closed = level == CLOSED_FORM
        where = Unbounded() if closed else domain
        # Rows hold no upper bounds, so nobody would read what an attack finds.
        bare = level_named(level).without_attacks()
        begin = time.perf_counter()
        try:
            certificates = certify(
                model,
                test.x,
                [Lp(p) for p in NORMS],
                where,
                bare,
                progress=progress,
            )
        except UserError as error:
            # A level refuses a model it has no proof for; the others stand.
            unavailable[level] = str(error)
            continue
        seconds[seconds_field(level)] = (time.perf_counter() - begin) / max(1, len(test))
        if closed:
            columns |= _predictions(certificates[0], test)
        columns |= _columns(certificates, level, RAW)
        if cost is not None:
            scaled = certify(model, test.x, [Lp(p, cost) for p in NORMS], where, bare)
            columns |= _columns(scaled, level, STD)
    return CertifiedRows(pd.DataFrame(columns), seconds, unavailable)


def _predictions(certificate: Certificate, test: Points) -> dict[str, object]:
    return {
        "index": np.arange(len(test), dtype=np.int64),
        "label": test.y.numpy().astype(np.int8),
        "predicted": (certificate.margin > 0).astype(np.int8),
        "margin": certificate.margin,
        "status": [str(status) for status in certificate.status],
    }


def _columns(certificates: list[Certificate], level: str, unit: str) -> dict[str, object]:
    columns: dict[str, object] = {}
    for certificate in certificates:
        column = RadiusColumn(certificate.threat.name, level, unit)
        columns[column.name] = certificate.radius
        if level == CLOSED_FORM:
            columns[column.slope] = certificate.slope
    return columns
