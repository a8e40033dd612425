"""How good a model is on points it was not fitted on, whatever its threshold."""

from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from featureconvex.ambient import undisturbed
from featureconvex.certificates.minorant import tangent
from featureconvex.models.frozen import frozen_model
from featureconvex.models.model import FeatureConvexModel
from featureconvex.training.calibration import Calibration, calibrated
from featureconvex.training.points import Points


@dataclass(frozen=True)
class Outputs:
    """Logits and slopes of n points.

    Attributes:
        logits: (n,) float64, ``g(phi(x))`` without threshold.
        slopes: (n,) float64, ``Lip_p ||v||_q``; the radius at threshold ``tau`` is
            ``(logits + tau) / slopes``.
        labels: (n,), 1 sensitive, 0 other.
        weights: (n,), what each point counts; None: all the same.
    """

    logits: NDArray[np.float64]
    slopes: NDArray[np.float64]
    labels: NDArray[np.integer]
    weights: NDArray[np.float64] | None = None

    def calibrated(self, target_fpr: float | None = None) -> Calibration:
        """The threshold at a false-positive rate on these points; None: the balanced one."""
        return calibrated(self.logits, self.labels, target_fpr, self.weights)

    def accuracy(self, tau: float) -> float:
        """Share of points on their own side of the threshold."""
        return self._mean((self.logits + tau > 0) == (self.labels == 1))

    def median_radius(self, tau: float) -> float:
        """Median over correctly classified sensitive points; nan where there are none."""
        hit = (self.labels == 1) & (self.logits + tau > 0)
        with np.errstate(divide="ignore"):
            return (
                float(np.median((self.logits[hit] + tau) / self.slopes[hit]))
                if hit.any()
                else np.nan
            )

    def mean_radius(self, tau: float) -> float:
        """Mean over all sensitive points, 0 for those missed: the area under certified recall."""
        sensitive = self.labels == 1
        radius = (self.logits[sensitive] + tau) / np.maximum(self.slopes[sensitive], 1e-300)
        return float(np.mean(np.clip(radius, 0.0, None)))

    def loss(
        self,
        tau: float,
        scale: NDArray[np.float64] | float,
        weight: NDArray[np.float64] | float = 1.0,
    ) -> float:
        """Cross-entropy on ``(logits + tau) / scale``, weighted, mean over the points."""
        sign = np.where(self.labels == 1, 1.0, -1.0)
        with np.errstate(divide="ignore", invalid="ignore"):
            each = np.logaddexp(0.0, -sign * (self.logits + tau) / scale)
            return self._mean(weight * each)

    def _mean(self, values: NDArray[Any]) -> float:
        if self.weights is None:
            return float(np.mean(values))
        return float(np.average(values, weights=self.weights))


def outputs(
    model: FeatureConvexModel,
    points: Points,
    p: float,
    cost: Tensor | None = None,
    batch_size: int = 1024,
) -> Outputs:
    """Logits and slopes of all points in eval mode."""
    logits, slopes = [], []
    with undisturbed():
        model = frozen_model(model)
        for batch in points.batches(batch_size):
            line = tangent(model, inputs(batch, model))
            logits.append((line.value - model.tau).cpu())
            slopes.append(model.feature_map.sensitivity(line.slope, p, cost).cpu())
    weights = None if points.weight is None else points.weight.cpu().numpy()
    values = torch.cat(logits).numpy(), torch.cat(slopes).numpy()
    return Outputs(*values, points.y.cpu().numpy(), weights)


def inputs(batch: Tensor, model: FeatureConvexModel) -> Tensor:
    """A batch on the model's device in its dtype."""
    return batch.to(model.device, model.dtype)
