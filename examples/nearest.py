"""A baseline: the nearest training point decides, and certifies in every norm at once."""

import math
from pathlib import Path
from typing import Any, ClassVar

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from featureconvex.baselines import Method, Options, Radii, Setting, register_method
from featureconvex.baselines.thresholds import accuracy, balanced_threshold
from featureconvex.progress import Ticker, silent
from featureconvex.training.points import Points

KEPT = 500
"""Training points of each class."""


@register_method
class Nearest(Method):
    """``score = d(x, other) / 2 - d(x, sensitive) / 2`` for the l2 distances to the nearest points.

    A distance moves by at most ``||x' - x||_2``, and so does half a difference of two: the margin
    ``score + tau`` is the certified radius in l2, and, as ``||.||_2 <= ||.||_1``, in l1.
    """

    name = "nearest"
    title = "nearest neighbour"
    native_norms: ClassVar[tuple[float, ...]] = (1.0, 2.0)
    passes = "distances to the training points"
    literature = "Folklore."
    tau: Tensor
    sensitive: Tensor
    other: Tensor

    def __init__(self, options: Options, setting: Setting) -> None:
        super().__init__(options, setting)
        self.register_buffer("tau", torch.zeros((), dtype=torch.float64))
        for name in ("sensitive", "other"):
            # The last point is repeated where a class is small, so that every fit has the same shapes.
            empty = torch.zeros(KEPT, options.dimension, dtype=torch.float64)
            self.register_buffer(name, empty)

    def scores(self, x: Tensor) -> Tensor:
        """(n, *shape) -> (n,) float64."""
        near, far = self._distances(x)
        return (far - near) / 2

    def _distances(self, x: Tensor) -> list[Tensor]:
        flat = x.flatten(1).double()
        # Never through products: those lose half of the digits.
        exactly = "donot_use_mm_for_euclid_dist"
        return [
            torch.cdist(flat, kept, compute_mode=exactly).amin(1)
            for kept in (self.sensitive, self.other)
        ]

    def fit(
        self,
        fitting: Points,
        validation: Points,
        *,
        folder: Path | None = None,
        tick: Ticker = silent,
    ) -> dict[str, Any]:
        """Keep the first points of each class."""
        flat = fitting.x.flatten(1).double()
        for label, kept in ((1, self.sensitive), (0, self.other)):
            rows = flat[fitting.y == label]
            kept.copy_(rows[torch.arange(KEPT).clamp(max=len(rows) - 1)])
        self.tau.fill_(balanced_threshold(self.scores(validation.x), validation.y))
        return {
            "epochs": 0,
            "train_accuracy": accuracy(self.scores(fitting.x) + self.tau, fitting.y),
        }

    def predict(self, x: Tensor) -> NDArray[np.bool_]:
        """The sign of the margin."""
        return np.asarray((self.scores(x) + self.tau > 0).numpy())

    def certify(self, x: Tensor, level: str) -> Radii:
        """The margin itself, less what two distances of d numbers round."""
        near, far = self._distances(x)
        rounding = math.ulp(1.0) * (self.options.dimension + 4) * (near + far + self.tau.abs())
        margins = (far - near) / 2 + self.tau - rounding
        radius = np.asarray(margins.clamp_min(0).numpy())
        return dict.fromkeys(self.native_norms, radius)
