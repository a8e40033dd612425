"""From a model of several classes and test points to one row per point."""

import time
from collections.abc import Sequence

import numpy as np
import pandas as pd
from torch import Tensor

from featureconvex.certificates import (
    Box,
    ClassCertificate,
    Domain,
    Lp,
    Unbounded,
    certify_classes,
)
from featureconvex.experiment.rows import CertifiedRows
from featureconvex.models.multi_class import MultiClassModel
from featureconvex.norms import NORMS
from featureconvex.results.columns import CLOSED_FORM, RAW, STD, RadiusColumn
from featureconvex.results.record import seconds_field
from featureconvex.training.points import Points

COMPARED, HELD = 500, 100
"""Test points that levels above the closed form certify, the first ones of a shuffled half, or all; and
where the borders of pixels count, which takes many times as long. Fewer with more than ten classes, as each
row is held against every rival."""
NO_DOMAIN = "nothing says where the columns of a row may lie, so it is the closed form"
MIXED = "after a feature map that mixes all pixels it proves what the closed form does"


def certified_class_rows(
    model: MultiClassModel,
    test: Points,
    classes: Sequence[str],
    cost: Tensor | None,
    progress: bool = False,
) -> CertifiedRows:
    """Certify every test point by the closed form, and the first of them at the levels above.

    Pixels are in [0, 1]; that is used where the feature map lets it count. Level ``sound`` is left out:
    certificates of classes count every rounding error at every level.

    Args:
        model: trained.
        test: inputs, and labels from 0.
        classes: what these are called.
        cost: (d,) for tables: adds radii in training standard deviations.
        progress: show a bar for each level.
    """
    image = test.x.ndim == 4
    held = image and model.feature_map.coordinatewise
    domain: Domain = Box(0, 1) if held else Unbounded()
    asked: dict[str, tuple[int, Domain]] = {CLOSED_FORM: (len(test), Unbounded())}
    most = HELD if held else COMPARED
    few = min(most * 9 // max(9, len(classes) - 1), len(test))
    if held:
        asked["domain"] = few, domain
    asked["tight"] = few, domain
    names = np.array(classes, dtype=object)
    seconds: dict[str, float] = {}
    columns: dict[str, object] = {}
    for level, (count, where) in asked.items():
        x = test.x[:count]
        begin = time.perf_counter()
        found = certify_classes(model, x, [Lp(p) for p in NORMS], where, level, progress=progress)
        seconds[seconds_field(level)] = (time.perf_counter() - begin) / max(1, count)
        if level == CLOSED_FORM:
            columns |= _predictions(found[0], test, names)
        columns |= _columns(found, level, RAW, names, len(test))
        if cost is not None:
            scaled = certify_classes(model, x, [Lp(p, cost) for p in NORMS], where, level)
            columns |= _columns(scaled, level, STD, names, len(test))
    left_out = {} if held else {"domain": MIXED if image else NO_DOMAIN}
    return CertifiedRows(pd.DataFrame(columns), seconds, left_out)


def _predictions(certificate: ClassCertificate, test: Points, names: object) -> dict[str, object]:
    known = np.asarray(names)
    return {
        "index": np.arange(len(test), dtype=np.int64),
        "label": known[test.y.numpy()],
        "predicted": known[certificate.predicted],
        "margin": certificate.margin,
        "status": [str(status) for status in certificate.status],
    }


def _columns(
    certificates: list[ClassCertificate], level: str, unit: str, names: object, count: int
) -> dict[str, object]:
    columns: dict[str, object] = {}
    for certificate in certificates:
        column = RadiusColumn(certificate.threat.name, level, unit)
        radius = np.full(count, np.nan)
        radius[: len(certificate.radius)] = certificate.radius
        columns[column.name] = radius
        if level == CLOSED_FORM:
            columns[column.rival] = np.asarray(names)[certificate.nearest]
    return columns
