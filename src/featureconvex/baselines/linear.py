"""``linear``: logistic regression, whose robust radius is exact in every norm."""

import math
from pathlib import Path
from typing import Any, ClassVar

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from featureconvex.baselines.method import Method, Options, Radii, Setting
from featureconvex.baselines.thresholds import accuracy, balanced_threshold
from featureconvex.baselines.training import train_network
from featureconvex.norms import dual_exponent, vector_norm
from featureconvex.progress import Ticker, silent
from featureconvex.training.points import Points

EPOCHS = 20


class Linear(Method):
    """``<w, x> + tau``: the distance to the hyperplane is ``margin / ||w||_q``, the floor to beat."""

    name = "linear"
    title = "linear"
    native_norms: ClassVar[tuple[float, ...]] = (1.0, 2.0, math.inf)
    passes = "1 forward"
    literature = "The exact distance to a hyperplane; no paper needed."
    tau: Tensor

    def __init__(self, options: Options, setting: Setting) -> None:
        super().__init__(options, setting)
        self.layer = nn.Linear(options.dimension, 1, bias=False)
        nn.init.zeros_(self.layer.weight)
        self.register_buffer("tau", torch.zeros((), dtype=torch.float64))
        self.to(options.device)

    def scores(self, x: Tensor) -> Tensor:
        """``<w, x>``, (n, *shape) -> (n,) float64."""
        return x.to(self.tau.device).flatten(1).double() @ self.layer.weight[0].double()

    def fit(
        self,
        fitting: Points,
        validation: Points,
        *,
        folder: Path | None = None,
        tick: Ticker = silent,
    ) -> dict[str, Any]:
        """Logistic regression with a little weight decay."""
        epochs = self.options.epochs or EPOCHS
        network = nn.Sequential(nn.Flatten(), self.layer, nn.Flatten(0))
        train_network(
            network,
            fitting,
            epochs=epochs,
            seed=self.options.seed,
            weight_decay=1e-4,
            folder=folder,
            tick=tick,
        )
        with torch.no_grad():
            self.tau.fill_(balanced_threshold(self.scores(validation.x), validation.y))
            train_accuracy = accuracy(self.scores(fitting.x) + self.tau, fitting.y)
        return {"epochs": epochs, "train_accuracy": train_accuracy}

    @torch.no_grad()
    def predict(self, x: Tensor) -> NDArray[np.bool_]:
        """``<w, x> + tau > 0``."""
        return np.asarray((self.scores(x) + self.tau > 0).cpu().numpy())

    @torch.no_grad()
    def certify(self, x: Tensor, level: str) -> Radii:
        """``(<w, x> + tau) / ||w||_q``."""
        margins = (self.scores(x) + self.tau).clamp(min=0).cpu().numpy()
        w = self.layer.weight.detach().cpu()
        lengths = {p: float(vector_norm(w, dual_exponent(p))) for p in self.native_norms}
        # Without weights, as for columns that never vary, nothing moves the score.
        everywhere = np.where(margins > 0, np.inf, 0.0)
        return {p: margins / size if size > 0 else everywhere for p, size in lengths.items()}
