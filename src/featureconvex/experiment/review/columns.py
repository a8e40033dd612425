"""What each column of a table is to its attacker."""

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from featureconvex.attacker import Attacker
from featureconvex.attacker.attacker import price_in_words
from featureconvex.certificates import certify
from featureconvex.data.schema import STD, ColumnSchema
from featureconvex.detector import Detector
from featureconvex.progress import progress_bar
from featureconvex.results.review import ColumnReview

# Columns that are looked at one by one, and rows that each is looked at on.
MOST, ROWS = 40, 32


def review_columns(
    detector: Detector, attacker: Attacker, x: Tensor, progress: bool = False
) -> list[ColumnReview]:
    """The :data:`MOST` columns of largest influence per standard deviation, strongest first.

    Args:
        detector: trained.
        attacker: its own.
        x: (n, d) flagged sensitive points.
        progress: show a bar.
    """
    rows = x[:: -(-len(x) // ROWS)]
    share = _share_of_score(detector, x)
    influence = share / attacker.cost
    strongest = [float(influence[list(places)].max()) for _, _, places in attacker.placed]
    order = np.argsort(-np.array(strongest), kind="stable")[:MOST]
    found = []
    with progress_bar("columns of the attacker", len(order), progress) as tick:
        for k in order:
            said, column, places = attacker.placed[k]
            numeric = said.numeric and column.kind != "category"
            std = float(1 / attacker.cost[places[0]]) if numeric else None
            step = std if said.cost == STD else 1.0
            entry = ColumnReview(
                column=said.name,
                attacker=_may(said),
                price=price_in_words(said),
                std=std,
                step=step if numeric else None,
                step_takes=float(share[places[0]]) * step if numeric and step else None,
                alone=_alone(detector, attacker, said, rows, places[0] if numeric else None),
            )
            found.append(entry)
            tick(1, said.name)
    return found


def _may(said: ColumnSchema) -> str:
    words = {"fixed": "cannot change", "increase": "may grow", "decrease": "may shrink"}
    return words.get(said.attacker, "may change")


def _share_of_score(detector: Detector, x: Tensor) -> NDArray[np.float64]:
    """(d,): the median over rows of ``|d margin / d x_i| / margin``."""
    z = x.to(detector.device, detector.dtype, copy=True).requires_grad_()
    margin = detector(z)
    (slope,) = torch.autograd.grad(margin.sum(), z)
    share: NDArray[np.float64] = (
        (slope.abs() / margin[:, None]).detach().double().median(dim=0).values.cpu().numpy()
    )
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
