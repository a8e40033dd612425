"""A batch of rows: each against every class that it is not predicted as."""

import numpy as np
import torch
from torch import Tensor

from featureconvex.certificates.batches import finite_rows
from featureconvex.certificates.columns import Columns, Usable
from featureconvex.certificates.domain import Domain
from featureconvex.certificates.levels import Bound, Level, Problem
from featureconvex.certificates.levels.sound.line import in_arithmetic, split_affine
from featureconvex.certificates.minorant import Minorant
from featureconvex.certificates.multi_class.rivals import Rivals
from featureconvex.certificates.multi_class.search import ahead
from featureconvex.certificates.threats import Threat
from featureconvex.models.model import FeatureConvexModel
from featureconvex.models.multi_class import margin_of, scores_of


class Filled:
    """The columns of one threat."""

    def __init__(self, count: int, classes: int) -> None:
        self.columns = Columns(count)
        self.predicted = np.zeros(count, dtype=np.int64)
        self.away = np.zeros((count, classes))


class Batch:
    """What all threats of a batch share.

    Attributes:
        models: frozen, one for each class.
        x: (n, ...), rows that are not finite as zeros.
        rivals: for each arithmetic in which a row has to stay in its class, the ways to prove it.
        predicted: (n,).
        margin: (n,) float64.
        finite: bool (n,): rows whose numbers and scores are.
    """

    def __init__(
        self,
        models: list[FeatureConvexModel],
        x: Tensor,
        rivals: list[list[Rivals]],
        predicted: Tensor,
        margin: Tensor,
        finite: Tensor,
    ) -> None:
        self.models, self.x, self.rivals = models, x, rivals
        self.predicted, self.margin, self.finite = predicted, margin, finite

    @staticmethod
    def of(
        models: list[FeatureConvexModel], x: Tensor, sensitive: Tensor, arithmetic: str = "real"
    ) -> "Batch":
        """Scores as the model computes them; its enclosures are of rows that are finite.

        Args:
            models: frozen, one for each class.
            x: (n, ...).
            sensitive: (classes,) bool.
            arithmetic: in which the scores are compared; a deployed one beside the exact one.
        """
        scores = scores_of(models, x)
        finite = finite_rows(x) & torch.isfinite(scores).all(1)
        clean = scores.masked_fill(~finite[:, None], 0.0)
        known = x.masked_fill(~finite.view(-1, *[1] * (x.ndim - 1)), 0.0)
        predicted, margin = clean.argmax(1), margin_of(clean, sensitive)
        affine = bool(split_affine(models[0].feature_map)[1])
        ways = (True, False) if affine else (True,)
        rivals = []
        for kind in dict.fromkeys(("real", arithmetic)):
            known_as = [in_arithmetic(model, kind) for model in models]
            rivals.append([Rivals.at(known_as, known, pulled, kind) for pulled in ways])
        return Batch(models, known, rivals, predicted, margin, finite)


def fill(
    columns: list[Filled],
    start: int,
    batch: Batch,
    threats: list[Threat],
    domain: Domain,
    level: Level,
) -> None:
    """Certify the rows of a batch against every threat, and write them from row ``start`` on."""
    inside = domain.contains(batch.x)
    for item, filled in zip(threats, columns, strict=True):
        away = torch.zeros(
            len(batch.x), len(batch.models), dtype=torch.float64, device=batch.x.device
        )
        for k in sorted(set(batch.predicted.tolist())):
            rows = (batch.predicted == k).nonzero().squeeze(1)
            parts = [[rivals.rows(rows) for rivals in ways] for ways in batch.rivals]
            exact = parts[0][0]
            line = Minorant(exact.scores[k].centre, exact.u.centre)
            problem = Problem(batch.models[k], batch.x[rows], item, domain.rows(rows), line)
            for j in set(range(len(batch.models))) - {k}:
                # The best way to prove it; in a deployed arithmetic, in exact arithmetic, too.
                proved = [
                    torch.stack([ahead(problem, part, k, j, level) for part in ways]).amax(0)
                    for ways in parts
                ]
                away[rows, j] = item.limited(torch.stack(proved).amin(0), batch.x[rows])
        usable = batch.finite & inside & item.admits(batch.x)
        away = away.where(usable[:, None], 0.0)
        own = torch.nn.functional.one_hot(batch.predicted, len(batch.models)).bool()
        radius = away.masked_fill(own, torch.inf).amin(1)
        rows = slice(start, start + len(batch.x))
        filled.predicted[rows] = batch.predicted.cpu().numpy()
        filled.away[rows] = away.cpu().numpy()
        margin = batch.margin.masked_fill(~batch.finite, torch.nan)
        bound = Bound.of(radius, Minorant(margin, batch.x))
        known = Usable(batch.finite.cpu().numpy(), (inside & item.admits(batch.x)).cpu().numpy())
        filled.columns.write(start, bound, margin, known)
