"""What each column of a table is to its attacker."""

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from featureconvex.attacker import Attacker
from featureconvex.attacker.attacker import price_in_words
from featureconvex.certificates import certify
from featureconvex.data.schema import STD, ColumnSchema
from featureconvex.data.tables.columns import Column
from featureconvex.detector import Detector
from featureconvex.progress import progress_bar
from featureconvex.results.review import ColumnReview

# Columns that are looked at one by one, and rows that each is looked at on.
MOST, ROWS = 40, 32


def review_columns(
    detector: Detector, attacker: Attacker, x: Tensor, progress: bool = False
) -> list[ColumnReview]:
    """The :data:`MOST` columns of which one step takes off most of the score; what is fixed comes last.

    Args:
        detector: trained.
        attacker: its own.
        x: (n, d) flagged sensitive points.
        progress: show a bar.
    """
    rows = x[:: -(-len(x) // ROWS)]
    share = _share_of_score(detector, x)
    steps = [_step(attacker, *one) for one in attacker.placed]
    takes = [
        _takes(share, x, column, places, step)
        for (_, column, places), step in zip(attacker.placed, steps, strict=True)
    ]
    fixed = [said.attacker == "fixed" for said, _, _ in attacker.placed]
    order = sorted(range(len(takes)), key=lambda k: (fixed[k], -takes[k]))[:MOST]
    found = []
    with progress_bar("columns of the attacker", len(order), progress) as tick:
        for k in order:
            said, _, places = attacker.placed[k]
            numeric = steps[k] is not None
            entry = ColumnReview(
                column=said.name,
                attacker=_may(said),
                price=price_in_words(said),
                std=float(1 / attacker.cost[places[0]]) if numeric else None,
                step=steps[k],
                step_takes=takes[k],
                alone=_alone(detector, attacker, said, rows, places[0] if numeric else None),
            )
            found.append(entry)
            tick(1, said.name)
    return found


def _may(said: ColumnSchema) -> str:
    words = {"fixed": "cannot change", "increase": "may grow", "decrease": "may shrink"}
    return words.get(said.attacker, "may change")


def _step(attacker: Attacker, said: ColumnSchema, column: Column, places: range) -> float | None:
    """One unit of a number, or one standard deviation where that has the price; None: one edit."""
    if not said.numeric or column.kind == "category":
        return None
    return float(1 / attacker.cost[places[0]]) if said.cost == STD else 1.0


def _takes(
    share: NDArray[np.float64], x: Tensor, column: Column, places: range, step: float | None
) -> float:
    """The median over rows of the share of the score that one step takes off, at the present slope.

    Of a category it is the edit that takes off most. The score is convex, so no edit takes off more than
    its slope says.
    """
    if step is not None:
        # Not the second feature, which says that the cell is missing: nobody can move it.
        return float(np.median(np.abs(share[:, places[0]]))) * step
    now = x[:, list(places)].double().cpu().numpy()
    slopes = share[:, list(places)]
    if column.kind != "category":
        return float(np.median(np.maximum(0.0, np.where(now[:, 0] > 0.5, 1, -1) * slopes[:, 0])))
    known = np.array([word != "" for word in column.categories])
    falls = (slopes * now).sum(axis=1) - slopes[:, known].min(axis=1)
    # A cell that is missing stays missing.
    return float(np.median(np.where(now[:, known].any(axis=1), np.maximum(0.0, falls), 0.0)))


def _share_of_score(detector: Detector, x: Tensor) -> NDArray[np.float64]:
    """(n, d): ``(d margin / d x_i) / margin``."""
    z = x.to(detector.device, detector.dtype, copy=True).requires_grad_()
    margin = detector(z)
    (slope,) = torch.autograd.grad(margin.sum(), z)
    share: NDArray[np.float64] = (slope / margin[:, None]).detach().double().cpu().numpy()
    return share


def _alone(
    detector: Detector, attacker: Attacker, said: ColumnSchema, rows: Tensor, place: int | None
) -> float | None:
    """Median certified budget of the attacker of one column, of a number in its own units."""
    if said.attacker == "fixed":
        return None
    one = attacker.only(said.name)
    threat = one.threat
    radius = certify(detector, rows, threat, one.domain, "domain").radius
    price = 1.0 if place is None else float(threat.numeric_cost(rows.shape[1])[place])
    return float(np.median(radius) / price)
