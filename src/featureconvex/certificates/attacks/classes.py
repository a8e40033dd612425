"""Attacks on models of several classes: every row leaves its own class, by the nearest way."""

from collections.abc import Sequence

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from featureconvex.certificates.attacks.search import Found, Search, better, search_all, searchable
from featureconvex.certificates.domain import Domain
from featureconvex.models.model import FeatureConvexModel
from featureconvex.models.multi_class import Lead, lead_of, margin_of, scores_of
from featureconvex.progress import Ticker, silent


def search_classes(
    members: Sequence[FeatureConvexModel],
    x: Tensor,
    domain: Domain,
    limit: Tensor | None,
    search: Search,
    sensitive: NDArray[np.bool_],
    tick: Ticker = silent,
) -> Found:
    """As :func:`.search_all`, for every class and every rival of it: with many classes that takes long.

    Args:
        members: frozen, one for each class.
        x: (n, ...) in their dtype.
        domain: where the attacker may move.
        limit: (n,), the largest budgets, or None.
        search: how to look.
        sensitive: (classes,): a row of another class has left before it starts.
        tick: called with the rows done since the last call, each once for every rival.
    """
    with torch.no_grad():
        scores = scores_of(members, x)
    points, margin = x.clone(), margin_of(scores, torch.from_numpy(sensitive))
    usable = searchable(x, margin, domain, search.threat)
    distance = torch.where(usable & (margin <= 0), 0.0, torch.nan).to(margin.dtype)
    predicted = scores.nan_to_num().argmax(1)
    sought = usable & (margin > 0) & torch.from_numpy(sensitive).to(x.device)[predicted]
    tick(int((~sought).sum()) * (len(members) - 1), "")
    for k in np.flatnonzero(sensitive).tolist():
        rows = (sought & (predicted == k)).nonzero().squeeze(1)
        most = None if limit is None else limit[rows]
        best: Found | None = None
        for j in set(range(len(members))) - {k} if len(rows) else ():
            lead = Lead(members[k], members[j], float(scores[rows].abs().amax()))
            found = search_all(lead, x[rows], domain.rows(rows), most, search, tick=tick)
            best = found if best is None else better(best, found)
        if best is not None:
            points[rows], _, distance[rows] = best
    # The one evaluation that counts; a point sought for one rival may belong to another.
    with torch.no_grad():
        moved = scores_of(members, points)
    left = torch.where(usable & (margin > 0), lead_of(moved, predicted), margin)
    spent = search.threat.measure(points.double() - x.double())
    paid = usable & domain.contains(points) & (left <= 0)
    if limit is not None:
        paid &= spent <= limit
    distance = torch.where(distance.isnan() & paid, spent, distance)
    return points, left, torch.where(left <= 0, distance, torch.nan)
